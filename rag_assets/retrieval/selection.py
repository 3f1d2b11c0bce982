"""From chunks to passages: short ones, from different places.

Chunks are ranked one by one, not by their sections. A long section holds the words of almost any
question somewhere; ranked as a whole, it won most questions and filled the budget. A chunk is then
widened to its whole section if that is short, which joins answers that a chunk boundary splits.

Measured on the sample's 28 golden look-ups (2-core AMD EPYC, 2026-11-22): ranked by section, 830
tokens of evidence held the facts of 22 answers. Ranked by chunk, 790 tokens held those of 26, and
the best three passages, focused to 150 tokens, those of 24.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rag_assets.index.search import Hit, IndexedChunk, IndexReader
from rag_assets.retrieval.focus import focused
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets.retrieval.searching import hit_terms
from rag_assets.retrieval.terms import terms
from rag_assets.retrieval.times import NO_TIMES, Times, timeliness

# Ranks alone tie "MV Alder" with "MV Tern" in a question about one of them; a chunk with all of
# the question's words counts three times what one with none of them does.
TERMS_WEIGHT = 2.0
# On a chunk whose document has a newer version among the hits. Two versions score nearly the same;
# a year or revision that the question names weighs more, so the older one is found by it.
SUPERSEDED_FACTOR = 0.85


def select(
    hits: Sequence[Hit],
    reader: IndexReader,
    *,
    wanted: frozenset[str],
    n_passages: int,
    passage_tokens: int,
    decay: float,
    count: Callable[[str], int],
    times: Times = NO_TIMES,
) -> list[Passage]:
    """Passages, best first.

    Args:
        hits: chunks found, best first.
        reader: the generation they were found in.
        wanted: words and numbers of the question, for the reranking.
        n_passages: passages returned at most.
        passage_tokens: a section with no more tokens than this is taken whole; of a longer one,
            each chunk found is a passage, widened by its neighbours while they fit.
        decay: factor on a chunk's score for every better passage of its document, so that a
            second document comes before the fifth passage of the first.
        count: tokens of a text for the model that will read it.
        times: that the question asks about.
    """
    weights = _rarity(wanted, [hit_terms(hit) for hit in hits])
    ranked = _ranked(hits, weights, times)
    # Of a table of years, the rows of the year that "last year" is.
    strongest = max(weights.values(), default=1.0)
    weights = {**weights, **dict.fromkeys(terms(" ".join(times.words)), strongest)}
    sections = reader.sections(list(dict.fromkeys(hit.chunk.section_id for hit, _ in ranked)))
    similarities = {hit.chunk.chunk_id: hit.similarity for hit in hits}
    taken: set[str] = set()
    passages: list[Passage] = []
    for hit, score in ranked:
        if hit.chunk.chunk_id in taken:
            continue
        section = sections[hit.chunk.section_id]
        chunks = _widened(hit.chunk, section, taken, passage_tokens, count)
        core = frozenset(chunk.chunk_id for chunk in chunks) & similarities.keys()
        known = [s for s in (similarities[key] for key in core) if s is not None]
        taken |= {chunk.chunk_id for chunk in chunks}
        whole = len(chunks) == len(section)
        wide = Passage(pieces_of(chunks), core, score, max(known, default=None), whole=whole)
        passages.append(focused(wide.without_headings(), weights, passage_tokens, count))
    return _decayed(passages, decay)[:n_passages]


def ranked(
    hits: Sequence[Hit], wanted: frozenset[str], times: Times = NO_TIMES
) -> list[tuple[Hit, float]]:
    """(hit, score), best first, by rank, by the question's words, and by its times."""
    return _ranked(hits, _rarity(wanted, [hit_terms(hit) for hit in hits]), times)


def _ranked(
    hits: Sequence[Hit], weights: Mapping[str, float], times: Times
) -> list[tuple[Hit, float]]:
    """(hit, score) by falling score; ties by id, so equal input gives equal output."""
    total = sum(weights.values()) or 1.0
    factors = timeliness([hit.chunk for hit in hits], times)
    found = {hit.chunk.uri for hit in hits}
    scored = []
    for hit, factor in zip(hits, factors, strict=True):
        share = sum(weights[term] for term in weights.keys() & hit_terms(hit)) / total
        factor *= SUPERSEDED_FACTOR if hit.chunk.superseded_by in found else 1.0
        scored.append((hit, hit.score * factor * (1.0 + TERMS_WEIGHT * share)))
    return sorted(scored, key=lambda item: (-item[1], item[0].chunk.chunk_id))


def _rarity(wanted: frozenset[str], held: Sequence[frozenset[str]]) -> Mapping[str, float]:
    """Weight of each word by how few of the hits have it: what all of them say tells none apart."""
    return {
        term: math.log(1.0 + len(held) / (0.5 + sum(term in terms for terms in held)))
        for term in wanted
    }


def _decayed(passages: Sequence[Passage], decay: float) -> list[Passage]:
    better: Counter[str] = Counter()
    lowered: list[Passage] = []
    for passage in passages:
        factor = decay ** better[passage.head.document_id]
        better[passage.head.document_id] += 1
        lowered.append(replace(passage, score=passage.score * factor))
    return sorted(lowered, key=lambda p: (-p.score, p.head.chunk_id))


def _widened(
    found: IndexedChunk,
    section: Sequence[IndexedChunk],
    taken: set[str],
    limit: int,
    count: Callable[[str], int],
) -> list[IndexedChunk]:
    """The chunk with the next and the one before, or its whole section, as far as that fits."""

    def fits(chunks: Sequence[IndexedChunk]) -> bool:
        text = "\n".join(piece.text for piece in pieces_of(chunks))
        return count(text) <= limit

    free = [chunk.chunk_id not in taken for chunk in section]
    if all(free) and fits(section):
        return list(section)
    at = next(i for i, chunk in enumerate(section) if chunk.chunk_id == found.chunk_id)
    low, high = at, at + 1
    if high < len(section) and free[high] and fits(section[low : high + 1]):
        high += 1
    if low > 0 and free[low - 1] and fits(section[low - 1 : high]):
        low -= 1
    return list(section[low:high])
