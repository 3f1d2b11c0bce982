"""Tracing: from an answer back to raw bytes, and what is said when the lake moved on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pytest

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.journal import record_answer
from rag_assets.answers.tracing import render_trace, trace_answer
from rag_assets.chunks.stage import CHUNKS
from rag_assets.documents.stage import DOCUMENTS
from rag_assets.index.search import IndexReader
from rag_assets.lake.identity import bytes_hash, text_hash
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.sections.stage import SECTIONS
from rag_assets.sources.stage import SOURCE_FILES
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.answers.world import FERRIES, MODIFIED, Doc, chunks_of, publish_docs

PARTITION = "fleet.0"


def put(store: LakeStore, stage: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    lineage = {"input_id": "i", "input_hash": "h", "fingerprint": "f", "row_hash": "r"}
    full = [{**lineage, "run_id": f"run-{stage}", **row} for row in rows]
    table = store.open_or_create(stage, PARTITION, schema)
    table.add(pa.Table.from_pylist(full, schema=schema))


def put_stages(store: LakeStore, doc: Doc, edits: Sequence[Mapping[str, object]] = ()) -> None:
    raw = doc.text.encode()
    store.put_blob(bytes_hash(raw), raw)
    file = {"uri": doc.uri, "path": "/somewhere", "size": len(raw), "mtime_ns": 0}
    put(store, "source_files", SOURCE_FILES,
        [{**file, "raw_hash": bytes_hash(raw), "modified_at": MODIFIED}])  # fmt: skip
    put(store, "documents", DOCUMENTS, [{
        "document_id": doc.document_id, "uri": doc.uri, "raw_hash": bytes_hash(raw),
        "text_hash": text_hash(doc.text), "media_type": "text/html", "encoding": "utf-8",
        "title": doc.title, "language": "en", "text": doc.text, "blocks": [],
        "edits": list(edits),
        "flags": [],
        "bands": [0] * 32,
        "sketch": [],
    }])  # fmt: skip
    for chunk in chunks_of(doc):
        section = asdict(chunk) | {"level": 1, "blocks": []}
        section["ordinal"] = chunk.section_ordinal
        put(store, "sections", SECTIONS, [{k: section[k] for k in SECTIONS.names if k in section}])
        row = asdict(chunk) | {"header": "h", "n_tokens": 9, "embedded_hash": "e"}
        put(store, "chunks", CHUNKS, [{k: row[k] for k in CHUNKS.names if k in row}])


@pytest.fixture
def answer(store: LakeStore, ferries: IndexReader) -> Answer:
    asked = Answerer(
        ferries, ScriptedChat("slm", copies), ScriptedChat("llm", copies), WordEmbedder()
    )
    given = asked.answer("When was MV Tern built?")
    record_answer(store, given, "run-ask")
    return given


def test_every_step_back_to_the_bytes(store: LakeStore, answer: Answer) -> None:
    put_stages(store, FERRIES[1])
    found = trace_answer(store, answer.answer_id)
    (citation,) = found.citations
    assert citation.quote_is_exact is True
    assert [step.stage for step in citation.steps] == [
        "chunk",
        "section",
        "document",
        "source file",
    ]
    assert all(step.found for step in citation.steps)
    assert [step.run_id for step in citation.steps] == [
        "run-chunks", "run-sections", "run-documents", "run-source_files",
    ]  # fmt: skip
    assert found.generation.run_id == "run-index"
    assert "kept" in citation.steps[-1].facts["raw bytes"]
    text = render_trace(found)
    for words in ("run run-ask", "it is live", "[1] \"MV Tern was built", "word for word",
                  "source file fleet:tern.html", "run run-source_files"):  # fmt: skip
        assert words in text, text


def test_what_cleaning_changed_is_shown(store: LakeStore, answer: Answer) -> None:
    start = FERRIES[1].text.index("MV Tern was")
    put_stages(store, FERRIES[1], [{"start": start + 2, "end": start + 3, "original": "\xa0\t"}])
    text = render_trace(trace_answer(store, answer.answer_id))
    assert 'as extracted "MV\xa0\\tTern was' in text


def test_rows_deleted_since_are_said_to_be(store: LakeStore, answer: Answer) -> None:
    found = trace_answer(store, answer.answer_id)
    (citation,) = found.citations
    assert citation.quote_is_exact is None
    assert not any(step.found for step in citation.steps)
    assert "MV Tern was built" in citation.steps[0].facts["text in the pinned index"]
    text = render_trace(found)
    assert "the document is gone from the lake" in text
    assert "no longer in the lake" in text


def test_bytes_not_kept_are_said_to_be(store: LakeStore, answer: Answer) -> None:
    put_stages(store, FERRIES[1])
    digest = bytes_hash(FERRIES[1].text.encode())
    filesystem, _ = store._files
    filesystem.delete_file(store._blob(digest))
    (citation,) = trace_answer(store, answer.answer_id).citations
    assert citation.steps[-1].facts["raw bytes"] == "not kept any more"


def test_a_later_generation_does_not_hide_the_old_one(store: LakeStore, answer: Answer) -> None:
    later = publish_docs(store, FERRIES[:1], WordEmbedder())
    found = trace_answer(store, answer.answer_id)
    assert found.generation_note == f"live is {later.id}"
    assert "MV Tern" in found.citations[0].steps[0].facts["text in the pinned index"]


def test_a_generation_that_is_gone_is_said_to_be(store: LakeStore, answer: Answer) -> None:
    put_stages(store, FERRIES[1])
    filesystem, root = store._files
    filesystem.delete_file(f"{root}/records/generations/{answer.generation_id}.json")
    found = trace_answer(store, answer.answer_id)
    assert not found.generation.found
    assert found.citations[0].quote_is_exact  # found by looking through the partitions
    assert "cannot be opened any more" in render_trace(found)


def test_an_abstention_has_nothing_to_trace(store: LakeStore, ferries: IndexReader) -> None:
    asked = Answerer(
        ferries, ScriptedChat("slm", copies), ScriptedChat("llm", copies), WordEmbedder()
    )
    given = asked.answer("Quantum chromodynamics lattice gauge?")
    record_answer(store, given)
    text = render_trace(trace_answer(store, given.answer_id))
    assert "the answer is an abstention" in text
    assert "no Dagster run" in text


def test_unknown_answers(store: LakeStore) -> None:
    with pytest.raises(LakeError, match="no answer is called"):
        trace_answer(store, "answer_0")
