"""What of a question the embedder reads."""

import re
from bisect import bisect_left

from rag_assets.models.protocols import Embedder
from rag_assets.retrieval.terms import sentences


def embeddable(question: str, embedder: Embedder) -> str:
    """What of the question the embedder reads: all of it, or the last sentences that fit.

    People give context first and ask last, so the end of a long question is kept. A last sentence
    that is itself too long keeps its last words; a single word too long, its last characters.
    """

    def fits(start: int) -> bool:
        return embedder.count(question[start:]) <= embedder.max_tokens

    if fits(0):
        return question
    words = [match.start() for match in re.finditer(r"\S+", question)]
    for starts in ([start for start, _ in sentences(question)], words, range(len(question))):
        first = bisect_left(starts, True, key=fits)
        if first < len(starts):
            return question[starts[first] :]
    return question
