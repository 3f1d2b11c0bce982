"""How many tokens are between any two offsets of a text, from tokenising the text once.

Many texts are tokenised at a time, which uses all cores. Long texts are tokenised in segments, so
that the tokenizer's own objects (about 100 bytes a token) never exist for a whole spreadsheet at
once. Of a text in segments only the offsets at which tokens begin are kept, 4 bytes each.
"""

import re
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from rag_assets.models.protocols import Counter, Encoding

CALL_CHARS = 300_000  # handed over in one call: some 75,000 tokens; the next is tokenised meanwhile
SEGMENT_CHARS = 50_000  # many segments a call, so that no core waits for one long text
CHARS_A_TOKEN = 16  # at most; English prose has 4 to 5, tables drawn with blanks 10
WHITE_SPACE = " \n\t"  # of the signs that part words, those that every tokenizer takes as such
_GAP = re.compile(f"[{WHITE_SPACE}]")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of a text: how many, and where the n-th begins."""

    n_tokens: int
    start_of: Callable[[int], int]
    _known: dict[int, int] = field(default_factory=dict)  # the same few places are asked for

    def index(self, place: int) -> int:
        """Tokens that begin before this offset."""
        n = self._known.get(place)
        if n is None:
            n = bisect_left(range(self.n_tokens), place, key=self.start_of)
            self._known[place] = n
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
        return self.start_of(n) if n < self.n_tokens else None


def measure(texts: Sequence[str], counter: Counter) -> list[Sizes]:
    """Sizes of many texts."""
    n_tokens = [0] * len(texts)
    starts: list[Callable[[int], int]] = [int] * len(texts)
    long_ones: dict[int, array[int]] = defaultdict(lambda: array("i"))
    parts = ((n, *span) for n, text in enumerate(texts) for span in segments(text, SEGMENT_CHARS))
    for call in in_calls(parts, lambda part: part[2] - part[1]):
        encodings = counter.encode([texts[n][start:end] for n, start, end in call])
        for (n, start, end), encoding in zip(call, encodings, strict=True):
            n_tokens[n] += len(encoding)
            if end - start == len(texts[n]):
                starts[n] = partial(_start_of, encoding)
            else:
                long_ones[n].extend(start + begin for begin, _ in encoding.offsets)
                starts[n] = long_ones[n].__getitem__
    return [Sizes(*of) for of in zip(n_tokens, starts, strict=True)]


def _start_of(encoding: Encoding, token: int) -> int:
    """Asked one by one: a chunk needs few of them."""
    return encoding.token_to_chars(token)[0]


def in_calls(items: Iterable[T], n_chars: Callable[[T], int]) -> Iterator[list[T]]:
    """As many of the items together as one call of the tokenizer takes."""
    call: list[T] = []
    total = 0
    for item in items:
        call.append(item)
        total += n_chars(item)
        if total >= CALL_CHARS:
            yield call
            call, total = [], 0
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
