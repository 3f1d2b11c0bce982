"""List and read pages over HTTP, named by a sitemap or a list of URLs.

Listing requests only the lists. The state of a page is known only after a request for it, so
``examine`` requests each page, on the condition that it changed since the last refresh:

- 200: its bytes are kept at once, so that no more than one page is held at a time;
- 304, or no usable answer (5xx, a timeout): the stored page is kept;
- 404, 410: the page is gone, like a deleted file;
- robots.txt, other 4xx, too large, a redirect away from the source's hosts: a row with a problem.

If a list cannot be read completely, or more pages fail than succeed, the refresh stops.
"""

from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from time import time_ns

import httpx

from rag_assets.lake.identity import bytes_hash
from rag_assets.sources.declaration import Source, SourceError, without_secrets
from rag_assets.sources.fetch import FailedError, Fetcher, RefusedError, Response, Validators
from rag_assets.sources.found import (
    FoundFile,
    Keep,
    UnreadableError,
    is_wanted,
    open_regular,
    since_1970_ns,
)
from rag_assets.sources.politeness import Politeness, site_of
from rag_assets.sources.sitemaps import MAX_LIST_BYTES, ListError, UrlList, page_url, parse_list

MAX_LISTS = 1000
FAILED_IN_A_ROW = 10  # then the site is down, and the other pages need not be waited for
TRY_LATER = {408, 425, 429}


class WebListing:
    """Pages of the hosts that the source names.

    Args:
        source: of kind web.
        fetcher: makes the requests.
        keep: takes the hash and the bytes of a page that was asked for.
    """

    def __init__(self, source: Source, fetcher: Fetcher, keep: Keep) -> None:
        self._source = source
        self._fetcher = fetcher
        self._polite = Politeness(
            fetcher, source.web.user_agent, source.web.delay_s, elsewhere=self._elsewhere
        )
        self._keep = keep
        self._sites = set(source.web.hosts)
        self.notices: list[str] = []

    def files(self) -> Sequence[FoundFile]:
        """Every page that the lists name, once, in order of URL; no page is requested."""
        first = page_url(self._source.where)
        if first is None:
            start = self._parsed(self._source.where, self._local())
            named = (page_url(text) for text in (*start.pages, *start.lists))
            self._sites.update(*(_sites(url) for url in named))
        else:
            start = UrlList(lists=(str(first),))
            self._sites |= _sites(first)
        found: dict[str, FoundFile] = {}
        for text in self._crawled(start):
            if (file := self._found(text)) is not None:
                found[file.uri] = file
            if len(found) > self._source.web.max_pages:  # at once: lists may go on without end
                raise self._error(
                    f"lists more pages than web.max_pages ({self._source.web.max_pages:,}); "
                    "raise it, or narrow 'include'"
                )
        return [found[uri] for uri in sorted(found)]

    def _local(self) -> bytes:
        try:
            with open_regular(self._source.where) as stream:
                return stream.read()
        except OSError as error:
            raise self._error(f"cannot read its list: {error}; bring it back") from error

    def _crawled(self, start: UrlList) -> Iterator[str]:
        """The pages of a list and of all lists that it leads to."""
        seen: set[str] = set()
        yield from start.pages
        waiting = self._new_lists(start, seen)
        while waiting:
            url = waiting.pop(0)
            found = self._parsed(without_secrets(str(url)), self._list_at(url))
            yield from found.pages
            waiting += self._new_lists(found, seen)

    def _new_lists(self, found: UrlList, seen: set[str]) -> list[httpx.URL]:
        new = []
        for text in found.lists:
            url = page_url(text)
            if url is None:
                raise self._error(f"names a sitemap {text[:200]!r}, which is no http(s) URL")
            if str(url) not in seen:
                seen.add(str(url))
                new.append(url)
        if len(seen) > MAX_LISTS:
            raise self._error(f"has more than {MAX_LISTS} sitemaps; split it")
        return new

    def _list_at(self, url: httpx.URL) -> bytes:
        shown = without_secrets(str(url))
        try:
            answer = self._fetcher.get(url, admit=self._polite.pace, max_bytes=MAX_LIST_BYTES)
        except (FailedError, RefusedError) as error:
            raise self._error(f"cannot get {shown}: {error}") from error
        if answer.status != 200:
            raise self._error(f"cannot get {shown}: the server answered {answer.status}")
        return answer.data

    def _parsed(self, place: str, data: bytes) -> UrlList:
        try:
            return parse_list(data)
        except ListError as error:
            raise self._error(f"{place}: {error}") from error

    def _found(self, text: str) -> FoundFile | None:
        url = page_url(text)
        place = text if url is None else str(url)
        if url is not None and not is_wanted(url.path.removeprefix("/"), self._source):
            return None
        problem = "is no http(s) URL" if url is None else self._elsewhere(url)
        state = f"problem:{problem}" if problem else "listed"
        uri = f"{self._source.name}:{without_secrets(place)}"
        return FoundFile(uri, place, 0, 0, state, problem)

    def _elsewhere(self, url: httpx.URL) -> str | None:
        if site_of(url) in self._sites:
            return None
        return f"is on {site_of(url)}; if that is right, add it to web.hosts of this source"

    def examine(
        self, files: Sequence[FoundFile], known: Mapping[str, FoundFile]
    ) -> Iterator[FoundFile]:
        """Ask for each page; see the module's list of what may come of it."""
        n_failed = in_a_row = 0
        said = ""
        asked = [file for file in files if file.problem is None]
        yield from (file for file in files if file.problem is not None)
        for file in asked:
            before = known.get(file.uri)
            try:
                now = self._asked(file, before)
            except FailedError as error:
                n_failed, in_a_row, said = n_failed + 1, in_a_row + 1, f"{file.uri}: {error}"
                now = self._as_it_was(file, before, str(error))
                if n_failed * 2 > len(asked) or in_a_row >= FAILED_IN_A_ROW:
                    raise self._error(
                        f"{n_failed} of {len(asked)} pages failed, the last was {said}"
                    ) from error
            else:
                in_a_row = 0
            if now is not None:
                yield now

    def _asked(self, file: FoundFile, before: FoundFile | None) -> FoundFile | None:
        validators = None
        if before is not None and before.problem is None:
            validators = Validators(before.path, before.etag, before.last_modified)
        try:
            answer = self._fetcher.get(
                httpx.URL(file.path),
                admit=self._polite.admit,
                max_bytes=self._source.web.max_bytes,
                validators=validators,
            )
        except RefusedError as error:
            return _with_problem(file, str(error))
        if answer.status == 200:
            return self._kept(file, answer)
        if answer.status == 304 and before is not None:
            return before
        if answer.status in (404, 410):
            return None
        if 400 <= answer.status < 500 and answer.status not in TRY_LATER:
            return _with_problem(file, f"the server answered {answer.status}")
        raise FailedError(f"the server answered {answer.status}")

    def _as_it_was(self, file: FoundFile, before: FoundFile | None, why: str) -> FoundFile:
        if before is None or before.problem is not None:
            return _with_problem(file, why)
        self.notices.append(f"{file.uri} stays as it was: {why}")
        return before

    def _kept(self, file: FoundFile, answer: Response) -> FoundFile:
        digest = bytes_hash(answer.data)
        self._keep(digest, answer.data)
        etag, modified = answer.headers.get("etag"), answer.headers.get("last-modified")
        return FoundFile(
            file.uri,
            without_secrets(answer.url),
            len(answer.data),
            _since_1970_ns(modified),
            f"{digest}:{etag or ''}:{modified or ''}",
            etag=etag,
            last_modified=modified,
            raw_hash=digest,
        )

    def read(self, file: FoundFile) -> bytes:
        """Refuse: a page's bytes come with the answer that tells its state, and are kept then."""
        raise UnreadableError("cannot be read: the page was not asked for")

    def _error(self, what: str) -> SourceError:
        return SourceError(f"source {self._source.name}: {what}; nothing was deleted")


def _sites(url: httpx.URL | None) -> set[str]:
    """The URL's site with and without "www."."""
    if url is None:
        return set()
    site = site_of(url)
    return {site, site.removeprefix("www."), f"www.{site}"}


def _with_problem(file: FoundFile, problem: str) -> FoundFile:
    return FoundFile(file.uri, without_secrets(file.path), 0, 0, f"problem:{problem}", problem)


def _since_1970_ns(last_modified: str | None) -> int:
    """A page's own date; now, if it states none: that is when these bytes were first seen."""
    try:
        stated = since_1970_ns(parsedate_to_datetime(last_modified or "").timestamp())
    except (ValueError, TypeError, OverflowError, OSError):
        stated = None
    return time_ns() if stated is None else stated
