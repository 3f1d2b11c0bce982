import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.sources import sitemaps
from rag_assets.sources.sitemaps import ListError, UrlList, page_url, parse_list

NS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def test_sitemap() -> None:
    data = (
        f'<?xml version="1.0"?><urlset {NS} xmlns:i="urn:i"><!-- c --><url><loc> http://a/1 </loc>'
        "<i:image><i:loc>http://a/image.png</i:loc></i:image></url>"
        "<url><loc>http://a/2?x=1&amp;y=2</loc><lastmod>2026-01-01</lastmod></url></urlset>"
    ).encode()
    wanted = UrlList(pages=("http://a/1", "http://a/2?x=1&y=2"))
    assert parse_list(data) == wanted
    assert parse_list(gzip.compress(b"\xef\xbb\xbf\n" + data)) == wanted


def test_index() -> None:
    data = f"<sitemapindex {NS}><sitemap><loc>http://a/s.xml.gz</loc></sitemap></sitemapindex>"
    assert parse_list(data.encode()) == UrlList(lists=("http://a/s.xml.gz",))


def test_text() -> None:
    data = b"\xef\xbb\xbf# pages\nhttp://a/1\r\n\n  https://b/2  \n"
    assert parse_list(data) == UrlList(pages=("http://a/1", "https://b/2"))
    assert parse_list(b"") == UrlList()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html><body>Not found</body></html>", "document <html>"),
        (f"<urlset {NS}><url><loc>http://a/1".encode(), "XML that cannot be read"),
        (b"<?xml version='1.0'?>", "XML that cannot be read"),
        (gzip.compress(b"http://a/1", mtime=0)[:-4], "gzip"),
        (b"\x1f\x8bnot gzip", "gzip"),
        (b"http://a/1\nsome words", "line 2: expected an http"),
        (b"ftp://a/1", "line 1"),
        (b"\xff\xfe\x00", "no UTF-8"),
    ],
)
def test_what_is_no_list(data: bytes, message: str) -> None:
    with pytest.raises(ListError, match=message):
        parse_list(data)


def test_no_entity_is_expanded_and_no_file_read() -> None:
    bomb = '<!DOCTYPE u [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM '
    bomb += f'"file:///etc/passwd">]><urlset {NS}><url><loc>http://a/&b;&f;</loc></url></urlset>'
    assert parse_list(bomb.encode()) == UrlList(pages=("http://a/",))


def test_size_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemaps, "MAX_LIST_BYTES", 1000)
    with pytest.raises(ListError, match="more than the 1,000 bytes"):
        parse_list(gzip.compress(b"#" * 1001))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://A.example:80", "http://a.example/"),
        ("https://a.example/x#part", "https://a.example/x"),
        ("https://bücher.example/ä b", "https://xn--bcher-kva.example/%C3%A4%20b"),
        ("ftp://a/", None),
        ("/relative", None),
        ("http://user:pw@a/", None),
        ("http://", None),
        ("http://[::1", None),
        ("http://a:99999999/", None),
        ("javascript:alert(1)", None),
    ],
)
def test_urls_have_one_form(text: str, url: str | None) -> None:
    found = page_url(text)
    assert (None if found is None else str(found)) == url


@given(st.text())
def test_any_text_is_a_url_or_is_not(text: str) -> None:
    found = page_url(text)
    assert found is None or page_url(str(found)) == found


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_are_not(data: bytes) -> None:
    try:
        found = parse_list(data)
    except ListError:
        return
    assert all(page_url(text) is not None for text in found.pages) or data.lstrip()[:1] == b"<"
