"""Stage 2: from ``source_files`` to ``documents`` and ``rejected_documents``."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, fields
from functools import partial
from typing import Any

import pyarrow as pa

from rag_assets.documents import signatures
from rag_assets.documents.readers import ocr
from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.reading import Document
from rag_assets.documents.worker import ParsingPool
from rag_assets.lake.delta import Progress, Report, StageTable, refresh, upstream_hashes
from rag_assets.lake.identity import row_id, text_hash
from rag_assets.lake.schemas import DOCUMENTS, REJECTED_DOCUMENTS, stage_rows
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.sources import stage as ingest

CODE_VERSION = "7"
BATCH_FILES = 64  # a commit; a kill costs at most the reading of so many
REJECTED = StageTable("rejected_documents", REJECTED_DOCUMENTS, "uri")
# Bands and sketch follow from the text.
TABLE = StageTable("documents", DOCUMENTS, "document_id", frozenset({"bands", "sketch"}))
_NOT_STORABLE = (ValueError, OverflowError, pa.ArrowException)


def fingerprint() -> str:
    """Of the stage; where OCR is installed, scans give documents that they did not give before."""
    with_ocr = "/ocr" if ocr.is_available() else ""
    return f"documents/{CODE_VERSION}/{signatures.VERSION}{with_ocr}"


def document_id(uri: str) -> str:
    """A document is its place: edited, it stays the same document."""
    return row_id("doc", uri)


def normalise_documents(
    store: LakeStore,
    partition: str,
    *,
    run_id: str,
    progress: Progress | None = None,
    pool: ParsingPool | None = None,
) -> Report:
    """Read what is new or changed at the source; every file ends in exactly one of two tables.

    Args:
        store: the lake.
        partition: its key.
        run_id: of the Dagster run.
        progress: called with (files done, files to do).
        pool: of workers, for several partitions one after another; None has one of its own. To
            start a worker takes 2 s of a core.
    """
    with nullcontext(pool) if pool is not None else ParsingPool() as workers:
        return refresh(
            store,
            [REJECTED, TABLE],
            partition,
            upstream=lambda: upstream_hashes(store, ingest.TABLE, partition),
            compute=lambda uris: _read(store, partition, uris, workers),
            fingerprint=fingerprint(),
            run_id=run_id,
            batch_inputs=BATCH_FILES,
            progress=progress,
        )


def _read(
    store: LakeStore, partition: str, uris: Sequence[str], pool: ParsingPool
) -> Mapping[str, pa.Table]:
    files = store.rows(
        ingest.TABLE.name,
        partition,
        columns=["uri", "raw_hash", "size", "problem", ingest.TABLE.passes],
        where=f"uri IN ({quoted(uris)})",
    )
    readable = [file for file in files if file["problem"] is None]
    read = pool.read_all(
        [
            (partial(store.get_blob, file["raw_hash"]), file["uri"].partition(":")[2])
            for file in readable
        ]
    )
    unreadable = [
        (file, RejectedError("unreadable", file["problem"])) for file in files if file["problem"]
    ]
    return rows_of([*zip(readable, read, strict=True), *unreadable])


def rows_of(
    results: Iterable[tuple[Mapping[str, Any], Document | RejectedError]],
) -> Mapping[str, pa.Table]:
    """Rows by table name; a document that Arrow does not take is a rejected one.

    Args:
        results: each file, with its uri, hashes and size, and what became of it.
    """
    read, rejected = [], []
    for file, result in results:
        if isinstance(result, Document):
            read.append((file, result))
        else:
            rejected.append((file, result))
    try:
        documents = stage_rows(DOCUMENTS, [_row(*pair) for pair in read])
    except _NOT_STORABLE:  # one by one: what one has must not stop its partition at every refresh
        tables = [stage_rows(DOCUMENTS, [])]
        for file, document in read:
            try:
                tables.append(stage_rows(DOCUMENTS, [_row(file, document)]))
            except _NOT_STORABLE as error:
                why = RejectedError("corrupt", f"what was read cannot be stored: {error}")
                rejected.append((file, why))
        documents = pa.concat_tables(tables)
    return {
        REJECTED.name: stage_rows(
            REJECTED_DOCUMENTS,
            [
                {**_origin(file), "size": file["size"], "reason": why.reason, "detail": why.detail}
                for file, why in rejected
            ],
        ),
        TABLE.name: documents,
    }


def _row(file: Mapping[str, Any], document: Document) -> Mapping[str, Any]:
    values = {field.name: getattr(document, field.name) for field in fields(document)}
    return {
        **values,
        "blocks": [asdict(block) for block in document.blocks],
        "edits": [asdict(edit) for edit in document.edits],
        **_origin(file),
        "document_id": document_id(file["uri"]),
        "text_hash": text_hash(document.text),
    }


def _origin(file: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "input_id": file["uri"],
        "input_hash": file[ingest.TABLE.passes],
        "uri": file["uri"],
        "raw_hash": file["raw_hash"],
    }
