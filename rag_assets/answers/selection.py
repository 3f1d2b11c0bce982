"""From chunks found to sections worth reading: the unit of evidence is the section.

A chunk is what an embedder can hold; a section is what an author wrote as one thought. Answers
that a chunk boundary splits are whole again in the section.
"""

from collections.abc import Callable, Sequence

from rag_assets.answers.passages import Passage, pieces_of
from rag_assets.answers.retrieval import hit_terms
from rag_assets.answers.terms import coverage
from rag_assets.index.search import Hit, IndexedChunk, IndexReader

# Ranks alone tie "MV Alder" with "MV Tern" in a question about one of them; a section with all of
# the question's words counts twice what one with none of them does.
TERMS_WEIGHT = 1.0
SECOND_HIT_WEIGHT = 0.25  # more hits make a section likelier, but a long one must not win by length


def select(
    hits: Sequence[Hit],
    reader: IndexReader,
    *,
    wanted: frozenset[str],
    n_passages: int,
    whole_tokens: int,
    decay: float,
    count: Callable[[str], int],
    whole_sections: bool = True,
) -> list[Passage]:
    """Passages, best first.

    Args:
        hits: chunks found, best first.
        reader: the generation they were found in.
        wanted: words and numbers of the question, for the reranking.
        n_passages: passages returned at most.
        whole_tokens: a section with no more tokens than this is taken whole; of a longer one, the
            chunks found and their neighbours are.
        decay: factor on a section's score for every better section of its document, so that a
            second document comes before the fifth section of the first.
        count: tokens of a text for the model that will read it.
        whole_sections: False returns the bare chunks.
    """
    if not whole_sections:
        return [_bare(hit) for hit in hits[:n_passages]]
    by_section: dict[str, list[Hit]] = {}
    for hit in hits:
        by_section.setdefault(hit.chunk.section_id, []).append(hit)
    ranked = _ranked(by_section, wanted, decay)[:n_passages]
    sections = reader.sections([section_id for section_id, _ in ranked])
    return [
        _passage(by_section[section_id], sections[section_id], score, whole_tokens, count)
        for section_id, score in ranked
    ]


def _ranked(
    by_section: dict[str, list[Hit]], wanted: frozenset[str], decay: float
) -> list[tuple[str, float]]:
    """(section id, score) by falling score; ties by id, so equal input gives equal output."""
    scored = [
        (section_id, _score(found, wanted), found[0].chunk.document_id)
        for section_id, found in by_section.items()
    ]
    scored.sort(key=lambda item: (-item[1], item[0]))
    seen: dict[str, int] = {}
    decayed: list[tuple[str, float]] = []
    for section_id, score, document_id in scored:
        better = seen.get(document_id, 0)
        seen[document_id] = better + 1
        decayed.append((section_id, score * decay**better))
    return sorted(decayed, key=lambda item: (-item[1], item[0]))


def _score(found: Sequence[Hit], wanted: frozenset[str]) -> float:
    scores = sorted((hit.score for hit in found), reverse=True)
    held = frozenset[str]().union(*(hit_terms(hit) for hit in found))
    lift = 1.0 + TERMS_WEIGHT * coverage(wanted, held)
    return lift * (scores[0] + SECOND_HIT_WEIGHT * sum(scores[1:3]))


def _passage(
    found: Sequence[Hit],
    section: Sequence[IndexedChunk],
    score: float,
    whole_tokens: int,
    count: Callable[[str], int],
) -> Passage:
    core = frozenset(hit.chunk.chunk_id for hit in found)
    similarity = max((h.similarity for h in found if h.similarity is not None), default=None)
    whole = Passage(pieces_of(section), core, score, similarity, whole=True)
    if count(whole.text) <= whole_tokens:
        return whole
    ordinals = {hit.chunk.ordinal for hit in found}
    near = [c for c in section if ordinals & {c.ordinal - 1, c.ordinal, c.ordinal + 1}]
    return Passage(pieces_of(near), core, score, similarity, whole=len(near) == len(section))


def _bare(hit: Hit) -> Passage:
    core = frozenset({hit.chunk.chunk_id})
    return Passage(pieces_of([hit.chunk]), core, hit.score, hit.similarity, whole=False)
