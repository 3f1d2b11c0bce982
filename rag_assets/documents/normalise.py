"""Stage 2: from ``source_files`` to ``documents`` and ``rejected_documents``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from rag_assets.documents.blocks import RejectedError
from rag_assets.documents.worker import ParsingWorker
from rag_assets.lake.delta import Progress, Report, StageTable, refresh, upstream_hashes
from rag_assets.lake.identity import row_id, text_hash
from rag_assets.lake.schemas import DOCUMENTS, REJECTED_DOCUMENTS, stage_rows
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.sources import ingest

CODE_VERSION = "3"
REJECTED = StageTable("rejected_documents", REJECTED_DOCUMENTS, "uri")
# Bands and sketch follow from the text.
TABLE = StageTable("documents", DOCUMENTS, "document_id", frozenset({"bands", "sketch"}))


def document_id(uri: str) -> str:
    """A document is its place: edited, it stays the same document."""
    return row_id("doc", uri)


def normalise_documents(
    store: LakeStore, partition: str, *, run_id: str, progress: Progress | None = None
) -> Report:
    """Read what is new or changed at the source; every file ends in exactly one of two tables."""
    with ParsingWorker() as worker:
        return refresh(
            store,
            [REJECTED, TABLE],
            partition,
            upstream=lambda: upstream_hashes(store, ingest.TABLE, partition),
            compute=lambda uris: _read(store, partition, uris, worker),
            fingerprint=f"documents/{CODE_VERSION}",
            run_id=run_id,
            batch_inputs=32,
            progress=progress,
        )


def _read(
    store: LakeStore, partition: str, uris: Sequence[str], worker: ParsingWorker
) -> Mapping[str, pa.Table]:
    documents: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    files = store.rows(
        ingest.TABLE.name,
        partition,
        columns=["uri", "raw_hash", "size", "problem"],
        where=f"uri IN ({quoted(uris)})",
    )
    for file in files:
        uri = file["uri"]
        try:
            if file["problem"] is not None:
                raise RejectedError("unreadable", file["problem"])
            path = uri.partition(":")[2]
            document = worker.read(store.get_blob(file["raw_hash"]), path)
        except RejectedError as error:
            rejected.append(
                {
                    "input_id": uri,
                    "uri": uri,
                    "raw_hash": file["raw_hash"],
                    "size": file["size"],
                    "reason": error.reason,
                    "detail": error.detail,
                }
            )
            continue
        documents.append(
            {
                **asdict(document),
                "input_id": uri,
                "document_id": document_id(uri),
                "uri": uri,
                "raw_hash": file["raw_hash"],
                "text_hash": text_hash(document.text),
            }
        )
    return {
        REJECTED.name: stage_rows(REJECTED_DOCUMENTS, rejected),
        TABLE.name: stage_rows(DOCUMENTS, documents),
    }
