"""One GET over HTTP: redirects one by one, with limits of size and time.

httpcore (the base of httpx) rather than httpx: its connections take a network backend of ours, and
its bodies arrive as they were sent, so that decompression has a limit.
"""

import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import httpcore
import httpx

from rag_assets.errors import RagError
from rag_assets.sources.addresses import ForbiddenAddressError, GuardedBackend

DEADLINE_S = 60.0  # for one response, from connecting to its last byte
STEP_S = 10.0  # for connecting, and for each read
MAX_REDIRECTS = 5
REDIRECTS = {301, 302, 303, 307, 308}

Admit = Callable[[httpx.URL], None]


class FailedError(RagError):
    """This time there was no answer that counts; it says nothing about the page."""


class RefusedError(RagError):
    """The answer was there, and it says that this page is not to be read."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server gave with a state of ``url``, to ask whether it is still in that state."""

    url: str
    etag: str | None
    last_modified: str | None

    def headers(self, url: httpx.URL) -> dict[str, str]:
        """Conditions for a request; none if they are of another URL."""
        if str(url) != self.url:
            return {}
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class Response:
    """A response that is no redirect; ``data`` is decompressed, and empty if not 200."""

    url: str  # that answered, after redirects
    status: int
    headers: Mapping[str, str]  # names in lower case
    data: bytes


class Fetcher:
    """Connections for one refresh, to public addresses or to all; close it when done."""

    def __init__(self, user_agent: str, *, allow_private: bool) -> None:
        self._agent = user_agent
        self._backend = GuardedBackend(allow_private)
        # Proxies of the environment are not asked: they would connect where we must not.
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=4,
            keepalive_expiry=5,
            network_backend=self._backend,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def get(
        self,
        url: httpx.URL,
        *,
        admit: Admit,
        max_bytes: int,
        validators: Validators | None = None,
    ) -> Response:
        """Ask for a page, following at most ``MAX_REDIRECTS``.

        Args:
            url: absolute, http or https.
            admit: called before each request, redirects included; raises if it may not be made.
            max_bytes: of the body, decompressed.
            validators: make the request conditional, so that 304 can be the answer.

        Raises:
            FailedError: no answer, or not a whole one, in time.
            RefusedError: too large, redirected in a circle or to what is no page.
        """
        for _ in range(MAX_REDIRECTS + 1):
            if url.scheme not in ("http", "https") or not url.host:
                raise RefusedError(f"leads to {url}, which is not http(s)")
            admit(url)
            conditions = {} if validators is None else validators.headers(url)
            found = self._get(url, conditions, max_bytes)
            if found.status not in REDIRECTS or "location" not in found.headers:
                return found
            try:
                url = url.join(found.headers["location"]).copy_with(fragment=None)
            except (httpx.InvalidURL, ValueError) as error:
                raise RefusedError(f"redirects to what is no URL: {error}") from error
        raise RefusedError(f"redirects more than {MAX_REDIRECTS} times")

    def _get(self, url: httpx.URL, conditions: Mapping[str, str], max_bytes: int) -> Response:
        self._backend.deadline = time.monotonic() + DEADLINE_S
        timeout = {"connect": STEP_S, "read": STEP_S, "write": STEP_S, "pool": STEP_S}
        headers = {
            "Host": url.netloc.decode(),
            "User-Agent": self._agent,
            "Accept": "text/html, application/xhtml+xml, application/pdf, text/*;q=0.9, */*;q=0.5",
            "Accept-Encoding": "gzip",
            **conditions,
        }
        core_url = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        try:
            with self._pool.stream(
                "GET",
                core_url,
                headers=[
                    (name.encode(), value.encode("latin-1")) for name, value in headers.items()
                ],
                extensions={"timeout": timeout},
            ) as answer:
                named = {
                    k.decode("latin-1").lower(): v.decode("latin-1") for k, v in answer.headers
                }
                data = b""
                if answer.status == 200:
                    data = _body(answer.iter_stream(), named, max_bytes)
                return Response(str(url), answer.status, named, data)
        except ForbiddenAddressError as error:
            raise FailedError(str(error)) from error
        except httpcore.TimeoutException as error:
            raise FailedError(f"{url.host} did not answer in time ({error})") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise FailedError(f"{url.host} cannot be reached: {error}") from error


def _body(chunks: Iterable[bytes], headers: Mapping[str, str], max_bytes: int) -> bytes:
    """The decompressed body; at most ``max_bytes`` of it are read.

    Raises:
        RefusedError: it is larger.
        FailedError: it is not compressed as it says.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip", "deflate"):
        return inflate(chunks, max_bytes)
    if encoding not in ("identity", ""):
        raise FailedError(f"is compressed by {encoding}, which was not asked for")
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    parts, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        parts.append(chunk)
    return b"".join(parts)


def inflate(chunks: Iterable[bytes], max_bytes: int) -> bytes:
    """What compressed bytes hold, in the form of gzip or zlib.

    Raises:
        RefusedError: more than ``max_bytes``.
        FailedError: they are damaged.
    """
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: gzip's header, or zlib's
    parts, size = [], 0
    try:
        for chunk in chunks:
            part = decoder.decompress(chunk, max_bytes - size + 1)
            size += len(part)
            if size > max_bytes:
                raise _too_large(max_bytes)
            parts.append(part)
    except zlib.error as error:
        raise FailedError(f"is not compressed as it says: {error}") from error
    if not decoder.eof or decoder.unused_data:
        raise FailedError("is not compressed as it says: it ends too early, or goes on")
    return b"".join(parts)


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(f"has more than the {max_bytes:,} bytes that are read")
