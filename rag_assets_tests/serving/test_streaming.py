"""What is told on the way, and what becomes of a question whose asker goes away."""

import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Unpack

import pytest
from fastapi.testclient import TestClient

from rag_assets.answers.telling import Begun, Event, Said, Status
from rag_assets.models.clients.server import Server
from rag_assets.models.protocols import ChatOptions, ChatRole, Completion, Message
from rag_assets.serving import streaming
from rag_assets.serving.service import Service
from rag_assets.serving.streaming import capped
from rag_assets_tests.answers.fakes import Call, ScriptedChat, copies, n_words
from rag_assets_tests.engines import SilentEngine
from rag_assets_tests.serving.listening import listening

BUILT = "When was MV Tern built?"


@dataclass
class EngineChat:
    """A ChatModel behind an engine that says nothing."""

    url: str
    name: ChatRole = "llm"
    model_id: str = "fake/silent"
    revision: str = "1"
    max_model_len: int = 4096
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = Server("role llm", self.url)

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        self.server.post("/chat/completions", {}, 120)
        raise AssertionError("the engine says nothing")

    def count_chat(self, messages: Sequence[Message]) -> int:
        return n_words(str(messages))


def with_llm(service: Service, llm: EngineChat) -> Service:
    """The same index, answered by another model."""
    current = service.live.current
    assert current is not None
    answerer = replace(current.answerer, llm=llm)

    live = SimpleNamespace(current=replace(current, answerer=answerer), error="")
    return replace(service, live=live)  # type: ignore[arg-type]


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize("path", ["/v1/answers", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [True, False])
def test_who_leaves_frees_the_place_and_ends_the_engines_request(
    kept_service: Service, path: str, stream: bool
) -> None:
    asked = {"question": BUILT, "messages": [{"role": "user", "content": BUILT}], "stream": stream}
    body = json.dumps(asked).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with SilentEngine() as engine:
        service = with_llm(kept_service, EngineChat(engine.url))
        with listening(service) as url:
            port = int(url.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as caller:
                caller.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                assert engine.asked.wait(60)
                assert service.gate.running == 1
            assert within(1.0, lambda: engine.left.is_set() and service.gate.running == 0)
        assert engine.n_asked == 1


def test_silence_is_filled_with_comments(
    kept_http: TestClient, kept_llm: ScriptedChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(call: Call) -> Completion | str:
        time.sleep(0.3)
        return copies(call)

    kept_llm.reply = slow
    monkeypatch.setattr(streaming, "KEEP_ALIVE_S", 0.05)
    for path, body in (
        ("/v1/answers", {"question": BUILT}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": BUILT}]}),
    ):
        text = kept_http.post(path, json={**body, "stream": True}).text
        assert "\n\n: keep-alive\n\n" in text
        assert "2003" in text


def test_the_stream_of_an_answer_has_named_events(kept_http: TestClient) -> None:
    response = kept_http.post("/v1/answers", json={"question": BUILT, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = []
    for block in response.text.split("\n\n")[:-1]:
        name, data = block.split("\n")
        record = json.loads(data.removeprefix("data: "))
        events.append((name.removeprefix("event: "), record))
    names = [name for name, _ in events]
    assert names == sorted(names, key=["status", "sentence", "answer"].index)
    assert events[0] == ("status", {"status": "searching"})
    *_, (_, said), (_, answer) = events
    assert said["text"] == answer["answer"]
    assert said["citations"] == answer["citations"]


def test_a_cap_lets_whole_sentences_through_until_one_does_not_fit() -> None:
    told: list[Event] = []
    tell = capped(told.append, 5, n_words)
    events = [Begun("a"), Status("b"), Said("One two."), Said(" Three, four."), Said(" Six.")]
    for event in events:
        tell(event)
    assert told == events[:3]
