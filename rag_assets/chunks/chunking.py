"""Cut a section into chunks that fit the embedder's window, counted by its own tokenizer.

What is embedded is ``header`` and text: the header ("title > heading > heading") tells a chunk's
context, as its text alone often does not. Cuts are made, in order of preference, between blocks,
between lines, between sentences, between words, and only then between characters.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

HEADER_SHARE = 0.25  # of the window at most; a long title must leave room for text
Size = Callable[[int, int], int]  # tokens of a section's text between two offsets
_CUTS = (re.compile(r"\n+"), re.compile(r"(?<=[.!?;:])\s+"), re.compile(r"\s+"))


class Counter(Protocol):
    """The part of a tokenizer that chunking needs."""

    def count(self, text: str) -> int:
        """Tokens of the text, without special ones."""

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Character span of each token, in order."""


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk's place in its section, half-open character offsets, and its size."""

    start: int
    end: int
    n_tokens: int  # header and text


def make_header(title: str, heading_path: Sequence[str], counter: Counter, max_tokens: int) -> str:
    """The line that says where a chunk stands, at most a quarter of ``max_tokens`` long.

    When it is too long its middle goes first: the title and the nearest heading say most.
    """
    parts = list(dict.fromkeys(part for part in (title, *heading_path) if part))
    limit = int(max_tokens * HEADER_SHARE)
    while len(parts) > 2 and counter.count(" > ".join(parts)) > limit:
        del parts[1]
    header = " > ".join(parts)
    offsets = counter.offsets(header)
    return header if len(offsets) <= limit else header[: offsets[limit - 1][1]]


def embedded_text(header: str, text: str) -> str:
    """What the embedder reads of a chunk."""
    return f"{header}\n{text}" if header else text


def chunk_section(
    text: str,
    blocks: Sequence[tuple[int, int]],
    header: str,
    counter: Counter,
    *,
    max_tokens: int,
) -> list[Span]:
    """Spans of a section's chunks, in order; between them lies white space only.

    Args:
        text: of the section.
        blocks: (start, end) of its blocks in ``text``, in order, not overlapping.
        header: is embedded with every chunk and counts.
        counter: the embedder's tokenizer.
        max_tokens: of header and text, special tokens not counted.

    Raises:
        ValueError: the header leaves no room.
    """
    room = max_tokens - counter.count(embedded_text(header, ""))
    if room < 8:
        raise ValueError(
            f"expected a header that leaves at least 8 of {max_tokens} tokens, got one that "
            f"leaves {room}"
        )
    starts = [start for start, _ in counter.offsets(text)]

    def size(start: int, end: int) -> int:
        return bisect_left(starts, end) - bisect_left(starts, start)

    spans: list[Span] = []
    for start, end in _packed(_pieces(text, blocks, size, room), size, room):
        spans += _verified(text, start, end, header, counter, max_tokens)
    return spans


def _pieces(
    text: str, blocks: Sequence[tuple[int, int]], size: Size, room: int
) -> Iterator[tuple[int, int]]:
    for start, end in blocks:
        yield from _cut(text, start, end, size, room, 0)


def _cut(
    text: str, start: int, end: int, size: Size, room: int, depth: int
) -> Iterator[tuple[int, int]]:
    """Parts of text[start:end] of at most ``room`` tokens, cut as coarsely as possible.

    They are not joined here: what a long paragraph is cut into must still join its heading.
    """
    if size(start, end) <= room:
        if text[start:end].strip():
            yield start, end
        return
    if depth == len(_CUTS):
        middle = (start + end) // 2
        yield from _cut(text, start, middle, size, room, depth)
        yield from _cut(text, middle, end, size, room, depth)
        return
    parts, position = [], start
    for gap in _CUTS[depth].finditer(text, start, end):
        if gap.start() > position:
            parts.append((position, gap.start()))
        position = gap.end()
    if position < end:
        parts.append((position, end))
    for part in parts:
        yield from _cut(text, *part, size, room, depth + 1)


def _packed(pieces: Iterable[tuple[int, int]], size: Size, room: int) -> Iterator[tuple[int, int]]:
    """Join neighbours as long as they fit together."""
    start = end = -1
    for piece_start, piece_end in pieces:
        if start < 0:
            start, end = piece_start, piece_end
        elif size(start, piece_end) <= room:
            end = piece_end
        else:
            yield start, end
            start, end = piece_start, piece_end
    if start >= 0:
        yield start, end


def _verified(
    text: str, start: int, end: int, header: str, counter: Counter, max_tokens: int
) -> Iterator[Span]:
    """The span with its exact size; halved if tokens merge differently when cut out."""
    n_tokens = counter.count(embedded_text(header, text[start:end]))
    if n_tokens <= max_tokens or end - start < 2:
        yield Span(start, end, n_tokens)
        return
    middle = (start + end) // 2
    space = text.rfind(" ", start + 1, middle)
    cut = space if space > start else middle
    yield from _verified(text, start, cut, header, counter, max_tokens)
    yield from _verified(text, cut, end, header, counter, max_tokens)
