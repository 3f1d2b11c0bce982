"""What the ablation gives an answerer in place of the product's own search, selection, check."""

import time
from collections.abc import Sequence
from dataclasses import replace

from rag_assets.answers.citations import Grounded, quote, with_bare_answers_supported, written
from rag_assets.answers.claims import Evidence, parse_claims
from rag_assets.answers.policy import Mode
from rag_assets.answers.routing import Route, features_of, route
from rag_assets.index.search import Hit, IndexReader
from rag_assets.models.protocols import Embedder
from rag_assets.retrieval.embeddable import embeddable
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets.retrieval.searching import Retrieved

DEEP_DOCUMENTS = 4  # that carry the question's words: from so many on the router goes deep


def by_vectors(reader: IndexReader, embedder: Embedder, question: str, *, limit: int) -> Retrieved:
    """As :func:`retrieve`, without BM25."""
    started = time.perf_counter()
    vector = embedder.embed([embeddable(question, embedder)])[0]
    embedded = time.perf_counter()
    hits = reader.search("", vector, limit=limit) if len(reader) else []
    ended = time.perf_counter()
    return Retrieved.of(question, hits, embed_s=embedded - started, retrieve_s=ended - embedded)


def bare_chunks(
    hits: Sequence[Hit], reader: IndexReader, *, n_passages: int, **_: object
) -> list[Passage]:
    """The chunks found, as they are, in the order of the search."""
    return [
        Passage(
            pieces_of([hit.chunk]),
            frozenset({hit.chunk.chunk_id}),
            hit.score,
            hit.similarity,
            whole=False,
        )
        for hit in hits[:n_passages]
    ]


def all_to_llm(question: str, passages: Sequence[Passage], mode: Mode) -> Route:
    """The LLM writes, whatever is asked, and nothing else is tried."""
    features = features_of(question, passages)
    reason = "Every question goes to the LLM."
    return Route("llm", "written", reason, features=features, alone=True)


def deep_where_many_speak(question: str, passages: Sequence[Passage], mode: Mode) -> Route:
    """As :func:`route`, which by itself never chooses deep mode: it takes 12 s on two cores."""
    way = route(question, passages, mode)
    covering = way.features["covering_documents"]
    if mode != "auto" or way.way != "written" or covering < DEEP_DOCUMENTS:
        return way
    reason = f"{way.reason} {covering} documents speak of it: more than one prompt should hold."
    return replace(way, way="deep", reason=reason)


def unchecked(answer: str, passages: Sequence[Passage], question: str) -> Grounded:
    """Every sentence of an answer, supported or not, with the citations that it claims."""
    claims = parse_claims(answer, len(passages))
    facts = [claim for claim in claims if not claim.is_refusal]
    if not facts:
        return Grounded("", refused=bool(claims))
    evidence = Evidence.of(passages, question)
    kept = [(fact, [quote(fact.text, passages[n - 1]) for n in fact.markers]) for fact in facts]
    return written(with_bare_answers_supported(kept, evidence))
