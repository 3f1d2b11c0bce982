"""Lists of URLs: sitemaps, indexes of sitemaps, and plain text with one URL a line."""

from dataclasses import dataclass

import httpx
from lxml import etree

from rag_assets.errors import RagError
from rag_assets.sources.fetch import FailedError, RefusedError, inflate

MAX_LIST_BYTES = 52_428_800  # sitemaps.org's own limit, uncompressed
GZIP = b"\x1f\x8b"


class ListError(RagError):
    """These bytes are no list of URLs; the message says what they are."""


@dataclass(frozen=True, slots=True)
class UrlList:
    """What a list names: pages, and further lists."""

    pages: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()


def parse_list(data: bytes) -> UrlList:
    """Read a sitemap (urlset or sitemapindex, gzipped or not) or a text list.

    Raises:
        ListError: it is neither, or damaged. A list is taken whole or not at all.
    """
    if data.startswith(GZIP):
        try:
            data = inflate([data], MAX_LIST_BYTES)
        except (FailedError, RefusedError) as error:
            raise ListError(f"its gzip file {error}") from error
    if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return _from_xml(data)
    return _from_text(data)


def _from_xml(data: bytes) -> UrlList:
    # Nothing outside the file is loaded, and no entity is expanded.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(data.removeprefix(b"\xef\xbb\xbf").lstrip(), parser)
    except etree.XMLSyntaxError as error:
        raise ListError(f"expected a sitemap, got XML that cannot be read: {error}") from error
    kind = etree.QName(root).localname
    if kind not in ("urlset", "sitemapindex"):
        raise ListError(f"expected a sitemap or a list of URLs, got a document <{kind}>")
    places = tuple(
        (child.text or "").strip()
        for entry in root.iterchildren(tag=etree.Element)
        for child in entry.iterchildren(tag=etree.Element)
        if etree.QName(child).localname == "loc"
    )
    return UrlList(lists=places) if kind == "sitemapindex" else UrlList(pages=places)


def _from_text(data: bytes) -> UrlList:
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ListError(f"expected text with one URL a line, got no UTF-8: {error}") from error
    pages = []
    for number, line in enumerate(lines, start=1):
        if (text := line.strip()) and not text.startswith("#"):
            if page_url(text) is None:
                raise ListError(f"line {number}: expected an http(s) URL, got {text[:100]!r}")
            pages.append(text)
    return UrlList(pages=tuple(pages))


def page_url(text: str) -> httpx.URL | None:
    """The URL in its one form, without a fragment; None if it is not http(s) of some host."""
    try:
        url = httpx.URL(text).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError, UnicodeError):
        return None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        return None
    if not 0 < (url.port or 80) < 65536:
        return None
    return url.copy_with(raw_path=url.raw_path)  # its "/" where there is no path
