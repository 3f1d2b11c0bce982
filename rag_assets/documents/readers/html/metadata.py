"""What an HTML page states about itself: ``meta`` elements, JSON-LD, microdata, links.

Only statements count, not a name behind "by" in the text; but a page that states no date of
publication gets the one that htmldate finds in it. Against trafilatura's own metadata, on the 472
pages of its evaluation set: titles right 268 to 249, dates 291 to 297 of 347, authors 94 right and
40 wrong to 121 and 62 of 247, in a sixth of its time.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate
from typing import Any

from htmldate import find_date
from lxml.etree import XPath, _Element

from rag_assets.documents.readers.html.tree import text_of
from rag_assets.documents.readers.metadata import facts, iso_date, language_code, or_none

MAX_JSON = 500_000  # characters of one JSON-LD script; longer ones hold data, not statements
LATEST = "2100-01-01"  # for htmldate, whose own limit is the day on which it runs
MAX_AUTHOR = 100  # characters; longer is a biography
_TITLES = (
    "citation_title", "og:title", "dc.title", "dcterms.title", "twitter:title", "sailthru.title",
)  # fmt: skip
_AUTHORS = (
    "citation_author", "author", "article:author", "article:author_name", "dc.creator",
    "dcterms.creator", "parsely-author", "sailthru.author", "byl", "creator", "authors",
)  # fmt: skip
_CREATED = (
    "article:published_time", "citation_publication_date", "citation_date", "datepublished",
    "dc.date.issued", "dcterms.issued", "dcterms.created", "dc.date.created", "parsely-pub-date",
    "sailthru.date", "og:published_time", "pubdate", "publishdate", "publish-date",
    "publication_date", "rnews:datepublished", "cxenseparse:recs:publishtime", "datecreated",
    "dc.date", "dcterms.date", "date",
)  # fmt: skip
_MODIFIED = (
    "article:modified_time", "og:updated_time", "datemodified", "dcterms.modified",
    "dc.date.modified", "dc.modified", "lastmod", "last-modified", "revised", "modified",
)  # fmt: skip
_LANGUAGES = ("content-language", "og:locale", "dc.language", "dcterms.language", "language")
_LICENCES = ("license", "licence", "dcterms.license", "dc.rights.license")
_RIGHTS = ("dcterms.rights", "dc.rights", "rights", "copyright")  # may name no more than an owner
_IMPRINT = re.compile(r"footer|licen[sc]e|copyright", re.IGNORECASE)
_DOCUMENT = re.compile(r"(?:Article|Posting|WebPage|Report|CreativeWork|Recipe|Book|Review)$")
_CC = re.compile(
    r"creativecommons\.org/(?:licen[sc]es/([a-z-]+)/([\d.]+)(?:/([a-z]{2})\b)?|(publicdomain)/zero)"
)
_DATES = (  # beside ISO's own form
    re.compile(r"\s*(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:\D|\d{4,6}\b|$)"),
    re.compile(r"\s*(?P<y>\d{4})[/.](?P<m>\d{1,2})[/.](?P<d>\d{1,2})\b"),
    re.compile(r"\s*(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.(?P<y>\d{4})\b"),
)
_BY = re.compile(r"(?:written )?(?:by|von|par|por)[:\s]\s*", re.IGNORECASE)

_STATING = XPath(
    "//meta | //script[@type='application/ld+json'] | //title | //h1 | //time | //*[@itemprop]"
    " | //*[@rel] | //a[contains(@href, 'creativecommons.org')]"
)


@dataclass(slots=True)
class _Found:
    """Raw values by name, the first of each; those of JSON-LD have its own names."""

    meta: dict[str, str] = field(default_factory=dict)
    linked: dict[str, str] = field(default_factory=dict)
    headings: list[str] = field(default_factory=list)
    title: str = ""
    language: str | None = None
    licence: str | None = None

    def first(self, *names: str) -> str | None:
        """The first that has a value."""
        return next((self.meta[name] for name in names if self.meta.get(name)), None)


def metadata_of(tree: _Element) -> dict[str, Any]:
    """Title, author, dates, language and licence of a parsed page, those that are stated.

    What JSON-LD says comes before ``meta`` elements, these before microdata and the page itself
    (its only ``h1``, then ``title``).
    """
    found = _Found(language=tree.get("lang") or tree.get("xml:lang"))
    for element in _STATING(tree):
        _take(found, element)
    linked, headings = found.linked, found.headings
    heading = headings[0] if len(headings) == 1 else None
    title = linked.get("headline") or found.first(*_TITLES) or heading or found.title
    languages = (found.language, linked.get("inLanguage"), found.first(*_LANGUAGES))
    rights = found.first(*_RIGHTS)
    licence = linked.get("license") or found.licence or found.first(*_LICENCES) or rights
    created = _date(linked.get("datePublished"), found.first(*_CREATED, "itemprop:created"))
    return facts(
        title=title,
        author=_author(linked.get("author")) or _author(found.first(*_AUTHORS, "itemprop:author")),
        created=created or _found_date(tree),
        modified=_date(linked.get("dateModified"), found.first(*_MODIFIED, "itemprop:modified")),
        language=next((code for code in map(language_code, languages) if code), None),
        licence=None if licence == rights and not _CC.search(rights or "") else _licence(licence),
    )


def _take(found: _Found, element: _Element) -> None:
    tag = element.tag
    if tag == "meta":
        content = element.get("content")
        for key in ("property", "name", "itemprop", "http-equiv"):
            name = element.get(key)
            if name and content:
                found.meta.setdefault(name.strip().lower(), content)
    elif tag == "script":
        text = element.text or ""
        if len(text) <= MAX_JSON:
            _take_linked(found.linked, text)
    elif tag == "title":
        found.title = found.title or (element.text or "")
    elif tag == "h1":
        heading = " ".join(text_of(element).split())
        if heading:
            found.headings.append(heading)
    else:
        _take_marked(found, element, tag)


def _take_marked(found: _Found, element: _Element, tag: str) -> None:
    """Microdata, ``time`` and links whose relation is stated."""
    prop = element.get("itemprop")
    if prop == "datePublished" or (tag == "time" and element.get("pubdate") is not None):
        found.meta.setdefault("itemprop:created", _value(element))
    elif prop == "dateModified":
        found.meta.setdefault("itemprop:modified", _value(element))
    rel = element.get("rel")
    if prop == "author" or (rel is not None and "author" in rel.lower().split() and tag == "a"):
        found.meta.setdefault("itemprop:author", text_of(element))
    if rel is not None and "license" in rel.lower().split() and found.licence is None:
        target = element.get("href", "")
        found.licence = target if _CC.search(target) else or_none(text_of(element)) or target
    elif tag == "a" and found.licence is None:
        found.licence = _imprinted(element)


def _imprinted(link: _Element) -> str | None:
    """A Creative Commons address in a footer or the like; in the text it may be a picture's."""
    target: str = link.get("href", "")
    if _CC.search(target):
        for element in link.iterancestors():
            if _IMPRINT.search(f"{element.tag} {element.get('class')} {element.get('id')}"):
                return target
    return None


def _found_date(tree: _Element) -> str | None:
    try:
        found = find_date(tree, extensive_search=False, original_date=True, max_date=LATEST)
    except ValueError:  # it moves text, and lxml takes no control characters back
        return None
    return iso_date(found) if isinstance(found, str) else None


def _value(element: _Element) -> str:
    return element.get("datetime") or element.get("content") or text_of(element)


def _take_linked(linked: dict[str, str], text: str) -> None:
    """What JSON-LD says of documents in it; broken JSON says nothing."""
    try:
        data = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return
    for node in _nodes(data):
        kinds = node.get("@type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if not any(isinstance(kind, str) and _DOCUMENT.search(kind) for kind in kinds):
            continue
        for key in ("headline", "author", "datePublished", "dateModified", "inLanguage", "license"):
            value = ", ".join(_names(node.get(key)))
            if value:
                linked.setdefault(key, value)


def _nodes(data: object) -> Iterator[dict[str, object]]:
    """Objects at the top level, in a list or in a graph there."""
    for node in data if isinstance(data, list) else [data]:
        if isinstance(node, dict):
            yield node
            graph = node.get("@graph")
            if isinstance(graph, list):
                yield from (inner for inner in graph if isinstance(inner, dict))


def _names(value: object) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            item = item.get("name") or item.get("url")
        if isinstance(item, str) and item.strip():
            yield " ".join(item.split())


def _author(stated: str | None) -> str | None:
    name = _BY.sub("", " ".join((stated or "").split()), count=1) if stated else ""
    return name if 0 < len(name) <= MAX_AUTHOR and "://" not in name else None


def _date(*stated: str | None) -> str | None:
    return next((day for text in filter(None, stated) for day in _readings(text) if day), None)


def _readings(text: str) -> Iterator[str | None]:
    """The date in each of the forms that a text may give it in."""
    yield iso_date(text)
    for pattern in _DATES:
        if match := pattern.match(text):
            yield iso_date("{:0>4}-{:0>2}-{:0>2}".format(*match.group("y", "m", "d")))
    if written := parsedate(text):
        yield iso_date("{:04}-{:02}-{:02}".format(*written))


def _licence(stated: str | None) -> str | None:
    match = _CC.search(stated or "")
    if match is None:
        return or_none(stated)
    if match[4]:
        return "CC0 1.0"
    return " ".join(
        part for part in ("CC", match[1].upper(), match[2], (match[3] or "").upper()) if part
    )
