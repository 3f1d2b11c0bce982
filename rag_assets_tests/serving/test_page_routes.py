"""What the page asks for: sources, passages in their documents, pages of PDFs, feedback."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image

from rag_assets.access.rules import hash_of
from rag_assets.answers.feedback import TABLE
from rag_assets.lake.store import LakeStore
from rag_assets.serving import passages_shown
from rag_assets.serving.app import create_app
from rag_assets.serving.service import Service
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import FERRIES, publish_docs
from rag_assets_tests.serving.kept import PLAN, keep

URL = "http://127.0.0.1"
BUILT = "When was MV Tern built?"
DOCKS = "When does MV Gannet dock at Hestvik Yard?"
TERN = FERRIES[1]
RULES = f"""
keys:
  - {{name: ada, sha256: "{hash_of("ada")}", groups: [crew]}}
  - {{name: eve, sha256: "{hash_of("eve")}"}}
rules:
  - {{uri: "fleet:tern.html", groups: [crew]}}
  - {{uri: "fleet:plan.pdf", groups: [crew]}}
  - {{uri: "fleet:old/**", groups: []}}
sources: {{fleet: everyone}}
"""


@pytest.fixture
def http(empty_service: Service, embedder: WordEmbedder) -> Iterator[TestClient]:
    publish_docs(empty_service.store, [*FERRIES, PLAN], embedder)
    assert empty_service.live.reload().error == ""
    keep(empty_service.store, *FERRIES, PLAN)
    with TestClient(
        create_app(empty_service), base_url=URL, raise_server_exceptions=False
    ) as client:
        yield client


def ask(http: TestClient, question: str = BUILT, key: str = "") -> dict[str, Any]:
    record: dict[str, Any] = http.post(
        "/v1/answers", json={"question": question}, headers=bearer(key)
    ).json()
    return record


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def passage(
    http: TestClient, answer_id: str, n: int = 1, rest: str = "", key: str = ""
) -> Response:
    return http.get(f"/v1/passages/{answer_id}/{n}{rest}", headers=bearer(key))


def text_of(shown: dict[str, Any], *, quoted: bool) -> str:
    parts = (part for block in shown["blocks"] for part in block["parts"])
    return "".join(part["text"] for part in parts if part["is_quoted"] or not quoted)


def test_a_citation_opens_in_its_document(http: TestClient) -> None:
    record = ask(http)
    shown = passage(http, record["answer_id"]).json()
    assert shown["citation"] == record["citations"][0]
    assert text_of(shown, quoted=True) == record["citations"][0]["quote"]
    assert text_of(shown, quoted=False).startswith("HistoryMV Tern was built in 2003")
    assert "Passengers 180." in text_of(shown, quoted=False)
    assert [block["kind"] for block in shown["blocks"]] == ["heading", "paragraph"] * 2
    assert shown["note"] == ""
    assert shown["pages"] == []
    assert shown["is_cut"] == {"before": False, "behind": False}


def test_of_a_long_document_the_surroundings_are_shown(
    http: TestClient, store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passages_shown, "AROUND", 20)
    record = ask(http)
    shown = passage(http, record["answer_id"]).json()
    assert text_of(shown, quoted=True) == record["citations"][0]["quote"]
    assert len(text_of(shown, quoted=False)) <= len(record["citations"][0]["quote"]) + 40
    assert shown["is_cut"] == {"before": False, "behind": True}


def test_a_quote_that_moved_is_found_again(http: TestClient, store: LakeStore) -> None:
    record = ask(http)
    moved = replace(TERN, sections=(("New", "A line that was put before."), *TERN.sections))
    keep(store, moved, document_id=TERN.document_id)
    shown = passage(http, record["answer_id"]).json()
    assert text_of(shown, quoted=True) == record["citations"][0]["quote"]
    assert shown["note"] == ""


@pytest.mark.parametrize("change", ["other text", "twice", "gone"])
def test_what_changed_is_said(http: TestClient, store: LakeStore, change: str) -> None:
    record = ask(http)
    quote = record["citations"][0]["quote"]
    if change == "gone":
        table = store.table("documents", "fleet.0")
        assert table is not None
        table.delete("uri = 'fleet:tern.html'")
    else:
        text = "Nothing." if change == "other text" else f"x {quote} {quote}"
        other = replace(TERN, sections=(("History", text),))
        keep(store, other, document_id=TERN.document_id)
    shown = passage(http, record["answer_id"]).json()
    assert shown["note"].startswith("The document is no longer" if change == "gone" else "The doc")
    assert text_of(shown, quoted=False) == quote


def test_a_page_of_a_pdf_is_drawn(http: TestClient) -> None:
    record = ask(http, DOCKS)
    shown = passage(http, record["answer_id"]).json()
    assert shown["citation"]["uri"] == "fleet:plan.pdf"
    assert shown["pages"] == [2]
    page = passage(http, record["answer_id"], rest="/pages/2")
    assert page.headers["Content-Type"] == "image/png"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    colours = Image.open(io.BytesIO(page.content)).convert("RGB").getcolors()
    assert colours is not None
    assert any(blue < 170 and red > 240 for _, (red, _, blue) in colours)
    for other in (1, 3, 0, -1):
        assert passage(http, record["answer_id"], rest=f"/pages/{other}").status_code == 404


def test_a_damaged_pdf_costs_the_picture_alone(http: TestClient, store: LakeStore) -> None:
    store.put_blob("0123", b"no pdf")
    keep(store, PLAN, raw_hash="0123")
    record = ask(http, DOCKS)
    assert passage(http, record["answer_id"]).json()["pages"] == [2]
    assert passage(http, record["answer_id"], rest="/pages/2").status_code == 404
    keep(store, PLAN, raw_hash="4567")  # swept
    assert passage(http, record["answer_id"]).json()["pages"] == []


@pytest.mark.parametrize(
    "answer_id",
    ["answer_0", "nothing", "answer_' OR 1=1 --", "..%2F..%2Fetc", "answer_" + "f" * 99],
)
def test_what_is_absent_is_not_found(http: TestClient, answer_id: str) -> None:
    ask(http)
    assert passage(http, answer_id).status_code == 404
    body = {"answer_id": answer_id, "verdict": "right"}
    assert http.post("/v1/feedback", json=body).status_code == 404


def test_absent_and_forbidden_are_one(http: TestClient, tmp_path: Path) -> None:
    (tmp_path / "access.yaml").write_text(RULES)
    for question in (BUILT, DOCKS):
        answer_id = ask(http, question, key="ada")["answer_id"]
        assert passage(http, answer_id, key="ada").status_code == 200
        for rest in ("", "/pages/2"):
            closed = passage(http, answer_id, rest=rest, key="eve")
            absent = passage(http, "answer_0", rest=rest, key="eve")
            assert closed.status_code == absent.status_code == 404
            assert closed.text == absent.text.replace("answer_0", answer_id)
            assert closed.headers == {**absent.headers, "content-length": str(len(closed.text))}
        body = {"answer_id": answer_id, "verdict": "right"}
        refused = http.post("/v1/feedback", json=body, headers=bearer("eve"))
        unknown = {**body, "answer_id": "answer_0"}
        absent = http.post("/v1/feedback", json=unknown, headers=bearer("eve"))
        assert refused.status_code == absent.status_code == 404
        assert refused.text == absent.text.replace("answer_0", answer_id)
    assert passage(http, answer_id, n=9, key="ada").status_code == 404


def test_a_copy_that_is_closed_is_not_named(http: TestClient, tmp_path: Path) -> None:
    answer_id = ask(http)["answer_id"]  # before there were rules: the record names the copy
    assert passage(http, answer_id).json()["citation"]["aliases"] == ["fleet:old/tern.html"]
    (tmp_path / "access.yaml").write_text(RULES)
    assert passage(http, answer_id, key="ada").json()["citation"]["aliases"] == []


def test_sources_say_how_fresh_they_are(http: TestClient, store: LakeStore) -> None:
    store.put_record(
        "plans/history",
        [{"at": "2024-06-02T00:00:00+00:00", "partitions": ["fleet.0"]},
         {"at": "2024-06-03T00:00:00+00:00", "partitions": ["other.0"]}],
    )  # fmt: skip
    known = http.get("/v1/sources").json()
    assert known["sources"] == [
        {
            "name": "fleet", "documents": 4, "newest": "2024-05-01",
            "refreshed_at": "2024-06-02T00:00:00+00:00",
        }
    ]  # fmt: skip
    assert known["generation"]["created_at"] == "2024-06-01T00:00:00+00:00"


def test_sources_count_what_the_caller_may_read(http: TestClient, tmp_path: Path) -> None:
    (tmp_path / "access.yaml").write_text(RULES)
    counts = {
        key: [
            one["documents"]
            for one in http.get("/v1/sources", headers=bearer(key)).json()["sources"]
        ]
        for key in ("ada", "eve")
    }
    assert counts == {"ada": [4], "eve": [2]}
    (tmp_path / "access.yaml").write_text(RULES.replace("fleet: everyone", "fleet: []"))
    assert http.get("/v1/sources", headers=bearer("eve")).json()["sources"] == []


def test_without_a_generation_there_are_no_sources(empty_service: Service) -> None:
    with TestClient(create_app(empty_service), base_url=URL) as http:
        known = http.get("/v1/sources").json()
    assert known == {"generation": None, "sources": [], "document_types": []}


def test_feedback_is_kept(http: TestClient, store: LakeStore, tmp_path: Path) -> None:
    (tmp_path / "access.yaml").write_text(RULES)
    record = ask(http, key="ada")
    body = {"answer_id": record["answer_id"], "verdict": "wrong", "expected": "2004"}
    assert http.post("/v1/feedback", json=body, headers=bearer("ada")).json() == {"status": "kept"}
    (row,) = store.rows(TABLE)
    assert (row["question"], row["right"], row["expected"]) == (BUILT, False, "2004")
    assert (row["answer"], row["asker"]) == (record["answer"], "ada")


@pytest.mark.parametrize(
    "change", [{"verdict": "maybe"}, {"expected": "x" * 501}, {"expected": 3}, {"answer_id": None}]
)
def test_other_feedback_is_refused(
    http: TestClient, store: LakeStore, change: dict[str, Any]
) -> None:
    body = {"answer_id": ask(http)["answer_id"], "verdict": "right", **change}
    assert http.post("/v1/feedback", json=body).status_code == 400
    assert store.rows(TABLE) == []


def test_feedback_on_half_a_letter_is_refused(http: TestClient) -> None:
    body = '{"answer_id": "\\ud800", "verdict": "right"}'
    sent = http.post("/v1/feedback", content=body, headers={"Content-Type": "application/json"})
    assert sent.status_code == 400


@pytest.mark.parametrize("path", ["/v1/sources", "/v1/models", "/v1/documents/x", "/metrics"])
def test_what_depends_on_the_caller_is_kept_nowhere(http: TestClient, path: str) -> None:
    assert http.get(path).headers["cache-control"] == "no-store"
