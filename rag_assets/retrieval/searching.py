"""Find chunks for a question: one embedding, one hybrid search on a pinned generation."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rag_assets.index.search import Hit, IndexReader
from rag_assets.models.protocols import Embedder
from rag_assets.retrieval.embeddable import embeddable
from rag_assets.retrieval.spelling import respelled
from rag_assets.retrieval.terms import coverage, terms
from rag_assets.telemetry import span


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What the search found, best first, and how long it took in milliseconds.

    Attributes:
        question: as it was searched for, with typing errors put right.
        hits: chunks, best first.
        similarity: best cosine similarity among them; 0 when there are none.
        term_coverage: the largest share of the question's words that one hit holds, in [0, 1].
    """

    question: str
    hits: tuple[Hit, ...]
    similarity: float
    term_coverage: float
    embed_ms: float
    retrieve_ms: float

    @classmethod
    def of(
        cls, question: str, hits: Sequence[Hit], *, embed_s: float, retrieve_s: float
    ) -> "Retrieved":
        """What these hits are worth to a question, and the seconds that they took."""
        wanted = terms(question)
        return cls(
            question,
            tuple(hits),
            max((hit.similarity for hit in hits if hit.similarity is not None), default=0.0),
            max((coverage(wanted, hit_terms(hit)) for hit in hits), default=0.0),
            embed_s * 1000,
            retrieve_s * 1000,
        )


def retrieve(reader: IndexReader, embedder: Embedder, question: str, *, limit: int) -> Retrieved:
    """Chunks for a checked question.

    Both searches read what the embedder reads: of a question longer than its window, what asks
    (see ``embeddable``). BM25 over two pages of context would rank what the context is about. A
    word that no document holds is taken for the one that it is a slip of, and searched again.

    Args:
        reader: the generation to search.
        embedder: the model the index was made with.
        question: as ``check_question`` returns it.
        limit: hits returned at most.
    """
    started = time.perf_counter()
    embed_s = 0.0

    def hits_of(text: str) -> list[Hit]:
        nonlocal embed_s
        began = time.perf_counter()
        query = embeddable(text, embedder)
        facts = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": embedder.model_id}
        with span(f"embeddings {embedder.model_id}", facts, is_call=True):
            vector = embedder.embed([query])[0]
        embed_s += time.perf_counter() - began
        return reader.search(query, vector, limit=limit) if len(reader) else []

    hits = hits_of(question)
    mended = respelled(reader, question, hits)
    if mended != question:
        hits = hits_of(mended)
    spent = time.perf_counter() - started
    return Retrieved.of(mended, hits, embed_s=embed_s, retrieve_s=spent - embed_s)


def hit_terms(hit: Hit) -> frozenset[str]:
    """Words and numbers of a chunk, its title and headings."""
    chunk = hit.chunk
    return terms("\n".join([chunk.title, *chunk.heading_path, chunk.text]))
