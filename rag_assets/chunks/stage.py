"""Stage 4: from ``sections`` to ``chunks``."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from rag_assets.chunks.chunking import Chunk, Section, chunk_sections, embedded_text
from rag_assets.chunks.headers import make_headers
from rag_assets.chunks.sizes import Counter
from rag_assets.lake.delta import Progress, Report, StageTable, refresh, upstream_hashes
from rag_assets.lake.identity import row_id, text_hash, value_hash
from rag_assets.lake.schemas import CHUNKS, stage_rows
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.sections import stage as structure

CODE_VERSION = "3"
# A chunk that only moved in its document keeps its vector.
TABLE = StageTable("chunks", CHUNKS, "chunk_id", passes="embedded_hash")


def fingerprint(tokenizer_id: str, max_tokens: int) -> str:
    """Of the stage with this tokenizer and window."""
    return value_hash(["chunks", CODE_VERSION, tokenizer_id, max_tokens])


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
        fingerprint=fingerprint(tokenizer_id, max_tokens),
        run_id=run_id,
        batch_inputs=512,
        progress=progress,
    )


def _cut(
    store: LakeStore, partition: str, ids: Sequence[str], counter: Counter, max_tokens: int
) -> pa.Table:
    sections = store.rows(structure.TABLE.name, partition, where=f"section_id IN ({quoted(ids)})")
    return stage_rows(CHUNKS, list(chunk_rows(sections, counter, max_tokens)))


def chunk_rows(
    sections: Sequence[Mapping[str, Any]], counter: Counter, max_tokens: int
) -> Iterator[dict[str, Any]]:
    """Rows of ``chunks`` for rows of ``sections``, offsets counted from the document's start."""
    paths = [(section["title"], section["heading_path"]) for section in sections]
    headers = make_headers(paths, counter, max_tokens)
    given = [
        Section(section["text"], section["start"], section["blocks"], header)
        for section, header in zip(sections, headers, strict=True)
    ]
    cut = chunk_sections(given, counter, max_tokens=max_tokens)
    for section, chunks in zip(sections, cut, strict=True):
        yield from _rows(section, chunks)


def _rows(section: Mapping[str, Any], chunks: Sequence[Chunk]) -> Iterator[dict[str, Any]]:
    origin, text, blocks = section["start"], section["text"], section["blocks"]
    block_starts = [block["start"] for block in blocks]
    occurrences: dict[str, int] = {}
    for ordinal, chunk in enumerate(chunks):
        piece = text[chunk.start : chunk.end]
        nth = occurrences[piece] = occurrences.get(piece, 0) + 1
        start = origin + chunk.start
        yield {
            "input_id": section["section_id"],
            "input_hash": section[structure.TABLE.passes],
            "chunk_id": row_id("chk", section["section_id"], piece, nth),
            "section_id": section["section_id"],
            "document_id": section["document_id"],
            "section_ordinal": section["ordinal"],
            "ordinal": ordinal,
            "page": blocks[bisect_right(block_starts, start) - 1]["page"],
            "start": start,
            "end": origin + chunk.end,
            "text": piece,
            "heading_path": section["heading_path"],
            "header": chunk.header,
            "n_tokens": chunk.n_tokens,
            "embedded_hash": text_hash(embedded_text(chunk.header, piece)),
        }
