"""How many tokens are between any two offsets of a text, from tokenising the text once.

Many texts are tokenised at a time, which uses all cores. Long texts are tokenised in segments, so
that the tokenizer's own objects (about 100 bytes a token) never exist for a whole spreadsheet at
once. Of a text in segments only the offsets at which tokens begin are kept, 4 bytes each.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag_assets.models.protocols import Counter, Encoding

CALL_CHARS = 300_000  # handed over in one call: some 75,000 tokens; the next is tokenised meanwhile
SEGMENT_CHARS = 50_000  # many segments a call, so that no core waits for one long text
CHARS_A_TOKEN = 16  # at most; English prose has 4 to 5, tables drawn with blanks 10
WHITE_SPACE = " \n\t"  # of the signs that part words, those that every tokenizer takes as such
_GAP = re.compile(f"[{WHITE_SPACE}]")


class Starts(Sequence[int]):
    """Where the tokens of an encoding begin, asked one by one: a chunk needs few of them."""

    def __init__(self, encoding: Encoding) -> None:
        self._place_of = encoding.token_to_chars
        self._n = len(encoding)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, n: Any) -> Any:  # noqa: ANN401 - of a sequence; slices are not used
        return self._place_of(n)[0]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of a text.

    Attributes:
        n_tokens: of all of it.
        starts: where each begins; empty for a text that fits as a whole.
    """

    n_tokens: int
    starts: Sequence[int]
    _known: dict[int, int] = field(default_factory=dict)  # the same few places are asked for

    def index(self, place: int) -> int:
        """Tokens that begin before this offset."""
        n = self._known.get(place)
        if n is None:
            n = self._known[place] = bisect_left(self.starts, place)
        return n

    def between(self, start: int, end: int) -> int:
        """Tokens that begin in ``text[start:end]``.

        That is the count of this slice as a text of its own, if the tokenizer is additive and the
        slice ends at white space on both sides; else it is an estimate.
        """
        return self.index(end) - self.index(start)

    def place_after(self, start: int, n_tokens: int) -> int | None:
        """Where the token begins that comes after ``n_tokens`` from ``start`` on, if any."""
        n = self.index(start) + n_tokens
        return self.starts[n] if n < self.n_tokens else None


def measure(
    texts: Sequence[str], rooms: Sequence[int], counter: Counter, max_chars: int
) -> list[Sizes]:
    """Sizes of many texts; no ``starts`` for those of at most ``rooms`` tokens, and characters."""
    n_tokens = [0] * len(texts)
    starts: list[Sequence[int]] = [()] * len(texts)
    for call in _calls(texts):
        encodings = counter.encode([texts[n][start:end] for n, start, end in call])
        for (n, start, end), encoding in zip(call, encodings, strict=True):
            n_tokens[n] += len(encoding)
            if end - start < len(texts[n]):
                places = array("i", [start + begin for begin, _ in encoding.offsets])
                starts[n] = array("i", starts[n]) + places if start else places
            elif n_tokens[n] > rooms[n] or end > max_chars:
                starts[n] = Starts(encoding)
    return [Sizes(*of) for of in zip(n_tokens, starts, strict=True)]


def _calls(texts: Sequence[str]) -> Iterator[list[tuple[int, int, int]]]:
    """(position, start, end) of the segments, as many as one call takes."""
    call: list[tuple[int, int, int]] = []
    n_chars = 0
    for n, text in enumerate(texts):
        for start, end in segments(text, SEGMENT_CHARS):
            call.append((n, start, end))
            n_chars += end - start
            if n_chars >= CALL_CHARS:
                yield call
                call, n_chars = [], 0
    if call:
        yield call


def segments(text: str, n_chars: int) -> Iterator[tuple[int, int]]:
    """Offsets that part a text at white space into segments of about ``n_chars`` characters.

    One is longer where no white space comes.
    """
    start = 0
    while len(text) - start > n_chars and (gap := _GAP.search(text, start + n_chars)):
        yield start, gap.start()
        start = gap.start()
    yield start, len(text)
