"""With an ``access.yaml`` the service answers each caller from what the caller may read alone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from rag_assets.access.file import AccessFile
from rag_assets.access.rules import hash_of
from rag_assets.answers.filters import Filters
from rag_assets.answers.journal import find_answer
from rag_assets.serving.admission import Gate
from rag_assets.serving.app import create_app
from rag_assets.serving.service import Service
from rag_assets_tests.answers.fakes import ScriptedChat

URL = "http://127.0.0.1"
BUILT = "When was MV Tern built?"
RULES = f"""
keys:
  - {{name: ada, sha256: "{hash_of("ada")}", groups: [crew]}}
  - {{name: eve, sha256: "{hash_of("eve")}"}}
  - {{name: old, sha256: "{hash_of("old")}", groups: [crew], expires: 2020-01-01}}
  - {{name: chat, sha256: "{hash_of("chat")}", acts_for: {{user: X-User}}}}
  - {{name: root, sha256: "{hash_of("root")}", operator: true}}
people: {{ada@example.org: [crew]}}
rules:
  - {{uri: "fleet:tern.html", groups: [crew]}}
  - {{uri: "fleet:old/**", groups: []}}
sources: {{fleet: everyone}}
"""


@pytest.fixture
def access(tmp_path: Path) -> Path:
    path = tmp_path / "access.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture
def http(service: Service, access: Path) -> Iterator[TestClient]:
    with TestClient(create_app(service), base_url=URL, raise_server_exceptions=False) as client:
        yield client


def ask(http: TestClient, key: str = "", question: str = BUILT, **headers: str) -> Response:
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return http.post("/v1/answers", json={"question": question}, headers=headers)


def tells_of_tern(record: dict[str, Any]) -> bool:
    """Whether it tells anything of the page but what the question says."""
    told = json.dumps({**record, "question": "", "repairs": []}).casefold()
    return "tern" in told.replace("mv tern", "") or "2003" in told or "solvik" in told


def test_a_document_is_read_by_whom_it_is_for(http: TestClient) -> None:
    (citation,) = ask(http, "ada").json()["citations"]
    assert citation["uri"] == "fleet:tern.html"
    assert citation["aliases"] == []  # a copy that nobody may read
    (whole,) = ask(http, "root").json()["citations"]
    assert whole["aliases"] == ["fleet:old/tern.html"]
    record = ask(http, "eve").json()
    assert not tells_of_tern(record)
    assert 'No document mentions "MV Tern".' in record["repairs"]


def test_a_citation_is_shown_to_whom_its_document_is_for(http: TestClient) -> None:
    id_ = ask(http, "root").json()["answer_id"]

    def shown(key: str) -> Response:
        headers = {"Authorization": f"Bearer {key}"}
        return http.get(f"/v1/citations/{id_}?n=1", headers=headers)

    assert shown("root").json()["aliases"] == ["fleet:old/tern.html"]
    assert shown("ada").json()["aliases"] == []
    assert "MV Tern was built" in shown("ada").json()["quote"]
    closed = shown("eve")
    assert closed.status_code == 404
    assert closed.text == http.get(
        "/v1/citations/x?n=1", headers={"Authorization": "Bearer eve"}
    ).text.replace("'x'", f"'{id_}'")


def test_what_is_forbidden_counts_as_absent(http: TestClient) -> None:
    forbidden = ask(http, "eve", "How many documents are there?").json()["answer"]
    assert "2" in forbidden
    assert "3" in ask(http, "ada", "How many documents are there?").json()["answer"]
    near = ask(http, "eve", "When was MV Tirn built?").json()["answer"]
    assert "Tern" not in near


def test_a_key_that_acts_for_others_reads_what_they_may(http: TestClient) -> None:
    assert not tells_of_tern(ask(http, "chat").json())
    assert tells_of_tern(ask(http, "chat", **{"X-User": "ada@example.org"}).json())
    assert not tells_of_tern(ask(http, "chat", **{"X-User": "eve@example.org"}).json())
    assert not tells_of_tern(ask(http, "eve", **{"X-User": "ada@example.org"}).json())


@pytest.mark.parametrize("names", [["ada@example.org", "eve@example.org"], ["eve", "ada"]])
def test_who_is_named_twice_is_nobody(http: TestClient, names: list[str]) -> None:
    headers = [("Authorization", "Bearer chat"), *(("X-User", name) for name in names)]
    refused = http.post("/v1/answers", json={"question": BUILT}, headers=headers)
    assert refused.status_code == 400
    assert "X-User once" in refused.json()["error"]["message"]


def test_the_chat_is_narrowed_too(http: TestClient) -> None:
    def said(key: str) -> str:
        body = {"model": "rag-auto", "messages": [{"role": "user", "content": BUILT}]}
        headers = {"Authorization": f"Bearer {key}"}
        return http.post("/v1/chat/completions", json=body, headers=headers).text

    assert "2003" in said("ada")
    assert "2003" not in said("eve")


def test_a_filter_that_fails_does_not_tell_the_rules(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "page >= \u0663"  # no number of SQL
    monkeypatch.setattr(Filters, "sql", lambda self, reader: broken if self.where else None)
    body = {"question": BUILT, "filters": {"where": "page >= 3"}}
    for path in ("/v1/answers", "/v1/search"):
        failed = http.post(path, json=body, headers={"Authorization": "Bearer eve"})
        assert failed.status_code == 500
        assert "fleet:" not in failed.text


@pytest.mark.parametrize("key", ["", "wrong", "old", hash_of("ada")])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/answers"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/admin/status"),
        ("POST", "/admin/reload"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
    ],
)
def test_without_a_key_nothing_is_told(http: TestClient, key: str, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    refused = http.request(method, path, headers=headers)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert refused.text == http.get("/v1/models").text


def test_probes_need_no_key(http: TestClient) -> None:
    assert http.get("/healthz").status_code == http.get("/readyz").status_code == 200


def test_only_operators_find_admin(http: TestClient, service: Service) -> None:
    def get(path: str, key: str) -> Response:
        return http.get(path, headers={"Authorization": f"Bearer {key}"})

    for path in ("/admin/status", "/metrics"):
        assert get(path, "root").status_code == get(path, service.own_key).status_code == 200
        closed, absent = get(path, "ada"), get("/nowhere", "ada")
        assert closed.status_code == absent.status_code == 404
        assert closed.text == absent.text.replace("/nowhere", path)
        assert closed.headers == {**absent.headers, "content-length": str(len(closed.text))}


def test_a_change_holds_at_once(http: TestClient, access: Path) -> None:
    access.write_text(
        RULES.replace("name: ada, ", "name: ada2, ").replace(hash_of("ada"), "0" * 64)
    )
    assert ask(http, "ada").status_code == 401
    access.write_text("keys: nonsense")
    broken = ask(http, "root")
    assert broken.status_code == 503
    assert "access.yaml" not in broken.text
    access.unlink()
    assert ask(http, "root").status_code == ask(http).status_code == 503
    access.write_text(RULES)
    assert ask(http, "ada").status_code == 200


def test_the_journal_names_the_key_that_asked(http: TestClient, service: Service) -> None:
    for key in ("ada", "root", service.own_key):
        asked = find_answer(service.store, ask(http, key).json()["answer_id"])
        assert asked["asker"] == {"ada": "ada", "root": "root"}.get(key, "")
        assert hash_of(key) not in str(asked)


def test_other_machines_are_let_in_by_listed_names_and_with_keys_alone(
    service: Service, access: Path, tmp_path: Path
) -> None:
    exposed = replace(
        service, hosts=["rag.example.org"], access=AccessFile(tmp_path, is_required=True)
    )
    with TestClient(create_app(exposed), base_url="http://rag.example.org") as http:
        assert ask(http, "ada").status_code == 200
        assert ask(http).status_code == 401
        assert ask(http, "ada", Host="evil.example.org").status_code == 400
        access.unlink()
        assert ask(http, "ada").status_code == 503
    never = replace(exposed, access=AccessFile(tmp_path, is_required=True))
    with TestClient(create_app(never), base_url="http://rag.example.org") as http:
        assert ask(http, "ada").status_code == 503  # it was never there


def test_no_file_is_no_key(service: Service) -> None:
    with TestClient(create_app(service), base_url=URL) as http:
        assert ask(http).status_code == 200
        assert http.get("/admin/status").status_code == 200


def test_prompts_are_kept_apart_in_the_prefix_cache(
    http: TestClient, llm: ScriptedChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    salts: list[object] = []
    complete = llm.complete

    def noted(*args: object, **options: object) -> object:
        salts.append(options.get("cache_salt"))
        return complete(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(llm, "complete", noted)
    for key in ("ada", "root"):
        before = len(salts)
        assert not ask(http, key).json()["abstained"]
        assert len(set(salts[before:])) == 1
    assert salts[0] is not None
    assert salts[-1] is None


def test_each_key_has_turns_of_its_own(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, admitted = list[str](), Gate.admitted

    def noted(gate: Gate, *args: Any, who: str, **more: Any) -> Any:  # noqa: ANN401
        asked.append(who)
        return admitted(gate, *args, who=who, **more)

    monkeypatch.setattr(Gate, "admitted", noted)
    for key in ("ada", "eve"):
        assert ask(http, key).status_code == 200
        headers = {"Authorization": f"Bearer {key}"}
        assert http.post("/v1/search", json={"question": BUILT}, headers=headers).is_success
    assert asked == ["ada", "ada", "eve", "eve"]
