"""Requests that end as soon as nobody waits for them: the connection closes, and the engine stops.

A thread that waits for a response cannot be told to stop, so it looks for itself, four times a
second. Which event it looks at, its context says.
"""

import math
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

from rag_assets.models.errors import GoneError

LOOK_S = 0.25
_gone: ContextVar[threading.Event | None] = ContextVar("gone", default=None)


@contextmanager
def waiting(gone: threading.Event) -> Iterator[None]:
    """Requests of this thread in the body end when the event is set.

    Raises:
        GoneError: it is.
    """
    if gone.is_set():
        raise GoneError
    before = _gone.set(gone)
    try:
        yield
    finally:
        _gone.reset(before)


def sleep(seconds: float) -> None:
    """Wait, as long as somebody waits for the request.

    Raises:
        GoneError: nobody does.
    """
    gone = _gone.get()
    if gone is None:
        time.sleep(seconds)
    elif gone.wait(seconds):
        raise GoneError


def acquired(gate: threading.Semaphore, timeout_s: float) -> bool:
    """Whether a place was got in time.

    Raises:
        GoneError: nobody waits for the request any more.
    """
    deadline = time.monotonic() + timeout_s
    while not gate.acquire(timeout=max(0.0, min(LOOK_S, deadline - time.monotonic()))):
        if time.monotonic() >= deadline:
            return False
        sleep(0)
    return True


def leave_early(client: httpx.Client) -> None:
    """Have the client's requests end early; httpx has no other place for a network backend."""
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = _Backend(transport._pool._network_backend)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        gone = _gone.get()
        if gone is None:
            return self._inner.read(max_bytes, timeout)
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while not gone.is_set():
            left = deadline - time.monotonic()
            try:
                return self._inner.read(max_bytes, max(0.001, min(LOOK_S, left)))
            except httpcore.ReadTimeout:
                if left <= LOOK_S:
                    raise
        raise GoneError

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's signature
        return self._inner.get_extra_info(info)
