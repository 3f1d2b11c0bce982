"""Connections that send nothing, or not enough, on a real socket."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from rag_assets.serving import connections
from rag_assets.serving.listening import HTTP, claim_port

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Says hello."""
    await Request(scope, receive).body()
    await PlainTextResponse("hello")(scope, receive, send)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connections, "HEADERS_S", 1.0)
    listener = claim_port(0)
    server = uvicorn.Server(uvicorn.Config(hello, http=HTTP, log_config=None, lifespan="off"))
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    serving.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    serving.join()
    listener.close()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def closed_within(caller: socket.socket, drip: bytes = b"") -> float:
    """Seconds until the server closes, while a byte is sent every tenth of a second."""
    began = time.monotonic()
    caller.settimeout(0.1)
    sent = iter(drip)
    while time.monotonic() - began < 15:
        with suppress(ConnectionError, StopIteration):
            caller.send(bytes([next(sent)]))
        try:
            if not caller.recv(1000):
                return time.monotonic() - began
        except TimeoutError:
            continue
        except ConnectionError:
            return time.monotonic() - began
    return 99


@pytest.mark.parametrize("drip", [b"", b"GET / HTTP/1.1\r\nX: " + b"x" * 1000])
def test_who_sends_no_whole_headers_is_cut_off(port: int, drip: bytes) -> None:
    with connected(port) as caller:
        assert 0.5 < closed_within(caller, drip) < 10


def test_the_same_holds_between_two_requests(port: int) -> None:
    with connected(port) as caller:
        caller.sendall(REQUEST)
        assert b"hello" in caller.recv(1000)
        assert 0.5 < closed_within(caller, REQUEST[:8] + b"x" * 1000) < 10


def test_many_that_wait_keep_nobody_out(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 60.0)
    monkeypatch.setattr(connections, "MOST_WAITING", 5)
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(port)) for _ in range(20)]
        assert closed_within(idle[0]) < 10
        caller = stack.enter_context(connected(port))
        caller.sendall(REQUEST)
        assert b"hello" in caller.recv(1000)
