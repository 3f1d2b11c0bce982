"""What of a question the embedder reads."""

import re

from rag_assets.models.protocols import Embedder
from rag_assets.retrieval.terms import sentences


def embeddable(question: str, embedder: Embedder) -> str:
    """What of the question the embedder reads: all of it, or the last sentences that fit.

    People give context first and ask last, so the end of a long question is kept. A last sentence
    that is itself too long keeps its last words; a single word too long, its last characters.
    """
    if embedder.count(question) <= embedder.max_tokens:
        return question
    starts = [start for start, _ in sentences(question)]
    kept = _first_fitting(question, starts, embedder)
    if kept is None:
        words = [match.start() for match in re.finditer(r"\S+", question)]
        kept = _first_fitting(question, words, embedder)
    if kept is None:
        kept = _first_fitting(question, list(range(len(question))), embedder)
    return question if kept is None else question[kept:]


def _first_fitting(text: str, starts: list[int], embedder: Embedder) -> int | None:
    """The first of the ascending ``starts`` whose tail fits the window; None if none does."""
    low, high = 0, len(starts)
    while low < high:
        middle = (low + high) // 2
        if embedder.count(text[starts[middle] :]) <= embedder.max_tokens:
            high = middle
        else:
            low = middle + 1
    return starts[low] if low < len(starts) else None
