"""EPUB to blocks: the chapters in reading order, metadata from the package file.

zipfile and lxml do it: the one well-known library for EPUB, EbookLib, is under the AGPL.
"""

import html
import posixpath
import re
from collections.abc import Iterator
from urllib.parse import unquote

from lxml import etree
from lxml import html as lxml_html
from lxml.etree import _Element

from rag_assets.documents.readers.archives import Archive, parsing
from rag_assets.documents.readers.blocks import Block, Extracted, RejectedError
from rag_assets.documents.readers.decoding import decode
from rag_assets.documents.readers.html.tree import blocks_of, tag_of
from rag_assets.documents.readers.metadata import facts

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONT_ALGORITHMS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_CHAPTER_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_DECLARATION = re.compile(r"^\ufeff?\s*<\?xml[^>]*\?>")
_NAMED = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z]\w{1,30};")


def read_epub(data: bytes) -> Extracted:
    """All chapters of a book; its table of contents and its cover are no text.

    Raises:
        RejectedError: ``encrypted`` for a book under DRM, ``corrupt`` for one without its package
            file or without any readable chapter, ``too large``.
    """
    archive = Archive(data)
    package_path = _package_path(archive)
    package = archive.xml(package_path)
    chapters = list(_chapters(package, posixpath.dirname(package_path)))
    if not _locked(archive).isdisjoint(chapters):
        raise RejectedError("encrypted", "a book under DRM; only the bookseller's programs open it")
    readable = [path for path in chapters if path in archive]
    if not readable:
        raise RejectedError(
            "corrupt", f"none of the book's {len(chapters)} chapters is in the file"
        )
    blocks = [block for path in readable for block in blocks_of(parse_xhtml(archive.read(path)))]
    return _with_metadata(package, blocks)


def parse_xhtml(data: bytes) -> _Element:
    """Root of a page that should be XHTML; as HTML where it is not well-formed.

    Raises:
        RejectedError: ``corrupt`` for neither.
    """
    text = _DECLARATION.sub("", decode(data)[0], count=1)
    # XML knows five names only; the HTML ones are declared in a DTD that is not fetched.
    text = _NAMED.sub(lambda match: html.unescape(match[0]), text)
    encoded = text.encode("utf-8", "replace")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, encoding="utf-8"
    )
    try:
        return etree.fromstring(encoded, parser)
    except etree.XMLSyntaxError:
        with parsing("chapter"):
            return lxml_html.document_fromstring(
                encoded, parser=lxml_html.HTMLParser(encoding="utf-8", no_network=True)
            )


def _package_path(archive: Archive) -> str:
    for element in archive.xml(_CONTAINER).iter():
        if tag_of(element) == "rootfile" and element.get("full-path"):
            return str(element.get("full-path"))
    raise RejectedError("corrupt", "expected the path of a package file in the book's container")


def _chapters(package: _Element, folder: str) -> Iterator[str]:
    """Paths of the chapters in reading order; the navigation page and pictures are no chapters."""
    items = {e.get("id"): e for e in package.iter() if tag_of(e) == "item"}
    seen = set()
    for reference in package.iter():
        item = items.get(reference.get("idref")) if tag_of(reference) == "itemref" else None
        if item is None or "nav" in (item.get("properties") or "").split():
            continue
        if item.get("media-type") in _CHAPTER_TYPES:
            path = posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
            if path not in seen:
                seen.add(path)
                yield path


def _locked(archive: Archive) -> set[str]:
    """Paths of the encrypted files; scrambled fonts are not counted."""
    if _ENCRYPTION not in archive:
        return set()
    locked = set()
    for entry in archive.xml(_ENCRYPTION).iter("{*}EncryptedData"):
        inside = {tag_of(element): element for element in entry.iter()}
        method, reference = inside.get("encryptionmethod"), inside.get("cipherreference")
        is_font = method is not None and method.get("Algorithm") in _FONT_ALGORITHMS
        if reference is not None and not is_font:
            locked.add(unquote(reference.get("URI") or ""))
    return locked


def _with_metadata(package: _Element, blocks: list[Block]) -> Extracted:
    stated: dict[str, list[str]] = {}
    modified = None
    for element in package.iter():
        if str(element.tag).startswith("{http://purl.org/dc/elements/1.1/}"):
            stated.setdefault(tag_of(element), []).append("".join(element.itertext()))
        elif tag_of(element) == "meta" and element.get("property") == "dcterms:modified":
            modified = element.text
    found = facts(
        title=stated.get("title", [""])[0],
        author=", ".join(stated.get("creator", [])),
        created=stated.get("date", [""])[0],
        modified=modified,
        language=stated.get("language", [""])[0],
        licence=", ".join(stated.get("rights", [])),
    )
    return Extracted("application/epub+zip", blocks, **found)
