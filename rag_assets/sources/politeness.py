"""What a site asks of its visitors: robots.txt, and time between requests.

protego rather than the standard library's parser, which knows neither ``*`` nor ``$`` in paths and
lets the first rule win, where RFC 9309 wants the longest. The Scrapy project maintains protego.
"""

import re
import time
from collections.abc import Callable

import httpx
from protego import Protego

from rag_assets.sources.fetch import FailedError, Fetcher, RefusedError

MAX_ROBOTS_BYTES = 512_000  # RFC 9309 wants at least 500 KiB to be read
MAX_DELAY_S = 60.0


class Politeness:
    """Admits requests to hosts, one after another, as their robots.txt allows.

    Args:
        fetcher: gets robots.txt itself.
        user_agent: its first word is the name that robots.txt may speak to.
        delay_s: seconds between two requests to one host, unless it asks for more.
        elsewhere: says why a URL is none to ask, robots.txt and redirects included; or None.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        user_agent: str,
        delay_s: float,
        *,
        elsewhere: Callable[[httpx.URL], str | None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fetcher = fetcher
        matched = re.match(r"[a-zA-Z_-]+", user_agent)
        self._name = matched.group() if matched else user_agent
        self._delay_s = delay_s
        self._elsewhere = elsewhere
        self._sleep = sleep
        self._rules: dict[str, Protego | FailedError] = {}
        self._next: dict[str, float] = {}

    def pace(self, url: httpx.URL) -> None:
        """Wait until the host may be asked again.

        Raises:
            RefusedError: it is none to ask.
        """
        self._stay(url)
        site = site_of(url)
        self._sleep(max(0.0, self._next.get(site, 0.0) - time.monotonic()))
        rules = self._rules.get(_origin(url))
        asked = rules.crawl_delay(self._name) if isinstance(rules, Protego) else None
        self._next[site] = time.monotonic() + max(self._delay_s, float(asked or 0))

    def admit(self, url: httpx.URL) -> None:
        """Wait, if the page may be asked for at all.

        Raises:
            RefusedError: the host is none to ask; robots.txt says no, or wants pauses that no
                refresh can keep.
            FailedError: robots.txt cannot be read; all pages are forbidden until it can.
        """
        self._stay(url)
        origin = _origin(url)
        if origin not in self._rules:
            try:
                self._rules[origin] = self._robots(url)
            except (FailedError, RefusedError) as error:
                self._rules[origin] = FailedError(f"robots.txt of {url.host}: {error}")
        rules = self._rules[origin]
        if isinstance(rules, FailedError):
            raise FailedError(str(rules))
        if not rules.can_fetch(str(url), self._name):
            raise RefusedError(f"robots.txt of {url.host} does not allow it")
        asked = rules.crawl_delay(self._name)
        if asked is not None and asked > MAX_DELAY_S:
            raise RefusedError(
                f"robots.txt of {url.host} asks for {asked:g} s between requests; at most "
                f"{MAX_DELAY_S:g} s are waited"
            )
        self.pace(url)

    def _stay(self, url: httpx.URL) -> None:
        if (why := self._elsewhere(url)) is not None:
            raise RefusedError(why)

    def _robots(self, url: httpx.URL) -> Protego:
        answer = self._fetcher.get(
            url.copy_with(raw_path=b"/robots.txt"), admit=self.pace, max_bytes=MAX_ROBOTS_BYTES
        )
        if 400 <= answer.status < 500 and answer.status != 429:
            return Protego.parse("")  # none there: all is allowed
        if answer.status != 200:
            raise FailedError(f"the server answered {answer.status}")
        return Protego.parse(answer.data.decode("utf-8", "replace"))


def site_of(url: httpx.URL) -> str:
    """``host``, or ``host:port`` where the port is not the scheme's own."""
    return url.host if url.port is None else f"{url.host}:{url.port}"


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{site_of(url)}"
