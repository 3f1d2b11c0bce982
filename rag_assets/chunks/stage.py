"""Stage 4: from ``sections`` to ``chunks``."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from rag_assets.chunks.chunking import Chunk, Section, chunk_sections, embedded_text
from rag_assets.chunks.headers import make_headers
from rag_assets.lake.delta import StageTable
from rag_assets.lake.figures import Value, histogram
from rag_assets.lake.identity import row_id, text_hash
from rag_assets.lake.schemas import (
    CHUNK_BLOCKS,
    CHUNK_PAGES,
    TEXT,
    TEXTS,
    required,
    stage_rows,
    stage_schema,
)
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.models.protocols import Counter
from rag_assets.sections import stage as sections

VERSION = "5"
CHUNKS: Final = stage_schema(
    required("chunk_id", TEXT),
    required("section_id", TEXT),
    required("document_id", TEXT),
    required("section_ordinal", pa.int32()),
    required("ordinal", pa.int32()),  # reading order within the section, from 0
    pa.field("page", pa.int32()),
    required("start", pa.int64()),
    required("end", pa.int64()),
    required("text", TEXT),
    CHUNK_BLOCKS,
    CHUNK_PAGES,
    required("heading_path", TEXTS),
    required("header", TEXT),  # embedded in front of the text, see chunks/headers.py
    required("n_tokens", pa.int32()),  # header and text, in the embedder's tokens
    required("embedded_hash", TEXT),  # text_hash of what is embedded
)
# A chunk that only moved in its document keeps its vector.
TABLE = StageTable("chunks", CHUNKS, "chunk_id", passes="embedded_hash")


def cut(
    store: LakeStore, partition: str, ids: Sequence[str], counter: Counter, max_tokens: int
) -> Mapping[str, pa.Table]:
    """Cut sections into chunks of at most ``max_tokens`` with their headers.

    Tokens are the embedder's, special ones not counted.
    """
    found = store.rows(sections.TABLE.name, partition, where=f"section_id IN ({quoted(ids)})")
    return {TABLE.name: stage_rows(CHUNKS, list(chunk_rows(found, counter, max_tokens)))}


def chunk_rows(
    given: Sequence[Mapping[str, Any]], counter: Counter, max_tokens: int
) -> Iterator[dict[str, Any]]:
    """Rows of ``chunks`` for rows of ``sections``, offsets counted from the document's start."""
    paths = [(section["title"], section["heading_path"]) for section in given]
    headers = make_headers(paths, counter, max_tokens)
    parts = [
        Section(section["text"], section["start"], section["blocks"], header)
        for section, header in zip(given, headers, strict=True)
    ]
    pieces = chunk_sections(parts, counter, max_tokens=max_tokens)
    for section, chunks in zip(given, pieces, strict=True):
        yield from _rows(section, chunks)


def _rows(section: Mapping[str, Any], chunks: Sequence[Chunk]) -> Iterator[dict[str, Any]]:
    origin, text, blocks = section["start"], section["text"], section["blocks"]
    block_starts = [block["start"] for block in blocks]
    occurrences: dict[str, int] = {}
    for ordinal, chunk in enumerate(chunks):
        piece = text[chunk.start : chunk.end]
        nth = occurrences[piece] = occurrences.get(piece, 0) + 1
        start, end = origin + chunk.start, origin + chunk.end
        yield {
            "input_id": section["section_id"],
            "input_hash": section[sections.TABLE.passes],
            "chunk_id": row_id("chk", section["section_id"], piece, nth),
            "section_id": section["section_id"],
            "document_id": section["document_id"],
            "section_ordinal": section["ordinal"],
            "ordinal": ordinal,
            "page": blocks[bisect_right(block_starts, start) - 1]["page"],
            "start": start,
            "end": end,
            "text": piece,
            "blocks": [
                {
                    "kind": block["kind"],
                    "start": max(block["start"], start),
                    "end": min(block["end"], end),
                }
                for block in blocks
                if block["start"] < end and start < block["end"]
            ],
            "pages": _pages(blocks, start, end),
            "heading_path": section["heading_path"],
            "header": chunk.header,
            "n_tokens": chunk.n_tokens,
            "embedded_hash": text_hash(embedded_text(chunk.header, piece)),
        }


def _pages(blocks: Sequence[Mapping[str, Any]], start: int, end: int) -> list[dict[str, int]]:
    """Where the pages begin between two places of the document."""
    pages: list[dict[str, int]] = []
    for block in blocks:
        page = block["page"]
        if page is None or block["end"] <= start or end <= block["start"]:
            continue
        if not pages or pages[-1]["page"] != page:
            pages.append({"start": max(block["start"], start), "page": page})
    return pages


def summary(store: LakeStore, partitions: Sequence[str]) -> Mapping[str, Value]:
    """How large the chunks are."""
    sizes = [
        row["n_tokens"]
        for partition in partitions
        for row in store.rows(TABLE.name, partition, columns=["n_tokens"])
    ]
    return {"largest_chunk": max(sizes, default=0), "tokens_per_chunk": histogram(sizes)}
