"""A server of OpenAI's HTTP interface: requests, retries, and errors as sentences."""

import json
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.stop import stop_before_delay

from rag_assets.models.clients.leaving import acquired, leave_early, sleep
from rag_assets.models.errors import (
    ContextExceededError,
    EngineUnavailableError,
    ModelRequestError,
)
from rag_assets.telemetry import passed_on

FAILURES_TO_OPEN = 5  # in a row; then the server is left alone for a while
OPEN_S = 20.0
FIRST_WAIT_S = 0.5  # before the first retry; doubles, with jitter
LONGEST_WAIT_S = 20.0
START = "start the engines with `rag up`"  # where they are our own
TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
STREAM = "text/event-stream"
Hear = Callable[[Mapping[str, Any]], None]
_CONTEXT_WORDS = ("context length", "context_length", "maximum context", "context window", "n_ctx")


class _TransientError(Exception):
    """A request that may succeed when it is made again."""

    def __init__(self, what: str, *, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.wait_s = wait_s


@dataclass(slots=True)
class _Breaker:
    """Leaves a server alone that failed several times in a row.

    A library's (pybreaker 1.4) makes one call at a time, as it holds its lock during calls.
    """

    failures: int = 0
    open_until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def seconds_left(self) -> float:
        """How long the server is still left alone; 0: it may be asked."""
        with self.lock:
            left = self.open_until - time.monotonic()
            if left <= 0 < self.open_until:  # one caller tries, the others wait for the outcome
                self.open_until = time.monotonic() + OPEN_S
            return max(0.0, left)

    def record(self, *, ok: bool) -> None:
        """Count an outcome."""
        with self.lock:
            self.failures = 0 if ok else self.failures + 1
            self.open_until = (
                time.monotonic() + OPEN_S if self.failures >= FAILURES_TO_OPEN else 0.0
            )


def nobody_answers(who: str, where: str, remedy: str = START) -> EngineUnavailableError:
    """The error where nobody answers."""
    return EngineUnavailableError(f"no engine answers for {who} at {where}; {remedy}")


class Server:
    """Posts JSON to one server; thread-safe.

    Args:
        who: names it in errors, for example ``role llm``.
        base_url: up to and with ``/v1``.
        key_env: the variable of the environment that holds the key; read at each request.
        retries: after a transient failure, within a request's own time.
        concurrency: requests at the same time; None: no limit.
        extra_body: further fields of each request.
        trust_env: whether the proxies of the environment are used.
        remedy: what to do when nobody answers.
    """

    def __init__(
        self,
        who: str,
        base_url: str,
        *,
        key_env: str = "",
        retries: int = 0,
        concurrency: int | None = None,
        extra_body: Mapping[str, Any] | None = None,
        trust_env: bool = False,
        remedy: str = START,
    ) -> None:
        self.who = who
        self.base_url = base_url.rstrip("/")
        parts = urlsplit(self.base_url)
        self.root = f"{parts.scheme}://{parts.netloc}"
        self._key_env = key_env
        self._retries = retries
        self._gate = None if concurrency is None else threading.BoundedSemaphore(concurrency)
        self._extra_body = dict(extra_body or {})
        self._remedy = remedy
        self._breaker = _Breaker()
        self._client = httpx.Client(trust_env=trust_env)
        leave_early(self._client)
        # clients are handed around and kept; nobody could say who should close them
        weakref.finalize(self, self._client.close)

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        timeout_s: float,
        *,
        final: frozenset[int] = frozenset(),
        hear: Hear | None = None,
    ) -> dict[str, Any]:
        """The answer to a request; empty where it came as a stream.

        Args:
            path: below ``base_url``; with the whole address, that one.
            body: sent as JSON, with ``extra_body``.
            timeout_s: for the request, its place in the queue and its retries.
            final: statuses that mean a refusal here, though they are retried elsewhere.
            hear: called with each chunk of a stream.

        Raises:
            EngineUnavailableError: nobody answers, or the server is busy or failing.
            ModelRequestError: refused, unreadable, or not answered in time.
            GoneError: nobody waits for it any more; see ``leaving``.
        """
        return self._request("POST", path, {**body, **self._extra_body}, timeout_s, final, hear)

    def get(self, path: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Likewise, without a body."""
        return self._request("GET", path, None, timeout_s, frozenset())

    def unavailable(self, why: str = "") -> EngineUnavailableError:
        """The error where nobody answers."""
        because = f" ({why})" if why else ""
        return nobody_answers(self.who, f"{self.root}{because}", self._remedy)

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        timeout_s: float,
        final: frozenset[int],
        hear: Hear | None = None,
    ) -> dict[str, Any]:
        # An engine of our own comes back by itself; only others are left alone.
        left = self._breaker.seconds_left() if self._retries else 0.0
        if left:
            raise self.unavailable(
                f"it failed {self._breaker.failures} times in a row and is asked again in "
                f"{left:.0f} s"
            )
        deadline = time.monotonic() + timeout_s
        url = path if "://" in path else self.base_url + path
        if self._gate is not None and not acquired(self._gate, timeout_s):
            raise self.unavailable(f"all its requests were taken for {timeout_s:.0f} s")
        try:
            answer = self._retrying(timeout_s)(
                self._once, method, url, body, deadline, TRANSIENT - final, hear
            )
        except _TransientError as error:
            self._breaker.record(ok=False)
            raise self.unavailable(str(error)) from error
        except httpx.TimeoutException as error:
            self._breaker.record(ok=False)
            raise ModelRequestError(
                f"{self.who} did not answer within {timeout_s:.0f} s; "
                "ask for fewer tokens or wait longer"
            ) from error
        finally:
            if self._gate is not None:
                self._gate.release()
        self._breaker.record(ok=True)
        return answer

    def _retrying(self, timeout_s: float) -> Retrying:
        return Retrying(
            stop=stop_after_attempt(1 + self._retries) | stop_before_delay(timeout_s),
            wait=_wait,
            retry=retry_if_exception_type(_TransientError),
            sleep=sleep,
            reraise=True,
        )

    def _once(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        deadline: float,
        transient: frozenset[int],
        hear: Hear | None,
    ) -> dict[str, Any]:
        timeout = max(0.05, deadline - time.monotonic())
        key = os.environ.get(self._key_env, "") if self._key_env else ""
        headers = passed_on() | ({"Authorization": f"Bearer {key}"} if key else {})
        try:
            with self._client.stream(
                method, url, json=body, timeout=timeout, headers=headers
            ) as streamed:
                if hear is not None and streamed.headers.get("content-type", "").startswith(STREAM):
                    _hear(streamed, deadline, hear)
                    return {}
                response = _read(streamed, deadline)
        except httpx.TimeoutException:
            raise
        except httpx.TransportError as error:
            raise _TransientError(_clean(str(error) or type(error).__name__, key)) from error
        if response.status_code in transient:
            said = _clean(_message(response), key)
            raise _TransientError(
                f"status {response.status_code}: {said}", wait_s=_retry_after(response)
            )
        if response.status_code != httpx.codes.OK:
            raise self._refused(response, key)
        try:
            answer = response.json()
        except ValueError as error:
            raise _TransientError("its answer is no JSON, or was cut off") from error
        if not isinstance(answer, dict):
            raise _TransientError("its answer is no JSON object")
        return answer

    def _refused(self, response: httpx.Response, key: str) -> ModelRequestError:
        said = _clean(_message(response), key)
        status = response.status_code
        if status in (401, 403):
            given = (
                f"correct the key in {self._key_env}" if key
                else f"{self._key_env} is not set" if self._key_env
                else "no key was sent: name its variable in api_key_env"
            )  # fmt: skip
            return ModelRequestError(
                f"the server of {self.who} at {self.root} refused access with status {status} "
                f"({given}): {said}",
                status,
            )
        if any(word in said.lower() for word in _CONTEXT_WORDS):
            return ContextExceededError(
                f"the request to {self.who} is longer than the model's context: {said}", status
            )
        return ModelRequestError(
            f"{self.who} refused the request with status {status}: {said}", status
        )


def _read(streamed: httpx.Response, deadline: float) -> httpx.Response:
    """The whole response; httpx's own timeout starts again with each byte that comes."""
    blocks = []
    for block in streamed.iter_bytes():
        blocks.append(block)
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("its answer came too slowly")
    kept = {name: streamed.headers[name] for name in ("retry-after",) if name in streamed.headers}
    return httpx.Response(streamed.status_code, headers=kept, content=b"".join(blocks))


def _hear(streamed: httpx.Response, deadline: float, hear: Hear) -> None:
    """Hand on the chunks of a stream, up to its mark of the end."""
    for line in lines_of(streamed):
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("its answer came too slowly")
        name, _, data = line.partition(":")
        if name != "data" or not data.strip():
            continue
        if data.strip() == "[DONE]":
            return
        try:
            chunk = json.loads(data)
        except ValueError as error:
            raise _TransientError("a chunk of its answer is no JSON") from error
        if "error" in chunk:
            raise _TransientError(f"it failed while it answered: {json.dumps(chunk)[:500]}")
        hear(chunk)
    raise _TransientError("its answer was cut off")


def lines_of(streamed: httpx.Response) -> Iterator[str]:
    """Lines of the body; httpx would end them at U+2028 and U+0085 as well, which JSON may hold."""
    rest = b""
    for block in streamed.iter_bytes():
        *lines, rest = (rest + block).split(b"\n")
        yield from (line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines)
    yield rest.decode("utf-8", "replace")


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    stated = getattr(error, "wait_s", None)
    if stated is not None:
        return float(stated) + random.uniform(0, 0.25)
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
    return random.uniform(longest / 2, longest)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, said as a number or as a date."""
    stated = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(stated))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(stated).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _message(response: httpx.Response) -> str:
    """What an error says: an object, a sentence, ``detail``, or text."""
    try:
        body = response.json()
    except ValueError:
        return response.text[:500]
    error = body.get("error", body.get("detail", body)) if isinstance(body, dict) else body
    if isinstance(error, dict):
        code = error.get("code") or error.get("type") or ""
        return f"{error.get('message') or json.dumps(error)[:500]}" + (f" ({code})" if code else "")
    return str(error)[:500]


def _clean(text: str, key: str) -> str:
    """Without the key, which some servers repeat, whole or by its ends."""
    return text.replace(key, "***") if key else text
