"""Listens to a model that writes an answer, and says each sentence as soon as it holds for good."""

import re
from collections.abc import Callable, Sequence

from rag_assets.answers.citations import Grounded, grounded_beginning
from rag_assets.answers.claims import MARKER, Evidence, parse_claims
from rag_assets.models.clients.thoughts import without_thoughts
from rag_assets.retrieval.passages import Passage
from rag_assets.retrieval.terms import sentences

# Markers of the sentence before, then a whole word: the sentence before is not written on.
_BEGUN = re.compile(rf"((?:{MARKER.pattern}\s*)*)[^\W\d_]\S*\s", re.MULTILINE)


class Hearing:
    """Hears one answer.

    Args:
        passages: evidence in order of its numbers, from 1.
        question: what was asked.
        say: called with the beginning of the answer whenever there is more of it.
    """

    def __init__(
        self, passages: Sequence[Passage], question: str, say: Callable[[Grounded], None]
    ) -> None:
        self._evidence = Evidence.of(passages, question)
        self._say = say
        self._settled = self._said = ""

    def __call__(self, text: str) -> None:
        """Hear the answer so far."""
        settled = settled_part(text)
        if len(settled) <= len(self._settled):
            return
        self._settled = settled
        claims = parse_claims(settled, len(self._evidence.passages))
        beginning = grounded_beginning(claims, self._evidence)
        if len(beginning.text) > len(self._said):
            self._said = beginning.text
            self._say(beginning)


def settled_part(text: str) -> str:
    """The whole sentences of a text that is still being written, with their markers.

    The sentence being written is left out. Until it has a word it may be more of the one before:
    a marker of it, or a month behind the day "3.".
    """
    text = without_thoughts(text)
    for start, _ in sentences(text)[:-3:-1]:
        begun = _BEGUN.match(text, start)
        if begun is not None:
            return text[: begun.end(1)].rstrip()
    return ""
