"""What is told of an answer while it is made: the step at work, and each sentence that is certain.

What was said is never taken back, and all that was said is the answer, letter by letter.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rag_assets.answers.citations import Citation, Grounded
from rag_assets.retrieval.terms import sentences

_MARKER = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Begun:
    """The question is taken; its answer will have this id."""

    answer_id: str


@dataclass(frozen=True, slots=True)
class Status:
    """What is done now, in a few words."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of the answer, with the space or line break before it.

    ``citations`` are those that no sentence before it names.
    """

    text: str
    citations: tuple[Citation, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """As JSON prints it."""
        return {"text": self.text, "citations": [one.to_record() for one in self.citations]}


Event = Begun | Status | Said
Tell = Callable[[Event], None]


def nobody(_: Event) -> None:
    """Tell nobody."""


class Teller:
    """Tells of one answer, and keeps what it said of it."""

    def __init__(self, tell: Tell = nobody) -> None:
        self._tell = tell
        self._said = ""
        self._n_cited = 0

    def begun(self, answer_id: str) -> None:
        """The question is taken."""
        self._tell(Begun(answer_id))

    def status(self, text: str) -> None:
        """Something is done now."""
        self._tell(Status(text))

    def say_grounded(self, grounded: Grounded) -> None:
        """Say what holds of an answer that is being written."""
        self.say(grounded.text, grounded.citations)

    def say(self, text: str, citations: Sequence[Citation] = ()) -> None:
        """Say what the answer has more than what was said.

        Args:
            text: the answer as far as it is certain, from its beginning.
            citations: of this text, by number.

        Raises:
            ValueError: it does not go on from what was said.
        """
        if not text.startswith(self._said):
            raise ValueError(f"expected an answer that goes on from {self._said!r}, got {text!r}")
        more, at = text[len(self._said) :], 0
        ends = [end for _, end in sentences(more)]
        for end in [*ends[:-1], len(more)] if more else []:
            part, at = more[at:end], end
            last = max((int(n) for n in _MARKER.findall(part)), default=0)
            new = tuple(one for one in citations if self._n_cited < one.n <= last)
            self._n_cited = max(self._n_cited, *(one.n for one in new), 0)
            self._tell(Said(part, new))
        self._said = text
