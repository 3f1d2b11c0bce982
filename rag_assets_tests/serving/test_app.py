"""The HTTP interface, route by route."""

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
from httpx import Response

from rag_assets.answers.journal import find_answer
from rag_assets.lake.generations import INDEX
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets.models.protocols import BATCH_PRIORITY
from rag_assets.serving.admission import Gate
from rag_assets.serving.app import create_app
from rag_assets.serving.listening import MAX_BODY_BYTES
from rag_assets.serving.live_index import Reload
from rag_assets.serving.service import NoCitationError, Service
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder
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


def message(response: Response) -> str:
    return str(response.json()["error"]["message"])


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
        ({"question": ""}, 400, "the question is empty"),
        ({"question": "word " * 20_000}, 400, "20,000 words"),
        ({"question": BUILT, "mode": "fast"}, 400, "mode must be one of auto, fact, deep"),
        ({}, 400, "question: Field required"),
        ({"question": 5}, 400, "question: Input should be a valid string"),
        ([], 400, "the body: "),
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
    assert sentence in message(response)


def test_no_json_is_told_why(http: TestClient) -> None:
    response = http.post("/v1/answers", content=b"{", headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert "JSON" in message(response)


def test_a_batch_asks_the_models_after_others(http: TestClient, llm: ScriptedChat) -> None:
    for batch in (False, True):
        assert ask(http, batch=batch).status_code == 200
    asked = [call.priority for call in llm.calls]
    assert asked == sorted(asked)
    assert set(asked) == {0, BATCH_PRIORITY}


def test_huge_bodies_are_not_read(http: TestClient) -> None:
    response = ask(http, "x" * (MAX_BODY_BYTES + 1))
    assert response.status_code == 413
    assert "at most 1,000,000" in message(response)


def test_huge_bodies_in_chunks_are_not_read(http: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"question": "'
        for _ in range(30):
            yield b"x" * 100_000

    response = http.post("/v1/answers", content=chunks())
    assert "content-length" not in response.request.headers
    assert response.status_code == 413
    assert "at most 1,000,000 bytes" in message(response)


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
    assert message(http.get("/v2/answers")) == "GET /v2/answers: Not Found"
    other = http.post("/v1/responses", json={"model": "rag-auto", "input": BUILT})
    assert other.status_code == 404
    assert "POST /v1/chat/completions" in message(other)
    assert message(http.get("/v1/answers")) == "GET /v1/answers: Method Not Allowed"


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
    # what a repeat cannot mend is not repeated by clients; else they are told when to come back
    assert response.headers.get("x-should-retry") == (None if status == 503 else "false")
    assert response.headers.get("retry-after") == ("5" if status == 503 else None)
    expected = "ZeroDivisionError" if status == 500 else str(error)
    assert expected in message(response)
    assert "Traceback" not in response.text


def test_a_full_queue_is_429(service: Service) -> None:
    full = replace(service, gate=Gate(1, 0, 1))
    with TestClient(create_app(full), base_url=URL) as http, full.gate.admitted():
        response = ask(http)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "5"
    assert "try again" in message(response)


def test_a_journal_that_fails_costs_no_answer(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("rag_assets.serving.service.record_answer", full)
    assert ask(http).status_code == 200
    assert "rag_journal_failures_total 1.0" in http.get("/metrics").text


def test_alive_but_not_ready_without_a_generation(bare: TestClient) -> None:
    assert bare.get("/healthz").json() == {"status": "ok"}
    for response in (bare.get("/readyz"), ask(bare)):
        assert response.status_code == 503
        assert "no generation is in service" in message(response)
    assert bare.get("/admin/status").json()["generation"] is None


def test_ready(http: TestClient, service: Service) -> None:
    assert service.live.current is not None
    body = http.get("/readyz").json()
    serving, taken = service.live.current.generation_id, service.gate.n_running
    assert body == {"status": "ready", "generation_id": serving, "concurrency": taken}


def test_not_ready_over_an_index_whose_files_are_gone(http: TestClient, service: Service) -> None:
    assert http.get("/readyz").status_code == 200
    shutil.rmtree(Path(service.store.uri) / "tables" / INDEX / "all.lance" / "data")
    response = http.get("/readyz")
    assert response.status_code == 503
    assert "cannot be read" in message(response)
    assert service.store.uri not in response.text  # what is where is nobody's business


def test_not_ready_without_engines(service: Service) -> None:
    lonely = replace(service, engines_problem=lambda: "nobody answers for the llm")
    with TestClient(create_app(lonely), base_url=URL) as http:
        response = http.get("/readyz")
    assert response.status_code == 503
    assert response.json()["error"] == {
        "message": "nobody answers for the llm",
        "type": "server_error",
        "param": None,
        "code": "engine_unavailable",
    }


def test_metrics(http: TestClient) -> None:
    ask(http)
    ask(http, "")
    http.post("/admin/reload")
    text = http.get("/metrics").text
    for line in (
        'rag_answers_total{asked="by_hand",finish_reason="stop",mode="auto",model="llm",'
        'outcome="answered",way="read"} 1.0',
        'rag_errors_total{status="400"} 1.0',
        'rag_tokens_total{kind="prompt",model="llm"} 300.0',
        'rag_answer_seconds_count{asked="by_hand",step="total"} 1.0',
        'rag_reloads_total{outcome="unchanged"} 1.0',
        'rag_questions_running{asked="by_hand"} 0.0',
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
    assert f"({before} stays in service)" in message(response)
    assert ask(http).status_code == 200
    assert "embedded with" in http.get("/admin/status").json()["last_load_error"]


def test_refusals_name_no_place(http: TestClient, service: Service) -> None:
    lake = Path(service.store.uri)
    (lake / "records" / "live.json").write_text("half of it")
    refused = http.post("/admin/reload")
    assert refused.status_code == 409
    assert "the record …live.json is damaged" in message(refused)  # what, but not where
    for words in ("of http://127.0.0.1:8461", f"in {lake}/run/logs/llm.log"):
        lonely = replace(service, engines_problem=lambda said=words: f"nobody answers, see {said}")
        with TestClient(create_app(lonely), base_url=URL) as other:
            said = message(other.get("/readyz"))
        assert said.startswith("nobody answers, see ")
        assert "8461" not in said
        assert "/run/" not in said


def test_nothing_is_read_of_a_source_that_was_taken_out(service: Service) -> None:
    with TestClient(create_app(service), base_url=URL) as http:
        before = ask(http).json()
        assert before["citations"]
        assert service.citation(before["answer_id"], 1)["uri"] == "fleet:tern.html"
    with TestClient(create_app(replace(service, hidden=lambda: ["fleet"])), base_url=URL) as http:
        after = ask(http).json()
        assert after["abstained"]
        assert after["evidence"] == []
        sources = http.get("/v1/sources").json()["sources"]
        assert "fleet" not in {one["name"] for one in sources}
    with pytest.raises(NoCitationError):
        replace(service, hidden=lambda: ["fleet"]).citation(before["answer_id"], 1)


def test_no_answer_is_kept_where_the_journal_is_off(service: Service) -> None:
    with TestClient(create_app(replace(service, keeps_answers=False)), base_url=URL) as http:
        assert ask(http).json()["citations"]
    assert service.store.rows("answers") == []
