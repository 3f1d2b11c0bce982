"""The client of servers, on a real HTTP server that drops, delays, truncates and lies."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from rag_assets.models.clients import server as module
from rag_assets.models.clients.server import Server
from rag_assets.models.errors import (
    ContextExceededError,
    EngineUnavailableError,
    ModelRequestError,
)
from rag_assets_tests.servers import http_server

KEY = "sk-very-secret-0123456789"
Act = Callable[["Handler", int], None]


class Handler(BaseHTTPRequestHandler):
    """Does what the test says for the n-th request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        world: World = self.server.world  # type: ignore[attr-defined] # set by the fixture
        with world.lock:
            world.seen.append((dict(self.headers), body))
            n = len(world.seen)
        world.act(self, n)

    def do_GET(self) -> None:
        world: World = self.server.world  # type: ignore[attr-defined] # set by the fixture
        world.look(self)

    def reply(self, status: int, body: object, **headers: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


class World:
    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, str], Any]] = []
        self.lock = threading.Lock()
        self.act: Act = lambda handler, _: handler.reply(200, {"ok": True})
        self.look: Callable[[Handler], None] = lambda handler: handler.reply(404, {})
        self.url = ""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv("TEST_KEY", KEY)
    world = World()
    with http_server(Handler) as http:
        http.world = world  # type: ignore[attr-defined] # read by the handler
        world.url = f"http://127.0.0.1:{http.server_port}/v1"
        yield world


def client(
    world: World, *, concurrency: int | None = None, extra_body: dict[str, int] | None = None
) -> Server:
    return Server(
        "role llm",
        world.url,
        key_env="TEST_KEY",
        retries=3,
        concurrency=concurrency,
        extra_body=extra_body,
    )


def drop(handler: Handler) -> None:
    handler.close_connection = True
    handler.connection.close()


def truncate(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"ok": tr')
    handler.close_connection = True


FAULTS: dict[str, Callable[[Handler], None]] = {
    "drops the connection": drop,
    "truncates the answer": truncate,
    "lies that half JSON is all": lambda h: h.reply(200, '{"ok": tr'),
    "sends a page of HTML": lambda h: h.reply(200, "<html>login</html>"),
    "sends a list": lambda h: h.reply(200, [1]),
    "is overloaded": lambda h: h.reply(429, {"error": {"message": "slow down"}}),
    "fails": lambda h: h.reply(500, "boom"),
    "is restarted": lambda h: h.reply(503, {"detail": "loading"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_fails_twice_is_asked_again(world: World, fault: str) -> None:
    world.act = lambda h, n: FAULTS[fault](h) if n <= 2 else h.reply(200, {"ok": n})
    assert client(world).post("/x", {"a": 1}, 20) == {"ok": 3}
    assert [body for _, body in world.seen] == [{"a": 1}] * 3


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_always_fails_is_unavailable(world: World, fault: str) -> None:
    world.act = lambda h, _: FAULTS[fault](h)
    with pytest.raises(EngineUnavailableError, match="no engine answers for role llm at http"):
        client(world).post("/x", {}, 20)
    assert len(world.seen) == 4


@pytest.mark.parametrize("soon", [True, False])
def test_retry_after_is_honoured_within_the_deadline(world: World, soon: bool) -> None:
    stated = "0.6" if soon else formatdate(time.time() + 3600, usegmt=True)
    world.act = lambda h, n: (
        h.reply(429, {}, retry_after=stated) if n == 1 else h.reply(200, {"n": n})
    )
    started = time.monotonic()
    if soon:
        assert client(world).post("/x", {}, 20) == {"n": 2}
        assert time.monotonic() - started >= 0.6
    else:  # an hour is more than the caller has: it is told at once
        with pytest.raises(EngineUnavailableError, match="status 429"):
            client(world).post("/x", {}, 20)
        assert len(world.seen) == 1


def test_a_slow_server_ends_at_the_deadline(world: World) -> None:
    release = threading.Event()
    world.act = lambda h, _: (release.wait(20), drop(h))[1]  # type: ignore[func-returns-value] # order
    with pytest.raises(ModelRequestError, match="did not answer within 0 s"):
        client(world).post("/x", {}, 0.3)
    release.set()


def test_an_answer_that_trickles_ends_at_the_deadline(world: World) -> None:
    release = threading.Event()

    def trickle(handler: Handler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "100000")
        handler.end_headers()
        while not release.wait(0.05):
            handler.wfile.write(b" ")

    world.act = trickle
    with pytest.raises(ModelRequestError, match="did not answer within"):
        client(world).post("/x", {}, 0.5)
    release.set()


def test_a_status_that_is_final_is_not_asked_again(world: World) -> None:
    world.act = lambda h, _: h.reply(500, {"error": "no such field"})
    with pytest.raises(ModelRequestError, match="status 500: no such field") as caught:
        client(world).post("/x", {}, 20, final=frozenset({500}))
    assert (caught.value.status, len(world.seen)) == (500, 1)


def test_a_server_that_fails_in_a_row_is_left_alone_and_comes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPEN_S", 0.5)
    mine = client(world)
    world.act = lambda h, _: h.reply(500, "boom")
    for _ in range(module.FAILURES_TO_OPEN):
        with pytest.raises(EngineUnavailableError, match="status 500"):
            mine.post("/x", {}, 20)
    asked = len(world.seen)
    with pytest.raises(EngineUnavailableError, match="failed 5 times in a row and is asked again"):
        mine.post("/x", {}, 20)
    assert len(world.seen) == asked
    world.act = lambda h, _: h.reply(200, {"ok": True})
    threading.Event().wait(0.55)
    assert mine.post("/x", {}, 20) == {"ok": True}
    assert mine.post("/x", {}, 20) == {"ok": True}


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (401, {"error": "Unauthorized"}, ModelRequestError, "correct the key in TEST_KEY"),
        (401, {"detail": f"Bad key {KEY}"}, ModelRequestError, r"Bad key \*\*\*"),
        (403, {"error": {"message": "no"}}, ModelRequestError, "refused access with status 403"),
        (404, {"error": {"message": "no model m", "code": "model_not_found"}}, ModelRequestError,
         r"status 404: no model m \(model_not_found\)"),
        (400, {"error": {"message": "maximum context length is 4096"}}, ContextExceededError,
         "longer than the model's context"),
        (400, {"error": {"message": "too long", "code": "context_length_exceeded"}},
         ContextExceededError, "context_length_exceeded"),
        (422, "plain text", ModelRequestError, "status 422: plain text"),
    ],
)  # fmt: skip
def test_refusals_are_sentences_without_the_key(
    world: World, status: int, body: object, kind: type[Exception], message: str
) -> None:
    world.act = lambda h, _: h.reply(status, body)
    with pytest.raises(kind, match=message) as caught:
        client(world).post("/x", {}, 20)
    assert KEY not in str(caught.value)
    assert len(world.seen) == 1  # what is refused is not asked again


def test_the_key_is_sent_and_shown_nowhere(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = client(world, extra_body={"top_k": 1})
    mine.post("/x", {"a": 1}, 20)
    headers, body = world.seen[0]
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body == {"a": 1, "top_k": 1}
    assert KEY not in repr(vars(mine))
    monkeypatch.delenv("TEST_KEY")
    world.act = lambda h, _: h.reply(401, {})
    with pytest.raises(ModelRequestError, match="TEST_KEY is not set"):
        mine.post("/x", {}, 20)


def test_no_more_requests_at_once_than_stated(world: World) -> None:
    here, most = 0, 0
    lock = threading.Lock()

    def act(handler: Handler, _: int) -> None:
        nonlocal here, most
        with lock:
            here += 1
            most = max(most, here)
        threading.Event().wait(0.05)
        with lock:
            here -= 1
        handler.reply(200, {})

    world.act = act
    mine = client(world, concurrency=2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: mine.post("/x", {}, 20), range(8)))
    assert most == 2
