"""Stage 2: from ``source_files`` to ``documents`` and ``rejected_documents``."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import Any, Final

import pyarrow as pa

from rag_assets.documents import signatures
from rag_assets.documents.readers import ocr
from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.registry import Reader, identity
from rag_assets.documents.reading import Document
from rag_assets.documents.worker import ParsingPool
from rag_assets.lake.delta import StageTable
from rag_assets.lake.figures import Table, Value, counted
from rag_assets.lake.identity import row_id, text_hash
from rag_assets.lake.schemas import BLOCK, TEXT, TEXTS, required, stage_rows, stage_schema
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.sources import stage as source_files

VERSION = "7"
BATCH_FILES = 64  # a commit; a kill costs at most the reading of so many

EDIT: Final = pa.struct(
    [
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("original", TEXT),  # what text[start:end] was in the reader's extraction
    ]
)

DOCUMENTS: Final = stage_schema(
    required("document_id", TEXT),
    required("uri", TEXT),
    required("raw_hash", TEXT),
    required("text_hash", TEXT),
    required("media_type", TEXT),
    pa.field("encoding", TEXT),  # null where the format says it itself (PDF)
    required("title", TEXT),
    required("language", TEXT),  # ISO 639-1
    pa.field("author", TEXT),  # this and the next three as the document itself states them
    pa.field("created", TEXT),  # YYYY-MM-DD
    pa.field("modified", TEXT),  # YYYY-MM-DD
    pa.field("licence", TEXT),
    required("text", TEXT),  # NFC, line ends \n
    required("blocks", pa.list_(BLOCK)),
    required("edits", pa.list_(EDIT)),  # leads from the text back to the extraction
    required("flags", TEXTS),  # why this is no page to answer from; empty: it is one
    required(
        "bands", pa.list_(pa.uint32(), signatures.N_BANDS)
    ),  # equal in one: maybe near duplicates
    required("sketch", pa.list_(pa.uint64())),  # sample of the shingles, for containment
)

REJECTED_DOCUMENTS: Final = stage_schema(
    required("uri", TEXT),
    required("raw_hash", TEXT),
    required("size", pa.int64()),
    required("reason", TEXT),  # a short name to group by, e.g. "corrupt"
    required("detail", TEXT),  # the sentence for a person
)

REJECTED = StageTable("rejected_documents", REJECTED_DOCUMENTS, "uri")
# Bands and sketch follow from the text.
TABLE = StageTable("documents", DOCUMENTS, "document_id", frozenset({"bands", "sketch"}))
_NOT_STORABLE = (ValueError, OverflowError, pa.ArrowException)


def parts(readers: Sequence[Reader] = ()) -> dict[str, str]:
    """What the fingerprint is made of; where OCR is installed, scans give documents as well."""
    found = {"signatures": signatures.VERSION}
    if ocr.is_available():
        found["ocr"] = "ocr"
    if readers:
        found["readers"] = ",".join(map(identity, readers))
    return found


def document_id(uri: str) -> str:
    """A document is its place: edited, it stays the same document."""
    return row_id("doc", uri)


def sizes_of_files(store: LakeStore, partition: str, uris: Sequence[str]) -> dict[str, int]:
    """Bytes of the files, by uri."""
    where = f"uri IN ({quoted(uris)})"
    rows = store.rows(source_files.TABLE.name, partition, columns=["uri", "size"], where=where)
    return {row["uri"]: row["size"] for row in rows}


def sizes_of_documents(store: LakeStore, partition: str, ids: Sequence[str]) -> dict[str, int]:
    """Characters of the documents' texts, by id; the texts are read one batch after another."""
    table = store.table(TABLE.name, partition)
    if table is None:
        return {}
    query = table.search().where(f"document_id IN ({quoted(ids)})")
    rows = query.select({"document_id": "document_id", "size": "length(text)"}).to_arrow()
    return {row["document_id"]: row["size"] for row in rows.to_pylist()}


def read(
    store: LakeStore,
    partition: str,
    uris: Sequence[str],
    pool: ParsingPool,
    readers: Sequence[Reader] = (),
) -> Mapping[str, pa.Table]:
    """Read files, in workers that a bad one may crash; each ends in exactly one of two tables."""
    files = store.rows(
        source_files.TABLE.name,
        partition,
        columns=["uri", "raw_hash", "size", "problem", source_files.TABLE.passes],
        where=f"uri IN ({quoted(uris)})",
    )
    readable = [file for file in files if file["problem"] is None]
    waiting = [
        (partial(store.get_blob, file["raw_hash"]), file["uri"].partition(":")[2])
        for file in readable
    ]
    read = zip(readable, pool.read_all(waiting, readers), strict=True)
    rejected = (
        (file, RejectedError("unreadable", file["problem"])) for file in files if file["problem"]
    )
    return rows_of([*read, *rejected])


def rows_of(
    results: Iterable[tuple[Mapping[str, Any], Document | RejectedError]],
) -> Mapping[str, pa.Table]:
    """Rows by table name, of files and what became of them.

    A document that Arrow does not take is a rejected one.
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
    for name in ("media_type", "title", "language"):
        if not isinstance(values[name], str):
            raise ValueError(f"expected a text for {name}, got {values[name]!r}")
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
        "input_hash": file[source_files.TABLE.passes],
        "uri": file["uri"],
        "raw_hash": file["raw_hash"],
    }


def summary(store: LakeStore, partitions: Sequence[str]) -> Mapping[str, Value]:
    """What the documents are, and which are kept out of the index."""
    columns = ["uri", "language", "media_type", "flags"]
    rows = [
        row
        for partition in partitions
        for row in store.rows(TABLE.name, partition, columns=columns)
    ]
    flagged = [(row["uri"], "; ".join(row["flags"])) for row in rows if row["flags"]]
    return {
        "languages": counted(Counter(row["language"] for row in rows)),
        "media_types": counted(Counter(row["media_type"] for row in rows)),
        "n_flagged": len(flagged),
        "kept_out_of_the_index": Table(("uri", "flags"), sorted(flagged)),
    }


def rejects_summary(store: LakeStore, partitions: Sequence[str]) -> Mapping[str, Value]:
    """Why files gave no document."""
    columns = ["uri", "reason", "detail"]
    rejects = sorted(
        (row["uri"], row["reason"], row["detail"])
        for partition in partitions
        for row in store.rows(REJECTED.name, partition, columns=columns)
    )
    return {
        "reasons": counted(Counter(reason for _, reason, _ in rejects)),
        "rejects": Table(("uri", "reason", "detail"), rejects),
    }
