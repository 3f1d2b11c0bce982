"""Stage 4: from ``sections`` to ``chunks``."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from rag_assets.chunks.chunking import Counter, chunk_section, embedded_text, make_header
from rag_assets.lake.delta import Progress, Report, StageTable, refresh, upstream_hashes
from rag_assets.lake.identity import row_id, text_hash, value_hash
from rag_assets.lake.schemas import CHUNKS, stage_rows
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.sections import structure

CODE_VERSION = "1"
TABLE = StageTable("chunks", CHUNKS, "chunk_id")


def cut_chunks(
    store: LakeStore,
    partition: str,
    *,
    counter: Counter,
    tokenizer_id: str,
    max_tokens: int,
    run_id: str,
    progress: Progress | None = None,
) -> Report:
    """Cut what is new or changed among the sections into chunks.

    Args:
        store: the lake.
        partition: partition key.
        counter: the embedder's tokenizer.
        tokenizer_id: names it and its revision; another one means other chunks.
        max_tokens: of a chunk with its header, special tokens not counted.
        run_id: of the Dagster run.
        progress: called with (sections done, sections to do).
    """
    return refresh(
        store,
        [TABLE],
        partition,
        upstream=lambda: upstream_hashes(store, structure.TABLE, partition),
        compute=lambda ids: {TABLE.name: _cut(store, partition, ids, counter, max_tokens)},
        fingerprint=value_hash(["chunks", CODE_VERSION, tokenizer_id, max_tokens]),
        run_id=run_id,
        batch_inputs=512,
        progress=progress,
    )


def _cut(
    store: LakeStore, partition: str, ids: Sequence[str], counter: Counter, max_tokens: int
) -> pa.Table:
    sections = store.rows(structure.TABLE.name, partition, where=f"section_id IN ({quoted(ids)})")
    return stage_rows(
        CHUNKS,
        [row for section in sections for row in chunk_rows(section, counter, max_tokens)],
    )


def chunk_rows(
    section: dict[str, Any], counter: Counter, max_tokens: int
) -> Iterator[dict[str, Any]]:
    """Rows of ``chunks`` for one row of ``sections``, offsets counted from the document's start."""
    origin, text = section["start"], section["text"]
    blocks = [(block["start"] - origin, block["end"] - origin) for block in section["blocks"]]
    header = make_header(section["title"], section["heading_path"], counter, max_tokens)
    occurrences: dict[str, int] = {}
    spans = chunk_section(text, blocks, header, counter, max_tokens=max_tokens)
    for ordinal, span in enumerate(spans):
        piece = text[span.start : span.end]
        nth = occurrences[piece] = occurrences.get(piece, 0) + 1
        start = origin + span.start
        yield {
            "input_id": section["section_id"],
            "chunk_id": row_id("chk", section["section_id"], piece, nth),
            "section_id": section["section_id"],
            "document_id": section["document_id"],
            "section_ordinal": section["ordinal"],
            "ordinal": ordinal,
            "page": _page_at(section["blocks"], start),
            "start": start,
            "end": origin + span.end,
            "text": piece,
            "heading_path": section["heading_path"],
            "header": header,
            "n_tokens": span.n_tokens,
            "embedded_hash": text_hash(embedded_text(header, piece)),
        }


def _page_at(blocks: Sequence[dict[str, Any]], start: int) -> int | None:
    """Page of the block that holds this offset."""
    page: int | None = None
    for block in blocks:
        if block["start"] <= start:
            page = block["page"]
    return page
