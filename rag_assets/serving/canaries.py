"""Canary queries: a generation that cannot find its own chunks must not go into service."""

from collections.abc import Sequence

import numpy as np

from rag_assets.errors import RagError
from rag_assets.index.search import Hit, IndexedChunk, IndexReader
from rag_assets.models.protocols import Embedder
from rag_assets.retrieval.embeddable import embeddable

N_CANARIES = 3
WITHIN = 10  # a chunk searched by its own words must be among the first ten; ties are possible
QUERY_CHARS = 240
_SEED = 20260327  # fixed, so that two loads of one generation ask the same


class CanaryError(RagError):
    """The generation does not find its own chunks; the message names one."""


def run_canaries(reader: IndexReader, embedder: Embedder) -> int:
    """Search a few stored chunks by their own text; the number of chunks searched.

    Catches what a version number cannot: a text index that never caught up, vectors without
    meaning, a table whose files are gone.

    Raises:
        CanaryError: a chunk is not found by its own text.
    """
    if len(reader) == 0:
        return 0
    probes = _probes(reader, embedder.dimension)
    if not probes:
        raise CanaryError(
            f"generation {reader.generation.id} has {len(reader)} chunks, and a vector search "
            "finds none of them; rebuild the index"
        )
    for chunk in probes:
        text = chunk.text[:QUERY_CHARS]
        _expect(chunk, reader.search(text, None, limit=WITHIN), "BM25", reader)
        query = embeddable(chunk.text, embedder)
        vector = embedder.embed([query])[0]
        _expect(chunk, reader.search("", vector, limit=WITHIN), "vector", reader)
    return len(probes)


def _probes(reader: IndexReader, dimension: int) -> list[IndexedChunk]:
    """Chunks near a few fixed random directions: any chunk will do, but the same each time."""
    directions = np.random.default_rng(_SEED).standard_normal((N_CANARIES, dimension))
    found: dict[str, IndexedChunk] = {}
    for direction in directions.astype(np.float32):
        unit = direction / np.linalg.norm(direction)
        for hit in reader.search("", unit, limit=1):
            found[hit.chunk.chunk_id] = hit.chunk
    return [chunk for chunk in found.values() if _is_searchable(chunk)]


def _is_searchable(chunk: IndexedChunk) -> bool:
    return any(char.isalnum() for char in chunk.text[:QUERY_CHARS])


def _expect(chunk: IndexedChunk, hits: Sequence[Hit], kind: str, reader: IndexReader) -> None:
    # Equal text in two documents is a tie that either may win.
    if not any(h.chunk.chunk_id == chunk.chunk_id or h.chunk.text == chunk.text for h in hits):
        raise CanaryError(
            f"generation {reader.generation.id}: the {kind} search does not find chunk "
            f"{chunk.chunk_id} by its own text; rebuild the index"
        )
