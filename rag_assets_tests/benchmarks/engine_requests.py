"""Requests to engines: recorded as they are made, and made again with nothing around them."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx

from rag_assets.models.clients.server import Hear, Server, lines_of
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal

CHAT = "/chat/completions"
TIMEOUT_S = 600.0
MOST_OTHER_TOKENS = 0.01  # a batch of other sizes rounds otherwise, and an answer may end elsewhere


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """A request that an engine answered.

    Attributes:
        role: as the client says, such as "role slm".
        url: whole.
        body: as it was sent.
        began: on a clock of seconds; likewise ``ended``.
        read: tokens of the prompt, or of the texts that were embedded.
        written: tokens of the answer.
    """

    role: str
    url: str
    body: Mapping[str, Any]
    began: float
    ended: float
    read: int
    written: int


@contextmanager
def recording(salt: str) -> Iterator[list[EngineRequest]]:
    """Yields the requests that this process makes in the block, as they are answered.

    Args:
        salt: of all chats: of what was asked before, the prefix caches give them nothing.
    """
    real, made = Server.post, []

    def post(
        server: Server,
        path: str,
        body: Mapping[str, Any],
        timeout_s: float,
        *,
        final: frozenset[int] = frozenset(),
        hear: Hear | None = None,
    ) -> dict[str, Any]:
        sent = _salted(path, body, salt)
        usage: dict[str, Any] = {}

        def heard(chunk: Mapping[str, Any]) -> None:
            usage.update(chunk.get("usage") or {})
            if hear is not None:
                hear(chunk)

        began = time.perf_counter()
        listener = None if hear is None else heard
        answer = real(server, path, sent, timeout_s, final=final, hear=listener)
        ended = time.perf_counter()
        usage.update(answer.get("usage") or {})
        url = path if "://" in path else server.base_url + path
        made.append(EngineRequest(server.who, url, sent, began, ended, *_tokens(usage)))
        return answer

    with patch.object(Server, "post", post):
        yield made


def replay(requests: Sequence[EngineRequest], salt: str, concurrency: int) -> list[EngineRequest]:
    """Make the same requests in the order in which they began, as soon as there is a place.

    Args:
        requests: as they were recorded.
        salt: of the chats; see ``recording``.
        concurrency: requests at the same time.

    Raises:
        BenchmarkError: an engine refused one.
    """
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    in_order = sorted(requests, key=lambda request: request.began)
    with (
        httpx.Client(timeout=TIMEOUT_S, trust_env=False, limits=limits) as http,
        ThreadPoolExecutor(concurrency) as pool,
    ):
        return list(pool.map(partial(_again, http, salt), in_order))


def _again(http: httpx.Client, salt: str, request: EngineRequest) -> EngineRequest:
    body = _salted(request.url, request.body, salt)
    began = time.perf_counter()
    response = http.post(request.url, json=body)
    ended = time.perf_counter()
    if response.status_code != httpx.codes.OK:
        raise BenchmarkError(f"{request.role} refused a request again: {response.text[:300]}")
    return EngineRequest(request.role, request.url, body, began, ended, *_tokens(_usage(response)))


def peak(requests: Sequence[EngineRequest]) -> int:
    """The most requests that were under way at the same time; at least 1."""
    steps = sorted([(one.began, 1) for one in requests] + [(one.ended, -1) for one in requests])
    most = now = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return max(most, 1)


def waves(requests: Sequence[EngineRequest]) -> list[list[EngineRequest]]:
    """The requests by what was under way together: a wave begins when all before have ended."""
    found, end = list[list[EngineRequest]](), float("-inf")
    for request in sorted(requests, key=lambda request: request.began):
        if request.began >= end:
            found.append([])
        found[-1].append(request)
        end = max(end, request.ended)
    return found


def same_tokens(written: int, again: int) -> Goal:
    """Whether the requests wrote as many tokens when they were made again."""
    apart = abs(written - again) / max(written, 1)
    return Goal(
        f"both write the same tokens, but for {MOST_OTHER_TOKENS:.0%}",
        f"{apart:.1%} apart", apart <= MOST_OTHER_TOKENS,
    )  # fmt: skip


def new_salt() -> str:
    """A salt that no prefix cache knows."""
    return uuid4().hex


def _salted(path: str, body: Mapping[str, Any], salt: str) -> dict[str, Any]:
    return {**body, "cache_salt": salt} if path.endswith(CHAT) else dict(body)


def _usage(response: httpx.Response) -> Mapping[str, Any]:
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        return response.json().get("usage") or {}
    chunks = (
        json.loads(line.removeprefix("data:"))
        for line in lines_of(response)
        if line.startswith("data:") and not line.endswith("[DONE]")
    )
    return next((chunk["usage"] for chunk in chunks if chunk.get("usage")), {})


def _tokens(usage: Mapping[str, Any]) -> tuple[int, int]:
    return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
