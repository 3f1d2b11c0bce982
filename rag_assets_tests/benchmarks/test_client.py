"""The client of the answerer: times of real streams, and failures as results."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from rag_assets_tests.benchmarks.client import Asked, Reply, ask, ask_all

PAUSE_S = 0.15
RECORD = {"generation": {"id": "g1"}, "citations": [{"n": 1, "quote": "1994"}]}


def chunk(delta: dict[str, Any], **more: Any) -> str:  # noqa: ANN401 - JSON
    return f"data: {json.dumps({'choices': [{'delta': delta}], **more})}\n\n"


class _Answerer(BaseHTTPRequestHandler):
    """Answers by the question's text."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][0]["content"]
        if question == "refused":
            self._say(429, json.dumps({"error": {"message": "sixteen wait already"}}))
        elif question == "nonsense":
            self._say(200, "<html>")
        elif not body["stream"]:
            message = {"content": f"{question}: in 1994 [1]."}
            self._say(200, json.dumps({"choices": [{"message": message}], "rag": RECORD}))
        else:
            self._stream(question)

    def _stream(self, question: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self._part(chunk({"role": "assistant", "content": ""}))
        time.sleep(PAUSE_S)
        self._part(": keep-alive\n\n" + chunk({"content": "In "}))
        time.sleep(PAUSE_S)
        if question == "broken":
            return
        if question == "fails":
            self._part(f"data: {json.dumps({'error': {'message': 'the engine died'}})}\n\n")
        else:
            self._part(chunk({"content": "1994 [1]."}) + chunk({}, rag=RECORD))
        self._part("data: [DONE]\n\n")

    def _part(self, text: str) -> None:
        self.wfile.write(text.encode())
        self.wfile.flush()

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answerer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def reply(url: str, question: str, *, streams: bool) -> Reply:
    with httpx.Client(base_url=url, trust_env=False) as http:
        return ask(http, Asked(question, streams))


def test_the_first_text_of_a_stream_is_not_its_role(url: str) -> None:
    got = reply(url, "when", streams=True)
    assert (got.status, got.text, got.error) == (200, "In 1994 [1].", "")
    assert (got.generation_id, [one["quote"] for one in got.citations]) == ("g1", ["1994"])
    assert got.first_s is not None
    assert got.first_s >= PAUSE_S
    assert got.whole_s >= got.first_s + PAUSE_S * 0.9


def test_a_whole_answer_has_its_first_text_at_its_end(url: str) -> None:
    got = reply(url, "when", streams=False)
    assert (got.text, got.generation_id, got.error) == ("when: in 1994 [1].", "g1", "")
    assert got.first_s is not None
    assert got.first_s <= got.whole_s


@pytest.mark.parametrize(
    ("question", "streams", "status", "said"),
    [
        ("refused", False, 429, "sixteen wait already"),
        ("refused", True, 429, "sixteen wait already"),
        ("nonsense", False, 200, "JSONDecodeError"),
        ("broken", True, 200, "ended before its mark"),
        ("fails", True, 200, "the engine died"),
    ],
)
def test_a_failure_is_a_result(
    url: str, question: str, streams: bool, status: int, said: str
) -> None:
    got = reply(url, question, streams=streams)
    assert got.status == status
    assert said in got.error


@pytest.mark.parametrize(
    ("way", "abstained", "is_synthesis"),
    [
        ("written", False, True),
        ("deep", False, True),
        ("read", False, False),
        ("apart", False, False),
        ("written", True, False),
    ],
)
def test_a_synthesis_is_written_by_the_model(way: str, abstained: bool, is_synthesis: bool) -> None:
    record = {"route": {"model": "llm", "way": way}, "abstained": abstained}
    got = Reply("q", True, 200, 0.0, 1.0, 2.0, "", record, "")
    assert got.is_synthesis is is_synthesis


def test_nobody_there_is_a_result() -> None:
    got = reply("http://127.0.0.1:9", "when", streams=False)
    assert (got.status, got.text, got.first_s) == (0, "", None)
    assert "ConnectError" in got.error


def test_askers_hear_each_reply_once_and_get_them_in_order(url: str) -> None:
    questions = [Asked(f"q{k}", k % 2 == 1) for k in range(12)]
    heard: list[int] = []
    began = time.perf_counter()
    replies = ask_all(url, questions, 6, lambda k, _: heard.append(k))
    assert time.perf_counter() - began < 6 * 2 * PAUSE_S  # six streams, not one after another
    assert [one.question for one in replies] == [one.question for one in questions]
    assert sorted(heard) == list(range(12))
