import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers

from rag_assets.models.clients.openai_http import HttpChatModel, HttpEmbedder, connect
from rag_assets.models.clients.options import ChatFor
from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.engines.state import EngineState, write_states
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets.models.profile_files import load_profile
from rag_assets.models.profiles import ModelSpec, in_format
from rag_assets.process_identity import ProcessId

CHAT = load_profile("cpu").spec("slm")
EMBED = replace(load_profile("cpu").spec("embedder"), dimension=3, flags=("--max-model-len", "4"))
USER = [{"role": "user", "content": "hi"}]
ANSWER = {
    "choices": [
        {
            "message": {"content": "yes"},
            "finish_reason": "length",
            "logprobs": {"content": [{"logprob": -0.5}, {"logprob": -1.5}]},
        }
    ],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 16},
    },
}

Reply = Callable[[dict[str, Any]], tuple[int, object]]


class Server:
    """A loopback HTTP server that answers with what a test sets, and remembers what it got."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.reply: Reply = lambda _body: (200, ANSWER)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.bodies.append(body)
                status, answer = outer.reply(body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                if isinstance(answer, bytes):
                    self.send_header("Content-Type", "text/event-stream; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(
            target=self.http.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def words() -> Tokenizer:
    """A token a word; of x, xx, ... the id is one more than its length, of others 0 or 1."""
    known = {"?": 0, "w": 1} | {"x" * n: n + 1 for n in range(1, 71)}
    rust = RustTokenizer(models.WordLevel(known, "?"))
    rust.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Tokenizer(rust, {})


@pytest.fixture
def chat(server: Server, words: Tokenizer) -> HttpChatModel:
    return HttpChatModel(CHAT, lambda: words, server.url)


@pytest.fixture
def embedder(server: Server, words: Tokenizer) -> HttpEmbedder:
    return HttpEmbedder(EMBED, words, server.url)


def test_completion_reports_what_the_engine_said(chat: HttpChatModel) -> None:
    completion = chat.complete(USER, max_tokens=2)
    assert completion.text == "yes"
    assert completion.finish_reason == "length"
    assert (completion.prompt_tokens, completion.cached_prompt_tokens) == (20, 16)
    assert completion.completion_tokens == 2
    assert completion.mean_logprob == pytest.approx(-1.0)
    assert completion.seconds > 0


def streamed(*chunks: dict[str, Any], end: str = "data: [DONE]\n\n") -> bytes:
    lines = (f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks)
    return f": comment\n\n{''.join(lines)}{end}".encode()


def piece(text: str, logprob: float = -0.5, reason: str | None = None) -> dict[str, Any]:
    logprobs = {"content": [{"token": text, "logprob": logprob}]}
    choice = {"delta": {"content": text}, "logprobs": logprobs, "finish_reason": reason}
    return {"choices": [choice], "usage": None}


ROLE: dict[str, Any] = {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
USAGE: dict[str, Any] = {"choices": [], "usage": ANSWER["usage"]}


def test_a_streamed_answer_is_the_same_and_is_heard_on_the_way(
    chat: HttpChatModel, server: Server
) -> None:
    whole = {**ANSWER, "choices": [{**ANSWER["choices"][0], "message": {"content": "y\u00e9s"}}]}
    server.reply = lambda body: (200, whole)
    plain = chat.complete(USER, max_tokens=2)
    stream = streamed(ROLE, piece("y\u00e9"), piece("s", -1.5, "length"), USAGE)
    server.reply = lambda body: (200, stream)
    heard: list[str] = []
    completion = chat.complete(USER, max_tokens=2, heard=heard.append)
    assert replace(completion, seconds=0) == replace(plain, seconds=0)
    assert heard == ["y\u00e9", "y\u00e9s"]
    assert server.bodies[0].items() <= server.bodies[1].items()
    assert server.bodies[1]["stream"] is True
    assert server.bodies[1]["stream_options"] == {"include_usage": True}


def test_separators_that_json_may_hold_end_no_line_of_a_stream(
    chat: HttpChatModel, server: Server
) -> None:
    stream = streamed(ROLE, piece("one\u2028two"), piece("\u0085three", reason="stop"), USAGE)
    server.reply = lambda body: (200, stream)
    completion = chat.complete(USER, max_tokens=2, heard=lambda _: None)
    assert completion.text == "one\u2028two\u0085three"


def test_a_server_that_does_not_stream_is_understood(chat: HttpChatModel) -> None:
    assert chat.complete(USER, max_tokens=2, heard=lambda _: None).text == "yes"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (streamed(piece("y"), end=""), EngineUnavailableError, "cut off"),
        (streamed({"error": {"message": "out of memory"}}), EngineUnavailableError, "of memory"),
        (streamed(end="data: {\n\n"), EngineUnavailableError, "no JSON"),
        (streamed(piece("y", reason="stop")), ModelRequestError, "usage"),
        (streamed(piece("y"), USAGE), ModelRequestError, "finish_reason"),
    ],
)
def test_a_stream_that_fails_is_said(
    chat: HttpChatModel, server: Server, answer: bytes, kind: type[Exception], words: str
) -> None:
    server.reply = lambda body: (200, answer)
    with pytest.raises(kind, match=words):
        chat.complete(USER, max_tokens=2, heard=lambda _: None)


def test_request_names_model_schema_and_prefix(chat: HttpChatModel, server: Server) -> None:
    chat.complete(USER, max_tokens=5, json_schema={"type": "object"}, thinking=True)
    chat.complete(USER, max_tokens=5, temperature=0.5, prefix="It is")
    first, second = server.bodies
    assert first["model"] == CHAT.served_name
    assert first["temperature"] == 0.0
    assert first["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert first["chat_template_kwargs"] == {"enable_thinking": True, "thinking": True}
    assert "continue_final_message" not in first
    assert second["temperature"] == 0.5
    assert second["messages"] == [*USER, {"role": "assistant", "content": "It is"}]
    assert second["continue_final_message"] is True
    assert second["add_generation_prompt"] is False


def test_a_salt_keeps_prompts_out_of_the_prefix_cache(chat: HttpChatModel, server: Server) -> None:
    chat.complete(USER, max_tokens=4)
    chat.complete(USER, max_tokens=4, cache_salt="apart")
    assert [body.get("cache_salt") for body in server.bodies] == [None, "apart"]


def test_a_priority_reaches_the_engine(chat: HttpChatModel, server: Server) -> None:
    chat.complete(USER, max_tokens=4)
    ChatFor(chat, priority=1).complete(USER, max_tokens=4)
    assert [body.get("priority") for body in server.bodies] == [None, 1]


def test_missing_details_are_no_error(chat: HttpChatModel, server: Server) -> None:
    choice = {"message": {"content": None}, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 3, "completion_tokens": 0, "prompt_tokens_details": None}
    server.reply = lambda _body: (200, {"choices": [choice], "usage": usage})
    completion = chat.complete(USER, max_tokens=5)
    assert (completion.text, completion.cached_prompt_tokens) == ("", 0)
    assert completion.mean_logprob is None


def test_minus_infinity_does_not_spoil_the_mean(chat: HttpChatModel, server: Server) -> None:
    answer = json.loads(json.dumps(ANSWER))
    answer["choices"][0]["logprobs"]["content"] = [{"logprob": -9999.0}, {"logprob": 0.0}]
    server.reply = lambda _body: (200, answer)
    assert chat.complete(USER, max_tokens=5).mean_logprob == -50.0


def test_refusal_carries_the_engines_words(chat: HttpChatModel, server: Server) -> None:
    server.reply = lambda _body: (400, {"error": "maximum context length is 4096"})
    with pytest.raises(ModelRequestError, match=r"longer than the .*: maximum context"):
        chat.complete(USER, max_tokens=5)


def test_unreadable_answer_is_said(chat: HttpChatModel, server: Server) -> None:
    server.reply = lambda _body: (200, {"choices": []})
    with pytest.raises(ModelRequestError, match="unreadable"):
        chat.complete(USER, max_tokens=5)


def test_slow_answer_is_a_request_error(chat: HttpChatModel, server: Server) -> None:
    gate = threading.Event()
    server.reply = lambda _body: (200, {"waited": gate.wait(5)})
    with pytest.raises(ModelRequestError, match="slm did not answer within 0 s"):
        chat.complete(USER, max_tokens=5, timeout_s=0.05)
    gate.set()


def test_nobody_there_says_how_to_start(server: Server, words: Tokenizer) -> None:
    unused = Server()
    unused.close()
    with pytest.raises(EngineUnavailableError, match=r"role slm at http.*; start .* `rag up`"):
        HttpChatModel(CHAT, lambda: words, unused.url).complete(USER, max_tokens=5)


def packed(vector: list[float]) -> str:
    return base64.b64encode(np.array(vector, dtype="<f4").tobytes()).decode()


def vectors(body: dict[str, Any]) -> tuple[int, object]:
    """Each text's number of tokens on the first axis, its last one's id on the second."""
    rows = [packed([len(ids), ids[-1], 0]) for ids in body["input"]]
    data = [{"index": i, "embedding": row} for i, row in enumerate(rows)]
    return 200, {"data": data[::-1]}  # in another order than asked


def test_vectors_come_back_in_order_and_of_length_one(
    embedder: HttpEmbedder, server: Server
) -> None:
    server.reply = vectors
    texts = ["w " * (i % 3) + "x" * (i + 1) for i in range(70)]
    result = embedder.embed(texts)
    assert result.shape == (70, 3)
    assert result.dtype == np.float32
    expected = np.array([[i % 3 + 1, i + 2, 0] for i in range(70)], dtype=np.float32)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    assert sorted(len(body["input"]) for body in server.bodies) == [6, 32, 32]
    for body in server.bodies:  # like lengths together
        assert body["encoding_format"] == "base64"
        counts = [len(ids) for ids in body["input"]]
        assert max(counts) - min(counts) <= 1


def test_no_texts_no_request(embedder: HttpEmbedder, server: Server) -> None:
    assert embedder.embed([]).shape == (0, 3)
    assert server.bodies == []


def test_too_long_a_text_is_named_and_nothing_is_sent(
    embedder: HttpEmbedder, server: Server
) -> None:
    with pytest.raises(ValueError, match="text 1 has 5 tokens, the embedder takes 4"):
        embedder.embed(["fits", "this one does not fit"])
    assert server.bodies == []


def test_wrong_dimension_is_said(embedder: HttpEmbedder, server: Server) -> None:
    server.reply = lambda _body: (200, {"data": [{"index": 0, "embedding": packed([1.0, 2.0])}]})
    with pytest.raises(
        ModelRequestError, match=r"expected vectors of shape \(1, 3\), got \(1, 2\)"
    ):
        embedder.embed(["a"])


def test_unreadable_vectors_are_said(embedder: HttpEmbedder, server: Server) -> None:
    for unreadable in ([1.0, 2.0, 3.0], "no base64!", "AAAA"):  # the last one is three bytes
        server.reply = lambda _body, it=unreadable: (200, {"data": [{"index": 0, "embedding": it}]})
        with pytest.raises(ModelRequestError, match="unreadable"):
            embedder.embed(["a"])


def state(spec: ModelSpec, **changes: object) -> EngineState:
    values: dict[str, Any] = {
        "role": spec.role, "process": ProcessId(1, 1, "x"), "port": 1, "url": "http://127.0.0.1:1",
        "model_id": spec.model_id, "served_name": spec.served_name, "revision": spec.revision,
        "profile": "cpu",
    }  # fmt: skip
    return EngineState(**{**values, **changes})


def test_connect_without_engines_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="no engine answers for role llm"):
        connect(load_profile("cpu"), tmp_path, tmp_path, "llm")


def test_connect_refuses_the_engine_of_another_profile(tmp_path: Path) -> None:
    write_states(tmp_path, [state(CHAT, revision="other", model_id="other/model")])
    with pytest.raises(EngineUnavailableError, match=r"serves other/model .* `rag down`"):
        connect(load_profile("cpu"), tmp_path, tmp_path, "slm")


def test_connect_tells_formats_of_the_same_weights_apart(tmp_path: Path) -> None:
    write_states(tmp_path, [state(in_format(CHAT, "w4a16"))])
    with pytest.raises(
        EngineUnavailableError, match=rf"0\.5b-int4 .* wants .* as {CHAT.served_name};"
    ):
        connect(load_profile("cpu"), tmp_path, tmp_path, "slm")
