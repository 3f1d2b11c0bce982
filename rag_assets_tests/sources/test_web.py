import gzip
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from rag_assets.lake.delta import Report
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline.stages import SOURCE_FILES
from rag_assets.sources import web
from rag_assets.sources.declaration import Source, SourceError, WebOptions
from rag_assets.sources.listing import opened
from rag_assets_tests.sources.site import Site, running
from rag_assets_tests.world import run_stage

FAST = WebOptions(allow_private=True, delay_s=0)


@pytest.fixture
def source(site: Site) -> Source:
    return Source("web", "web", f"{site.url}/sitemap.xml", web=FAST)


class Refresher:
    """Refreshes the source into one lake, and tells what was stored of it."""

    def __init__(self, store: LakeStore, site: Site) -> None:
        self._store, self._site = store, site
        self.notices: list[str] = []
        self.stage = SOURCE_FILES

    def __call__(self, source: Source, **more: bool) -> tuple[int, int, int]:
        self._site.asked.clear()
        self.notices.clear()
        report: Report = run_stage(
            self.stage, self._store, source, "web.0", notice=self.notices.append, **more
        )
        return len(report.delta.new), len(report.delta.changed), len(report.delta.gone)

    def rows(self) -> dict[str, dict[str, Any]]:
        found = self._store.rows("source_files", "web.0")
        return {row["uri"].removeprefix(f"web:{self._site.url}"): row for row in found}

    def text(self, path: str) -> bytes:
        return self._store.get_blob(self.rows()[path]["raw_hash"])

    def problems(self) -> dict[str, str]:
        return {path: row["problem"] for path, row in self.rows().items() if row["problem"]}


@pytest.fixture
def refresh(store: LakeStore, site: Site) -> Refresher:
    return Refresher(store, site)


def test_pages_are_read_once_and_asked_for_again(
    site: Site, source: Source, refresh: Refresher
) -> None:
    paths = site.documents(3)
    site.pages["/docs/1.html"].headers["Last-Modified"] = "Sun, 01 Nov 2026 08:00:00 GMT"  # type: ignore[union-attr]
    assert refresh(source) == (3, 0, 0)
    assert site.asked == ["/sitemap.xml", "/robots.txt", *paths]
    assert b"Text of /docs/1.html" in refresh.text("/docs/1.html")
    row = refresh.rows()["/docs/1.html"]
    assert (row["etag"], row["last_modified"]) == (
        '"/docs/1.html"', "Sun, 01 Nov 2026 08:00:00 GMT",
    )  # fmt: skip
    assert row["modified_at"].isoformat() == "2026-11-01T08:00:00+00:00"
    assert refresh(source) == (0, 0, 0)
    sent = site.headers[-2]
    assert sent["if-none-match"] == '"/docs/1.html"'
    assert sent["if-modified-since"] == "Sun, 01 Nov 2026 08:00:00 GMT"
    site.page("/docs/1.html", "new text", ETag='"2"')
    assert refresh(source) == (0, 1, 0)
    assert refresh.text("/docs/1.html") == b"new text"


def test_pages_are_kept_as_they_come(site: Site, source: Source, store: LakeStore) -> None:
    """A site of 10,000 large pages once filled the disk of temporary files."""
    for n in range(3):
        site.page(f"/{n}.html", f"<p>Page {n}</p>".encode())
    site.sitemap("/0.html", "/1.html", "/2.html")
    with opened(source, store.put_blob) as listing:
        for page in listing.examine(listing.files(), {}):
            assert store.get_blob(page.raw_hash).startswith(b"<p>Page ")


def test_secrets_of_addresses_are_neither_stored_nor_told(
    site: Site, source: Source, refresh: Refresher
) -> None:
    site.page("/a.html?access_token=hush&page=2", b"<p>text</p>")
    site.page("/b.html?sig=hush", status=403)
    site.sitemap("/a.html?access_token=hush&amp;page=2", "/b.html?sig=hush")
    refresh(source)
    assert sorted(refresh.rows()) == ["/a.html?access_token=***&page=2", "/b.html?sig=***"]
    assert "hush" not in str([*refresh.rows().values(), refresh.notices])
    refresh(source)
    assert "hush" not in str([*refresh.rows().values(), refresh.notices])
    with pytest.raises(SourceError, match="looks like a secret") as caught:
        replace(source, where=f"{site.url}/sitemap.xml?api_key=hush")
    assert "hush" not in str(caught.value)


def test_bytes_that_were_swept_meanwhile_are_asked_for_again(
    site: Site, source: Source, refresh: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.page("/a.html", b"<p>text</p>")
    site.sitemap("/a.html")
    with monkeypatch.context() as patched:
        patched.setattr(LakeStore, "put_blob", lambda *of: None)
        refresh(source)
    assert "its bytes are gone" in refresh.problems()["/a.html"]
    refresh(source)
    assert refresh.text("/a.html") == b"<p>text</p>"


def test_same_bytes_without_validators_are_no_change(
    site: Site, source: Source, refresh: Refresher
) -> None:
    site.page("/a", "text")
    site.sitemap("/a")
    refresh(source)
    before = refresh.rows()["/a"]["modified_at"]
    assert refresh(source) == (0, 0, 0)
    assert refresh.rows()["/a"]["modified_at"] == before


@pytest.mark.parametrize("year", ["1900", "9999"])
def test_a_date_that_no_page_has(site: Site, source: Source, refresh: Refresher, year: str) -> None:
    site.page("/a", "text", Last_Modified=f"Mon, 01 Jan {year} 00:00:00 GMT")
    site.sitemap("/a")
    assert refresh(source) == (1, 0, 0)
    assert refresh.rows()["/a"]["modified_at"].year >= 2026  # when it was first seen
    assert refresh(source) == (0, 0, 0)


def test_another_etag_for_the_same_bytes_changes_no_content(
    site: Site, source: Source, refresh: Refresher, store: LakeStore
) -> None:
    site.page("/a", "text", ETag='"1"')
    site.sitemap("/a")
    refresh(source)
    before = refresh.rows()["/a"]
    site.page("/a", "text", ETag='"2"')
    refresh(source)
    after = refresh.rows()["/a"]
    assert (before["etag"], after["etag"]) == ('"1"', '"2"')
    assert before["row_hash"] == after["row_hash"]


@pytest.mark.parametrize("status", [404, 410])
def test_gone_pages_are_deleted_and_stay_so(
    site: Site, source: Source, refresh: Refresher, status: int
) -> None:
    site.documents(4)
    refresh(source)
    site.page("/docs/2.html", "gone", status=status)
    assert refresh(source) == (0, 0, 1)
    assert refresh(source) == (0, 0, 0)
    assert "/docs/2.html" not in refresh.rows()


def test_page_taken_off_the_list_is_deleted(site: Site, source: Source, refresh: Refresher) -> None:
    paths = site.documents(4)
    refresh(source)
    site.sitemap(*paths[:3])
    assert refresh(source) == (0, 0, 1)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


@pytest.mark.parametrize("trouble", [500, 503, 429, 408, 302, 206, hang_up])
def test_a_page_that_fails_stays_as_it_was(
    site: Site, source: Source, refresh: Refresher,
    trouble: int | Callable[[BaseHTTPRequestHandler], None],
) -> None:  # fmt: skip
    site.documents(4)
    refresh(source)
    before = refresh.rows()["/docs/2.html"]
    good = site.pages["/docs/2.html"]
    if isinstance(trouble, int):
        site.page("/docs/2.html", "<h1>Sorry</h1>", status=trouble)
    else:
        site.pages["/docs/2.html"] = trouble
    assert refresh(source) == (0, 0, 0)
    assert refresh.rows()["/docs/2.html"] == before
    (said,) = refresh.notices
    assert "/docs/2.html stays as it was" in said
    site.pages["/docs/2.html"] = good
    assert refresh(source) == (0, 0, 0)
    assert refresh.notices == []


def test_it_stays_even_when_the_code_has_changed(
    site: Site, source: Source, refresh: Refresher
) -> None:
    # Then every row is computed again, and there are no bytes but those in the lake.
    site.documents(4)
    refresh(source)
    text = refresh.text("/docs/2.html")
    site.page("/docs/2.html", status=500)
    refresh.stage = replace(refresh.stage, version="next")
    assert refresh(source) == (0, 4, 0)
    assert refresh.text("/docs/2.html") == text
    assert refresh.problems() == {}


def test_a_new_page_that_fails_has_a_row_until_it_answers(
    site: Site, source: Source, refresh: Refresher
) -> None:
    site.documents(4)
    site.page("/docs/2.html", status=500)
    assert refresh(source) == (4, 0, 0)
    assert refresh.problems() == {"/docs/2.html": "the server answered 500"}
    assert refresh(source) == (0, 0, 0)
    site.page("/docs/2.html", "back")
    assert refresh(source) == (0, 1, 0)
    assert refresh.problems() == {}
    assert refresh(source)[2] == 0
    assert refresh(source) == (0, 0, 0)


def test_pages_that_are_not_to_be_read_have_their_reason(
    site: Site, source: Source, refresh: Refresher
) -> None:
    site.documents(3)
    site.page("/robots.txt", "User-agent: *\nDisallow: /docs/0")
    site.page("/secret", "no", status=403)
    site.page("/huge", "x" * 2000)
    site.page("/loop", status=302, Location="/loop")
    site.page("/away", status=302, Location="http://elsewhere.example/")
    site.page("/hidden", status=302, Location="/docs/0.html")
    site.sitemap("/docs/0.html", "/docs/1.html", "/docs/2.html", "/secret", "/huge", "/loop",
                 "/away", "/hidden")  # fmt: skip
    refresh(replace(source, web=replace(FAST, max_bytes=1000)))
    assert refresh.problems() == {
        "/docs/0.html": "robots.txt of 127.0.0.1 does not allow it",
        "/secret": "the server answered 403",
        "/huge": "has more than the 1,000 bytes that are read",
        "/loop": "redirects more than 5 times",
        "/away": "is on elsewhere.example; if that is right, add it to web.hosts of this source",
        "/hidden": "robots.txt of 127.0.0.1 does not allow it",
    }
    assert "/docs/0.html" not in site.asked


def test_pages_of_other_hosts_are_not_asked_for(
    site: Site, source: Source, refresh: Refresher
) -> None:
    site.documents(1)
    site.page("/sitemap.xml", f"{site.url}/docs/0.html\nhttp://10.0.0.1/admin\n")
    refresh(source)
    (row,) = [row for row in refresh.rows().values() if row["problem"]]
    assert row["uri"] == "web:http://10.0.0.1/admin"
    assert "add it to web.hosts" in row["problem"]


def test_private_addresses_need_permission(site: Site, source: Source, refresh: Refresher) -> None:
    site.documents(3)
    with pytest.raises(SourceError, match=r"not public.*allow_private: true.*nothing was deleted"):
        refresh(replace(source, web=WebOptions(delay_s=0)))
    assert site.asked == []


def test_redirect_to_a_private_address_is_not_followed(
    site: Site, source: Source, refresh: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The site itself counts as public here, the target's host is one of the source's, and still.
    from rag_assets.sources import addresses

    real = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda a: a == "127.0.0.1" or real(a))
    site.documents(3)
    site.page("/docs/1.html", status=302, Location="http://127.0.0.2:1/admin")
    options = replace(FAST, allow_private=False, hosts=("127.0.0.2:1",))
    refresh(replace(source, web=options))
    assert "127.0.0.2, which is not public" in refresh.problems()["/docs/1.html"]


def test_sitemap_index_with_gzip(site: Site, source: Source, refresh: Refresher) -> None:
    site.documents(4)
    site.sitemap("/docs/0.html", "/docs/1.html", at="/one.xml")
    site.sitemap("/docs/1.html", "/docs/2.html#part", at="/two.xml")
    site.page("/two.xml.gz", gzip.compress(site.pages["/two.xml"].body))  # type: ignore[union-attr]
    index = "".join(
        f"<sitemap><loc>{site.url}/{name}</loc></sitemap>"
        for name in ("one.xml", "two.xml.gz", "sitemap.xml")
    )
    site.page("/sitemap.xml", f"<sitemapindex>{index}</sitemapindex>")
    assert refresh(source) == (3, 0, 0)
    site.page("/two.xml.gz", status=500)
    with pytest.raises(SourceError, match=r"two\.xml\.gz: the server answered 500; nothing"):
        refresh(source)
    assert len(refresh.rows()) == 3


def test_list_on_this_machine(
    site: Site, source: Source, refresh: Refresher, tmp_path: Path
) -> None:
    site.documents(3)
    path = tmp_path / "urls.txt"
    path.write_text(f"# ours\n{site.url}/docs/0.html\n{site.url}/docs/2.html\n")
    assert refresh(replace(source, where=str(path))) == (2, 0, 0)
    index = f"<sitemapindex><sitemap><loc>{site.url}/sitemap.xml</loc></sitemap></sitemapindex>"
    path.write_text(index)
    assert refresh(replace(source, where=str(path))) == (1, 0, 0)
    path.unlink()
    with pytest.raises(SourceError, match="cannot read its list"):
        refresh(replace(source, where=str(path)))


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("**/*",), (), ["/", "/a/b.html", "/c.html?x=1"]),
        (("a/**",), (), ["/a/b.html"]),
        (("**/*.html",), ("a/*",), ["/c.html?x=1"]),
    ],
)
def test_patterns_apply_to_the_path(
    site: Site, source: Source, refresh: Refresher,
    include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str],
) -> None:  # fmt: skip
    for path in ("/", "/a/b.html", "/c.html?x=1"):
        site.page(path, "text")
    site.sitemap("", "/a/b.html", "/c.html?x=1")
    refresh(replace(source, include=include, exclude=exclude))
    assert sorted(refresh.rows()) == expected


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (dict(body="<html>Welcome</html>"), "document <html>"),
        (dict(body="no", status=404), "answered 404"),
        (dict(body="no", status=503), "answered 503"),
        (dict(status=302, Location="http://elsewhere.example/s.xml"), "is on elsewhere.example"),
    ],
)
def test_no_list_deletes_nothing(
    site: Site, source: Source, refresh: Refresher, answer: dict[str, Any], message: str
) -> None:
    site.documents(3)
    refresh(source)
    site.page("/sitemap.xml", **answer)
    with pytest.raises(SourceError, match=f"{message}.*nothing was deleted"):
        refresh(source)
    assert len(refresh.rows()) == 3


def test_site_that_is_down_deletes_nothing(
    store: LakeStore, source: Source, refresh: Refresher, site: Site
) -> None:
    site.documents(3)
    refresh(source)
    with pytest.raises(SourceError, match=r"cannot be reached.*nothing was deleted"):
        refresh(replace(source, where="http://127.0.0.1:1/sitemap.xml"))
    assert len(refresh.rows()) == 3


@pytest.mark.parametrize(("n_failing", "fails"), [(4, False), (5, True)])
def test_more_failing_pages_than_not_end_the_refresh(
    site: Site, source: Source, refresh: Refresher, n_failing: int, fails: bool
) -> None:
    paths = site.documents(8)
    refresh(source)
    before = refresh.rows()
    site.page(paths[-1], "would be a change")
    for path in paths[:n_failing]:
        site.page(path, status=500)
    if fails:
        with pytest.raises(SourceError, match=r"5 of 8 pages failed, .* 500; nothing was deleted"):
            refresh(source)
        assert refresh.rows() == before
    else:
        assert refresh(source) == (0, 1, 0)
        assert len(refresh.notices) == n_failing


def test_a_site_that_went_down_is_not_asked_for_all_pages(
    site: Site, source: Source, refresh: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "FAILED_IN_A_ROW", 3)
    for path in site.documents(20)[5:]:
        site.page(path, status=503)
    with pytest.raises(SourceError, match="3 of 20 pages failed"):
        refresh(source)


def test_failures_here_and_there_are_no_site_that_went_down(
    site: Site, source: Source, refresh: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "FAILED_IN_A_ROW", 3)
    for path in site.documents(9)[::2][:4]:
        site.page(path, status=503)
    assert refresh(source) == (9, 0, 0)


def test_robots_that_cannot_be_had_end_the_refresh(
    site: Site, source: Source, refresh: Refresher
) -> None:
    site.documents(3)
    refresh(source)
    site.page("/robots.txt", status=500)
    with pytest.raises(SourceError, match=r"robots.txt of 127.0.0.1: the server answered 500"):
        refresh(source)
    assert len(refresh.rows()) == 3


def test_sitemaps_that_name_no_page_or_too_many_lists(
    site: Site, source: Source, refresh: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def index(*places: str) -> str:
        entries = "".join(f"<sitemap><loc>{place}</loc></sitemap>" for place in places)
        return f"<sitemapindex>{entries}</sitemapindex>"

    site.page("/sitemap.xml", index("file:///etc/passwd"))
    with pytest.raises(SourceError, match=r"'file:///etc/passwd', which is no http\(s\) URL"):
        refresh(source)
    monkeypatch.setattr(web, "MAX_LISTS", 3)
    site.page("/sitemap.xml", index(*(f"{site.url}/{n}.xml" for n in range(3))))
    for n in range(3):
        site.sitemap(at=f"/{n}.xml")
    with pytest.raises(SourceError, match="more than 3 sitemaps"):
        refresh(source)


def test_too_many_pages_are_refused(site: Site, source: Source, refresh: Refresher) -> None:
    site.documents(3)
    with pytest.raises(SourceError, match=r"lists more pages than web.max_pages \(2\)"):
        refresh(replace(source, web=replace(FAST, max_pages=2)))


def test_no_further_list_is_read_when_there_are_too_many_pages(
    site: Site, source: Source, refresh: Refresher
) -> None:
    site.sitemap("/1", "/2", "/3", at="/one.xml")
    entries = "".join(
        f"<sitemap><loc>{site.url}/{name}.xml</loc></sitemap>" for name in ("one", "two")
    )
    site.page("/sitemap.xml", f"<sitemapindex>{entries}</sitemapindex>")
    with pytest.raises(SourceError, match="more pages than"):
        refresh(replace(source, web=replace(FAST, max_pages=2)))
    assert site.asked == ["/sitemap.xml", "/one.xml"]


def test_robots_txt_leads_to_no_other_host(site: Site, source: Source, refresh: Refresher) -> None:
    site.documents(3)
    with running() as other:
        site.page("/robots.txt", status=302, Location=f"{other.url}/admin?delete=all")
        with pytest.raises(SourceError, match=r"robots.txt of 127.0.0.1: is on 127.0.0.1:"):
            refresh(source)
        assert other.asked == []
