"""Stage 3: from ``documents`` to ``sections``."""

from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from rag_assets.documents import normalise
from rag_assets.lake.delta import Progress, Report, StageTable, refresh, upstream_hashes
from rag_assets.lake.schemas import SECTIONS, stage_rows
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.sections.tree import cut_sections

CODE_VERSION = "1"
TABLE = StageTable("sections", SECTIONS, "section_id")


def structure_documents(
    store: LakeStore, partition: str, *, run_id: str, progress: Progress | None = None
) -> Report:
    """Cut what is new or changed among the documents into sections."""
    return refresh(
        store,
        [TABLE],
        partition,
        upstream=lambda: upstream_hashes(store, normalise.TABLE, partition),
        compute=lambda ids: {TABLE.name: _cut(store, partition, ids)},
        fingerprint=f"sections/{CODE_VERSION}",
        run_id=run_id,
        progress=progress,
    )


def _cut(store: LakeStore, partition: str, ids: Sequence[str]) -> pa.Table:
    documents = store.rows(
        normalise.TABLE.name,
        partition,
        columns=["document_id", "title", "text", "blocks"],
        where=f"document_id IN ({quoted(ids)})",
    )
    rows = [
        {
            **asdict(section),
            "input_id": document["document_id"],
            "document_id": document["document_id"],
            "title": document["title"],
            "text": document["text"][section.start : section.end],
        }
        for document in documents
        for section in cut_sections(document["document_id"], document["text"], document["blocks"])
    ]
    return stage_rows(SECTIONS, rows)
