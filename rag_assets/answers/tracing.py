"""Walk an answer back: answer, chunk, section, document, source file, raw bytes, Dagster runs.

The lake changes after an answer was given. If a row is gone, the trace says so and shows what the
answer's generation still knows: its version of the index is kept.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag_assets.answers.journal import find_answer
from rag_assets.documents.cleaning import Edit, extracted_span, extraction
from rag_assets.index.search import IndexedChunk, IndexReader
from rag_assets.lake.generations import live, load
from rag_assets.lake.store import LakeError, LakeStore, quoted


@dataclass(frozen=True, slots=True)
class Step:
    """One row on the way back.

    Attributes:
        stage: the table.
        key: the row's id.
        found: whether the row is still in the lake.
        run_id: Dagster run that wrote it; None when unknown.
        facts: what it says, in order.
    """

    stage: str
    key: str
    found: bool
    run_id: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CitationTrace:
    """A citation and its steps, chunk first, source file last."""

    citation: Mapping[str, Any]
    quote_is_exact: bool | None  # None when the document is gone
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """An answer and where each of its citations comes from.

    Attributes:
        row: of the table ``answers``.
        generation: id, creation time and run of the index it was produced on.
        generation_note: what has become of the generation since.
        citations: in order of their numbers.
    """

    row: Mapping[str, Any]
    generation: Step
    generation_note: str
    citations: tuple[CitationTrace, ...]


def trace_answer(store: LakeStore, answer_id: str) -> Trace:
    """Where an answer comes from.

    Raises:
        LakeError: no answer has that id.
    """
    row = find_answer(store, answer_id)
    record = row["record"]
    generation, note, reader = _generation(store, record["generation"])
    cited = [citation["chunk_id"] for citation in record["citations"]]
    indexed = reader.chunks(cited) if reader is not None else {}
    citations = tuple(
        _citation(store, citation, indexed.get(citation["chunk_id"]))
        for citation in record["citations"]
    )
    return Trace(row, generation, note, citations)


def _generation(store: LakeStore, named: Mapping[str, Any]) -> tuple[Step, str, IndexReader | None]:
    generation_id = str(named["id"])
    try:
        generation = load(store, generation_id)
        reader = IndexReader(store, generation)
    except (LakeError, ValueError, RuntimeError) as error:
        note = f"it cannot be opened any more: {error}"
        return Step("generation", generation_id, False, None, dict(named)), note, None
    pointer = live(store)
    is_live = pointer is not None and pointer.generation_id == generation_id
    note = "it is live" if is_live else f"live is {pointer.generation_id if pointer else 'none'}"
    facts = {"created_at": generation.created_at, "index_version": generation.index_version}
    return Step("generation", generation_id, True, generation.run_id, facts), note, reader


def _citation(
    store: LakeStore, citation: Mapping[str, Any], indexed: IndexedChunk | None
) -> CitationTrace:
    partition = _partition(store, citation, indexed)
    chunk = _row(store, "chunks", partition, "chunk_id", citation["chunk_id"])
    section_id = chunk["section_id"] if chunk else indexed.section_id if indexed else None
    section = _row(store, "sections", partition, "section_id", section_id)
    document = _row(store, "documents", partition, "document_id", citation["document_id"])
    source = _row(store, "source_files", partition, "uri", citation["uri"])
    exact = None
    if document is not None:
        span = document["text"][citation["char_start"] : citation["char_end"]]
        exact = span == citation["quote"]
    is_indexed = chunk is not None or indexed is not None
    steps = (
        _step("chunk", citation["chunk_id"], chunk, _chunk_facts(chunk, indexed)),
        _step("section", section_id or "unknown", section, _section_facts(citation, section)),
        _step(
            "document",
            citation["document_id"],
            document,
            _document_facts(citation, document, is_indexed=is_indexed),
        ),
        _step(
            "source file", citation["uri"], source, _source_facts(store, citation, source, document)
        ),
    )
    return CitationTrace(citation, exact, steps)


def _partition(
    store: LakeStore, citation: Mapping[str, Any], indexed: IndexedChunk | None
) -> str | None:
    """From the pinned index; where that is gone, the partition that has the document today."""
    if indexed is not None:
        return indexed.partition
    for partition in store.partitions("documents"):
        if _row(store, "documents", partition, "document_id", citation["document_id"]):
            return partition
    return None


def _row(
    store: LakeStore, stage: str, partition: str | None, key: str, value: str | None
) -> dict[str, Any] | None:
    if partition is None or value is None:
        return None
    rows = store.rows(stage, partition, where=f"{key} IN ({quoted([value])})")
    return rows[0] if rows else None


def _step(stage: str, key: str, row: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> Step:
    return Step(stage, key, row is not None, None if row is None else str(row["run_id"]), facts)


def _chunk_facts(row: Mapping[str, Any] | None, indexed: IndexedChunk | None) -> dict[str, Any]:
    if row is not None:
        return {"characters": f"{row['start']}-{row['end']}", "tokens": row["n_tokens"]}
    if indexed is None:
        return {}
    return {
        "characters": f"{indexed.start}-{indexed.end}",
        "text in the pinned index": indexed.text[:80],
    }


def _section_facts(citation: Mapping[str, Any], row: Mapping[str, Any] | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"heading": " > ".join(citation["heading_path"]) or "(none)"}
    if row is not None:
        facts["characters"] = f"{row['start']}-{row['end']}"
    if citation["page"] is not None:
        facts["page"] = citation["page"]
    return facts


def _document_facts(
    citation: Mapping[str, Any], row: Mapping[str, Any] | None, *, is_indexed: bool
) -> dict[str, Any]:
    facts: dict[str, Any] = {"title": citation["title"]}
    if row is not None:
        facts |= {"media_type": row["media_type"], "text_hash": row["text_hash"]}
        # The span as the reader gave it, before the text was cleaned.
        start, end = citation["char_start"], citation["char_end"]
        edits = [Edit(**edit) for edit in row["edits"]]
        first, last = extracted_span(edits, start, end)
        extracted = extraction(row["text"], edits)[first:last]
        if extracted != row["text"][start:end]:
            facts["as extracted"] = json.dumps(extracted, ensure_ascii=False)
    elif is_indexed:
        facts["known from"] = "the generation's pinned index"
    if citation["aliases"]:
        facts["duplicates"] = ", ".join(citation["aliases"])
    if citation.get("superseded_by"):
        facts["superseded by"] = citation["superseded_by"]
    return facts


def _source_facts(
    store: LakeStore,
    citation: Mapping[str, Any],
    row: Mapping[str, Any] | None,
    document: Mapping[str, Any] | None,
) -> dict[str, Any]:
    facts: dict[str, Any] = {"modified_at": citation["modified_at"]}
    if row is not None:
        facts |= {"path": row["path"], "size_bytes": row["size"]}
    if (known := row or document) is not None:
        digest = facts["raw_hash"] = known["raw_hash"]
        kept = store.has_blob(digest)
        facts["raw bytes"] = (
            f"kept, {len(store.get_blob(digest)):,} bytes" if kept else "not kept any more"
        )
        if row is not None and document is not None and row["raw_hash"] != document["raw_hash"]:
            facts["note"] = "the source changed since this document was read"
    return facts


def render_trace(found: Trace) -> str:
    """The trace as a text tree."""
    row = found.row
    by = f"run {row['run_id']}" if row["run_id"] else "no Dagster run (HTTP or command line)"
    lines = [
        f"answer {row['answer_id']}",
        f"│  question: {row['question']}",
        f"│  answer: {row['answer']}",
        f"│  model {row['model']}, mode {row['mode']}, finish {row['finish_reason']}, "
        f"{row['created_at']:%Y-%m-%d %H:%M:%S} UTC, {by}",
        f"├─ {_step_line(found.generation)}; {found.generation_note}",
    ]
    if not found.citations:
        lines.append("└─ no citations: the answer is an abstention")
    for citation in found.citations:
        lines += _citation_lines(citation, is_last=citation is found.citations[-1])
    return "\n".join(lines)


def _citation_lines(found: CitationTrace, *, is_last: bool) -> list[str]:
    stem, bar = ("└─", "   ") if is_last else ("├─", "│  ")
    verdict = {
        True: "the document still says so, word for word",
        False: "the document's text has changed since",
        None: "the document is gone from the lake",
    }[found.quote_is_exact]
    quote = " ".join(found.citation["quote"].split())
    lines = [f'{stem} [{found.citation["n"]}] "{quote}" ({verdict})']
    for depth, step in enumerate(found.steps):
        lines.append(f"{bar}{'   ' * depth}└─ {_step_line(step)}")
    return lines


def _step_line(step: Step) -> str:
    facts = "; ".join(f"{name} {value}" for name, value in step.facts.items())
    state = "" if step.found else " (no longer in the lake)"
    run = f"; run {step.run_id}" if step.run_id else ""
    return f"{step.stage} {step.key}{state}{': ' if facts else ''}{facts}{run}"
