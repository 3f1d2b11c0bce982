"""Search over HTTP, filters over HTTP, and search without the answerer."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from rag_assets.access.file import AccessError
from rag_assets.answers.filters import NO_FILTERS, Filters
from rag_assets.models.errors import EngineUnavailableError
from rag_assets.serving import searching
from rag_assets.serving.app import Service, create_app
from rag_assets.serving.searching import find_without_answerer
from rag_assets.settings import load_settings
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder
from rag_assets_tests.serving.test_keys import RULES, URL, tells_of_tern


@pytest.fixture
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service), base_url=URL, raise_server_exceptions=False) as client:
        yield client


def search(http: TestClient, question: str, key: str = "", **more: Any) -> Response:  # noqa: ANN401
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return http.post("/v1/search", json={"question": question, **more}, headers=headers)


def test_passages_come_without_a_language_model(http: TestClient, llm: ScriptedChat) -> None:
    record = search(http, "When was MV Tern built?", limit=2).json()
    assert len(record["hits"]) == 2
    best = record["hits"][0]
    assert (best["n"], best["uri"], best["title"]) == (1, "fleet:tern.html", "MV Tern")
    assert best["heading_path"] == ["MV Tern", "History"]
    assert "2003" in best["quote"]
    assert best["score"] > 0
    assert llm.calls == []


def test_only_permitted_passages_come(http: TestClient, tmp_path: Path) -> None:
    (tmp_path / "access.yaml").write_text(RULES)
    asked = "Solvik Marine"
    assert tells_of_tern(search(http, asked, "ada").json())
    hidden = search(http, asked, "eve").json()
    assert not tells_of_tern(hidden)
    assert search(http, asked).status_code == 401
    # no filter widens what may be read
    for filters in ({"where": "uri = fleet:tern.html"}, {"where": "title = MV Tern"}):
        told = search(http, asked, "eve", filters=filters).json()
        absent = search(http, asked, "eve", filters={"where": "uri = fleet:absent"}).json()
        assert told == absent
        assert told["chunks_searched"] == 0
        assert tells_of_tern(search(http, asked, "ada", filters=filters).json())


@pytest.mark.parametrize("path", ["/v1/search", "/v1/answers"])
def test_filters_are_checked(http: TestClient, path: str) -> None:
    def said(filters: object) -> str:
        refused = http.post(path, json={"question": "Tern?", "filters": filters})
        assert 400 <= refused.status_code < 500
        return str(refused.json()["error"])

    assert "no column 'aliases'; there are uri, title" in said({"where": ["aliases = x"]})
    assert "no filter 'sql'; known: source, type" in said({"sql": "true"})
    assert "filters" in said("true")


def test_an_answer_is_made_from_what_the_filters_leave(http: TestClient) -> None:
    def answer(**filters: object) -> dict[str, Any]:
        body = {"question": "When was MV Tern built?", "filters": filters}
        record: dict[str, Any] = http.post("/v1/answers", json=body).json()
        return record

    assert answer(source="fleet")["citations"][0]["uri"] == "fleet:tern.html"
    others = answer(where="uri != fleet:tern.html")
    assert "fleet:tern.html" not in str([others["citations"], others["evidence"]])
    assert "none meets the filters" in answer(source="nowhere")["answer"]


def test_a_chat_is_answered_from_what_the_filters_leave(http: TestClient) -> None:
    def said(filters: object) -> Response:
        turn = {"role": "user", "content": "When was MV Tern built?"}
        body = {"model": "rag-auto", "messages": [turn], "filters": filters}
        return http.post("/v1/chat/completions", json=body)

    assert "2003" in said({"source": "fleet"}).text
    assert "2003" not in said({"where": "uri != fleet:tern.html"}).text
    refused = said({"where": "aliases = x"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "filters"


def test_searches_do_not_wait_for_answers(http: TestClient, service: Service) -> None:
    with service.gate.admitted(), service.gate.admitted():
        for _ in range(service.gate.n_running - 2):
            threading.Thread(target=service.gate.admitted().__enter__).start()
        assert search(http, "Tern").status_code == 200


def test_without_the_answerer_the_embedder_is_enough(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Only:
        def __init__(self, **_: object) -> None: ...

        def embedder_for(self, _made_with: object) -> WordEmbedder:
            return WordEmbedder()

    monkeypatch.setattr(searching, "Models", Only)
    own = replace(load_settings(), home=tmp_path, lake_uri=service.store.uri, key="")
    asked = "Solvik Marine"

    def found(key: str = "", filters: Filters = NO_FILTERS) -> bool:
        settings = replace(own, key=key)
        return tells_of_tern(find_without_answerer(settings, asked, 5, filters).to_record())

    assert found()
    assert not found(filters=Filters(where=("uri != fleet:tern.html",)))
    (tmp_path / "access.yaml").write_text(RULES)
    assert found()
    assert found("ada")
    assert not found("eve")
    with pytest.raises(AccessError, match="RAG_KEY is unknown"):
        found("nobody")


def test_without_both_it_says_what_is_needed(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped:
        def __init__(self, *, started: bool, **_: object) -> None:
            assert started

        def embedder_for(self, _made_with: object) -> WordEmbedder:
            raise EngineUnavailableError("the engine of the embedder does not run; `rag up`")

    monkeypatch.setattr(searching, "Models", Stopped)
    settings = replace(load_settings(), home=tmp_path, lake_uri=service.store.uri)
    with pytest.raises(EngineUnavailableError, match=r"engine alone, and no language .* `rag up`"):
        find_without_answerer(settings, "Tern", 5, NO_FILTERS)
