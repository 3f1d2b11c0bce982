import time
from collections.abc import Iterator

import httpx
import pytest

from rag_assets.sources.fetch import FailedError, Fetcher, RefusedError
from rag_assets.sources.politeness import Politeness, site_of
from rag_assets_tests.sources.site import Site


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def polite(slept: list[float]) -> Iterator[Politeness]:
    with Fetcher("rag_assets", allow_private=True) as fetcher:
        yield Politeness(
            fetcher, "rag_assets/1 (mail)", 0.5, elsewhere=lambda url: None, sleep=slept.append
        )


def allowed(polite: Politeness, site: Site, path: str) -> bool:
    try:
        polite.admit(httpx.URL(site.url + path))
    except RefusedError:
        return False
    return True


def test_robots_rules(polite: Politeness, site: Site) -> None:
    site.page(
        "/robots.txt",
        "User-agent: *\nDisallow: /\n\n"
        "User-agent: rag_assets\nDisallow: /private\nAllow: /private/open\nDisallow: /*.php$\n",
    )
    found = {
        path: allowed(polite, site, path)
        for path in ("/a", "/private/a", "/private/open/a", "/a.php", "/a.php?x=1")
    }
    assert found == {
        "/a": True, "/private/a": False, "/private/open/a": True, "/a.php": False,
        "/a.php?x=1": True,
    }  # fmt: skip
    assert site.asked == ["/robots.txt"]  # asked for once


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_no_robots_allows_all(polite: Politeness, site: Site, status: int) -> None:
    site.page("/robots.txt", "User-agent: *\nDisallow: /", status=status)
    assert allowed(polite, site, "/a")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_robots_that_cannot_be_had_forbid_all(polite: Politeness, site: Site, status: int) -> None:
    site.page("/robots.txt", status=status)
    for _ in range(2):
        with pytest.raises(FailedError, match=f"robots.txt of 127.0.0.1: .* answered {status}"):
            polite.admit(httpx.URL(f"{site.url}/a"))
    assert site.asked == ["/robots.txt"]


def test_redirected_robots_count(polite: Politeness, site: Site) -> None:
    site.page("/robots.txt", status=301, Location="/other.txt")
    site.page("/other.txt", "User-agent: *\nDisallow: /a")
    assert not allowed(polite, site, "/a")


@pytest.mark.parametrize(("asked", "waited"), [("", 0.5), ("Crawl-delay: 0.1", 0.5),
                                               ("Crawl-delay: 7", 7.0)])  # fmt: skip
def test_pause_between_requests(
    polite: Politeness, site: Site, slept: list[float], asked: str, waited: float
) -> None:
    site.page("/robots.txt", f"User-agent: *\n{asked}\nDisallow: /x")
    polite.admit(httpx.URL(f"{site.url}/a"))
    polite.admit(httpx.URL(f"{site.url}/b"))
    assert slept[-1] == pytest.approx(waited, abs=0.1)


def test_a_pause_of_an_hour_is_refused(polite: Politeness, site: Site) -> None:
    site.page("/robots.txt", "User-agent: *\nCrawl-delay: 3600")
    with pytest.raises(RefusedError, match="asks for 3600 s between"):
        polite.admit(httpx.URL(f"{site.url}/a"))


def test_hosts_wait_for_themselves_only(polite: Politeness, slept: list[float]) -> None:
    polite.pace(httpx.URL("http://a.example/1"))
    polite.pace(httpx.URL("http://b.example/1"))
    assert slept == [0.0, 0.0]
    polite.pace(httpx.URL("http://a.example/2"))
    assert slept[-1] > 0.4


def test_it_really_waits(site: Site) -> None:
    with Fetcher("t", allow_private=True) as fetcher:
        polite = Politeness(fetcher, "t", 0.1, elsewhere=lambda url: None)
        began = time.monotonic()
        for path in "abc":
            polite.admit(httpx.URL(f"{site.url}/{path}"))
        assert time.monotonic() - began >= 0.29  # robots.txt is a request, too


def test_site_has_its_port_unless_it_is_the_usual_one() -> None:
    assert site_of(httpx.URL("https://A.example:443/x")) == "a.example"
    assert site_of(httpx.URL("http://a.example:8080/x")) == "a.example:8080"
