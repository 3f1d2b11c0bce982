"""Requests are recorded with what came of them, and made again as they were."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rag_assets.models.clients.server import Server
from rag_assets_tests.benchmarks.engine_requests import (
    EngineRequest,
    peak,
    recording,
    replay,
    waves,
)
from rag_assets_tests.benchmarks.findings import BenchmarkError


class Engine(ThreadingHTTPServer):
    """Answers chats, as a stream if asked so; keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.bodies: list[dict[str, Any]] = []
        self.now = self.most = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Answering(BaseHTTPRequestHandler):
    server: Engine

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        time.sleep(0.05)
        with self.server.lock:
            self.server.now -= 1
        answer = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
        said = json.dumps(answer)
        if body.get("stream"):
            said = f'data: {{"choices": []}}\n\ndata: {said}\n\ndata: [DONE]\n\n'
        self.send_response(400 if body.get("refused") else 200)
        kind = "text/event-stream" if body.get("stream") else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    serving = threading.Thread(target=made.serve_forever)
    serving.start()
    yield made
    made.shutdown()
    serving.join()
    made.server_close()


def test_requests_are_recorded_with_their_salt_and_tokens(engine: Engine) -> None:
    server, heard = Server("role slm", engine.url), list[Any]()
    real = Server.post
    with recording("one") as made:
        server.post("/chat/completions", {"messages": []}, 5)
        server.post("/chat/completions", {"messages": [], "stream": True}, 5, hear=heard.append)
        server.post("/embeddings", {"input": ["x"]}, 5)
    assert Server.post is real
    assert [(one.role, one.read, one.written) for one in made] == [("role slm", 7, 3)] * 3
    assert [body.get("cache_salt") for body in engine.bodies] == ["one", "one", None]
    assert len(heard) == 2
    assert all(one.ended - one.began >= 0.05 for one in made)


def test_a_request_that_fails_is_not_recorded(engine: Engine) -> None:
    server = Server("role slm", engine.url)
    with recording("one") as made, pytest.raises(Exception, match="refused"):
        server.post("/chat/completions", {"refused": True}, 5)
    assert not made


def test_the_same_is_asked_again_with_another_salt(engine: Engine) -> None:
    server = Server("role llm", engine.url)
    with recording("one") as made:
        for n in range(6):
            server.post("/chat/completions", {"n": n, "stream": n % 2 == 1}, 5, hear=lambda _: None)
    first, engine.bodies = engine.bodies, []
    engine.most = 0
    again = replay(made, "two", 3)
    asked = sorted(engine.bodies, key=lambda body: body["n"])
    assert asked == [{**body, "cache_salt": "two"} for body in first]
    assert [(one.read, one.written) for one in again] == [(7, 3)] * 6
    assert engine.most == 3


def test_a_refusal_ends_it(engine: Engine) -> None:
    request = EngineRequest(
        "role slm", f"{engine.url}/chat/completions", {"refused": True}, 0, 1, 1, 1
    )
    with pytest.raises(BenchmarkError, match="role slm refused a request again"):
        replay([request], "two", 1)


@pytest.mark.parametrize(
    ("spans", "most"),
    [([], 1), ([(0, 1), (1, 2)], 1), ([(0, 3), (1, 2), (1, 4), (3, 5)], 3)],
)
def test_the_peak_is_the_most_at_the_same_time(spans: list[tuple[float, float]], most: int) -> None:
    assert peak([EngineRequest("", "", {}, began, ended, 0, 0) for began, ended in spans]) == most


def test_a_wave_begins_when_all_before_have_ended() -> None:
    spans = [(3, 5), (0, 1), (1, 2), (1, 4), (5, 6)]
    requests = [EngineRequest("", "", {}, began, ended, 0, 0) for began, ended in spans]
    found = [[(one.began, one.ended) for one in wave] for wave in waves(requests)]
    assert found == [[(0, 1)], [(1, 2), (1, 4), (3, 5)], [(5, 6)]]
