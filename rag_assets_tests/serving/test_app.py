"""The HTTP interface, route by route."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_assets.answers.journal import find_answer
from rag_assets.lake.generations import INDEX
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets.serving.admission import Gate
from rag_assets.serving.app import Service, create_app
from rag_assets.serving.listening import MAX_BODY_BYTES
from rag_assets.serving.live_index import Reload
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, said
from rag_assets_tests.answers.world import FERRIES, publish_docs

URL = "http://127.0.0.1"
BUILT = "When was MV Tern built?"


@pytest.fixture
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service), base_url=URL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def bare(empty_service: Service) -> Iterator[TestClient]:
    with TestClient(
        create_app(empty_service), base_url=URL, raise_server_exceptions=False
    ) as client:
        yield client


def ask(http: TestClient, question: str = BUILT, **more: Any) -> Any:  # noqa: ANN401 - JSON
    return http.post("/v1/answers", json={"question": question, **more})


def chat(http: TestClient, content: Any = BUILT, **more: Any) -> Any:  # noqa: ANN401 - JSON
    body = {"model": "rag-auto", "messages": [{"role": "user", "content": content}], **more}
    return http.post("/v1/chat/completions", json=body)


def test_an_answer_is_the_contract_and_is_journalled(http: TestClient, service: Service) -> None:
    response = ask(http)
    assert response.status_code == 200
    record = response.json()
    assert record["answer"] == "MV Tern was built in 2003 by Solvik Marine [1]."
    assert record["citations"][0]["uri"] == "fleet:tern.html"
    row = find_answer(service.store, record["answer_id"])
    assert row["record"] == record
    assert row["run_id"] == ""


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"question": ""}, 422, "the question is empty"),
        ({"question": "word " * 20_000}, 413, "20,000 words"),
        ({"question": BUILT, "mode": "fast"}, 422, "mode must be one of auto, fact, deep"),
        ({}, 422, "question: Field required"),
        ({"question": 5}, 422, "question: Input should be a valid string"),
        ([], 422, "the body: "),
    ],
)
def test_bad_questions_are_told_why(
    http: TestClient,
    body: object,
    status: int,
    sentence: str,
) -> None:
    response = http.post("/v1/answers", json=body)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert sentence in response.json()["error"]


def test_no_json_is_told_why(http: TestClient) -> None:
    response = http.post("/v1/answers", content=b"{", headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert "JSON" in response.json()["error"]


def test_huge_bodies_are_not_read(http: TestClient) -> None:
    response = ask(http, "x" * (MAX_BODY_BYTES + 1))
    assert response.status_code == 413
    assert "at most 1,000,000" in response.json()["error"]


def test_huge_bodies_in_chunks_are_not_read(http: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"question": "'
        for _ in range(30):
            yield b"x" * 100_000

    response = http.post("/v1/answers", content=chunks())
    assert "content-length" not in response.request.headers
    assert response.status_code == 413
    assert "at most 1,000,000 bytes" in response.json()["error"]


def test_reloads_that_wait_leave_threads_to_probes(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    reload = service.live.reload

    def slow_reload() -> Reload:
        begun.set()
        may_end.wait(60)
        return reload()

    monkeypatch.setattr(service.live, "reload", slow_reload)
    with (
        TestClient(create_app(service), base_url=URL) as http,
        ThreadPoolExecutor(61) as pool,
    ):
        reloads = [pool.submit(http.post, "/admin/reload") for _ in range(60)]
        begun.wait(30)
        time.sleep(0.5)  # all of them have come in
        try:
            assert pool.submit(http.get, "/readyz").result(timeout=10).status_code == 200
        finally:
            may_end.set()
    assert {of.result().status_code for of in reloads} == {200}


def test_unknown_routes_and_methods(http: TestClient) -> None:
    assert http.get("/v2/answers").json() == {"error": "GET /v2/answers: Not Found"}
    assert http.get("/v1/answers").status_code == 405


def test_foreign_host_names_are_refused(http: TestClient) -> None:
    response = http.get("/healthz", headers={"host": "evil.example"})
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (EngineUnavailableError("nobody answers for the llm; `rag up` starts it"), 503),
        (ModelRequestError("the llm garbled its answer"), 502),
        (KeyError("choices"), 502),  # of a client that cannot read what its engine sent
        (ZeroDivisionError("bug"), 500),
    ],
)
def test_failing_models_are_sentences(
    http: TestClient, llm: ScriptedChat, error: Exception, status: int
) -> None:
    def fails(call: object) -> str:
        raise error

    llm.reply = fails
    response = ask(http)
    assert response.status_code == status
    expected = "ZeroDivisionError" if status == 500 else str(error)
    assert expected in response.json()["error"]
    assert "Traceback" not in response.text


def test_a_full_queue_is_429(service: Service) -> None:
    full = replace(service, gate=Gate(1, 0, 1))
    with TestClient(create_app(full), base_url=URL) as http, full.gate.admitted():
        response = ask(http)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "5"
    assert "try again" in response.json()["error"]


def test_a_journal_that_fails_costs_no_answer(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("rag_assets.serving.app.record_answer", full)
    assert ask(http).status_code == 200
    assert "rag_journal_failures_total 1.0" in http.get("/metrics").text


def test_chat_completion(http: TestClient) -> None:
    body = chat(http).json()
    choice = body["choices"][0]
    assert body["object"] == "chat.completion"
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == (
        "MV Tern was built in 2003 by Solvik Marine [1].\n\nSources:\n[1] MV Tern: fleet:tern.html"
    )
    assert choice["message"]["citations"][0]["document_id"].startswith("doc_")
    assert choice["message"]["calibration"] == body["rag"]["calibration"] == "uncalibrated"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert body["rag"]["route"]["model"] == "llm"


def test_chat_says_length_when_it_was_cut(http: TestClient, llm: ScriptedChat) -> None:
    llm.reply = lambda call: said("MV Tern was built in 2003 [1]. And", finish_reason="length")
    body = chat(http, "How was MV Tern built?").json()
    assert body["choices"][0]["finish_reason"] == "length"


def test_chat_reads_the_last_turn_and_parts(http: TestClient) -> None:
    parts = [{"type": "text", "text": BUILT}, {"type": "image_url", "image_url": {}}]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": parts},
    ]
    body = chat(http, messages=messages, model="rag-fact").json()
    assert body["rag"]["question"] == BUILT
    assert body["rag"]["mode"] == "fact"


def test_chat_abstention_is_a_stop(http: TestClient) -> None:
    body = chat(http, "Quantum chromodynamics lattice gauge?").json()
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["rag"]["finish_reason"] == "no_generation"
    assert body["choices"][0]["message"]["citations"] == []


def test_chat_stream(http: TestClient) -> None:
    response = chat(http, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert events[-1] == "[DONE]"
    said_event, last = (json.loads(event) for event in events[:-1])
    assert "2003" in said_event["choices"][0]["delta"]["content"]
    assert last["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert last["usage"]["prompt_tokens"] == 300  # does it hold, copy, is it stated


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"model": "gpt-4"}, "there is no model 'gpt-4'; choose one of rag-auto"),
        ({"messages": []}, "hold no turn of the user"),
    ],
)
def test_bad_chats(http: TestClient, more: dict[str, Any], sentence: str) -> None:
    response = chat(http, **more)
    assert response.status_code == 422
    assert sentence in response.json()["error"]


def test_models(http: TestClient) -> None:
    ids = [model["id"] for model in http.get("/v1/models").json()["data"]]
    assert ids == ["rag-auto", "rag-fact", "rag-deep"]


def test_alive_but_not_ready_without_a_generation(bare: TestClient) -> None:
    assert bare.get("/healthz").json() == {"status": "ok"}
    for response in (bare.get("/readyz"), ask(bare)):
        assert response.status_code == 503
        assert "no generation is in service" in response.json()["error"]
    assert bare.get("/admin/status").json()["generation"] is None


def test_ready(http: TestClient, service: Service) -> None:
    assert service.live.current is not None
    body = http.get("/readyz").json()
    assert body == {"status": "ready", "generation_id": service.live.current.generation_id}


def test_not_ready_over_an_index_whose_files_are_gone(http: TestClient, service: Service) -> None:
    assert http.get("/readyz").status_code == 200
    shutil.rmtree(Path(service.store.uri) / "tables" / INDEX / "all.lance" / "data")
    response = http.get("/readyz")
    assert response.status_code == 503
    assert "cannot be read" in response.json()["error"]
    assert service.store.uri not in response.text  # what is where is nobody's business


def test_not_ready_without_engines(service: Service) -> None:
    lonely = replace(service, engines_problem=lambda: "nobody answers for the llm")
    with TestClient(create_app(lonely), base_url=URL) as http:
        response = http.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"error": "nobody answers for the llm"}


def test_metrics(http: TestClient) -> None:
    ask(http)
    ask(http, "")
    http.post("/admin/reload")
    text = http.get("/metrics").text
    for line in (
        'rag_answers_total{finish_reason="stop",mode="auto",model="llm",outcome="answered",'
        'way="read"} 1.0',
        'rag_errors_total{status="422"} 1.0',
        'rag_tokens_total{kind="prompt",model="llm"} 300.0',
        'rag_answer_seconds_count{step="total"} 1.0',
        'rag_reloads_total{outcome="unchanged"} 1.0',
        "rag_questions_running 0.0",
    ):
        assert line in text


def test_reload_and_status(http: TestClient, service: Service, embedder: WordEmbedder) -> None:
    after = publish_docs(service.store, FERRIES[:1], embedder)
    done = http.post("/admin/reload").json()
    assert done["swapped"] is True
    assert done["generation_id"] == after.id
    assert done["ms"] > 0
    assert http.post("/admin/reload").json()["swapped"] is False
    status = http.get("/admin/status").json()
    assert status["generation"]["id"] == after.id
    assert status["generation"]["sequence"] == 2
    assert status["running"] == 0
    assert f'rag_live_generation{{id="{after.id}"}} 1.0' in http.get("/metrics").text


def test_a_refused_reload_is_409_and_says_what_stays(
    http: TestClient, service: Service, embedder: WordEmbedder
) -> None:
    assert service.live.current is not None
    before = service.live.current.generation_id
    publish_docs(service.store, FERRIES[:1], WordEmbedder(revision="2"))
    response = http.post("/admin/reload")
    assert response.status_code == 409
    assert f"({before} stays in service)" in response.json()["error"]
    assert ask(http).status_code == 200
    assert "embedded with" in http.get("/admin/status").json()["last_load_error"]


def test_refusals_name_no_place(http: TestClient, service: Service) -> None:
    lake = Path(service.store.uri)
    (lake / "records" / "live.json").write_text("half of it")
    refused = http.post("/admin/reload")
    assert refused.status_code == 409
    assert "the record …live.json is damaged" in refused.json()["error"]  # what, but not where
    for words in ("of http://127.0.0.1:8461", f"in {lake}/run/logs/llm.log"):
        lonely = replace(service, engines_problem=lambda said=words: f"nobody answers, see {said}")
        with TestClient(create_app(lonely), base_url=URL) as other:
            said = other.get("/readyz").json()["error"]
        assert said.startswith("nobody answers, see ")
        assert "8461" not in said
        assert "/run/" not in said
