"""Cut sections into chunks that fit the embedder's window, counted by its own tokenizer.

What is embedded is a header (``headers``) and the text. Four rules hold; an earlier rule wins over
a later one:

1. A chunk and its header have at most ``max_tokens`` tokens. The chunk has at most
   ``CHARS_A_TOKEN`` characters for each of them, because some tokenizers count any word of over 100
   letters, such as a picture in base 64, as one token.
2. Every character that is not white space is in exactly one chunk, in order.
3. A chunk's text has at least ``MIN_TOKENS`` tokens, unless its section has fewer. A smaller rest
   takes text from its neighbour, rows of a table if it must. A chunk that reached the limit of
   characters may be smaller.
4. Blocks that fit stay whole, also tables and code. Longer blocks are cut at blank lines, else
   between lines (rows of a table), else cells, sentences, words, and last between tokens. A chunk
   that begins below the first rows of a table repeats the names of its columns.

A section is tokenised once. The sizes of its slices follow from the offsets of its tokens. That is
exact if the tokenizer is additive (``Counter.is_additive``) and the slice ends at white space. Any
other slice is counted again, and cut again if it exceeds the window.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rag_assets.chunks.headers import HEADER_SHARE, Header, column_names, table_body
from rag_assets.chunks.sizes import CHARS_A_TOKEN, WHITE_SPACE, Sizes, in_calls, measure
from rag_assets.models.protocols import Counter

# About a sentence: less than that (the last word of a list, one row of numbers) matches questions
# by accident and answers none. The window's eighth where that is less, so that two always fit.
MIN_TOKENS = 24
_CELLS = re.compile(r"\n+| (?=\|)")
# A match ends where a chunk may begin. Each kind takes in those before it.
_CUTS = (
    re.compile(r"\n\n+"),  # blank lines in code; between blocks
    re.compile(r"\n+"),
    _CELLS,
    # sentences; Chinese puts no space behind its own signs
    re.compile(r"[.!?;:\n\u3002\uff01\uff1f\uff1b](?:(?=\s)|(?<![.!?;:]))\s*"),
    re.compile(r"\s+"),
)
_NEAR = 250  # characters before the end of a chunk, where a place to cut it is looked for first

Slice = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Section:
    """What is cut; ``blocks`` are those of the table ``sections``, in order, without overlap."""

    text: str
    start: int  # in the document, from which ``blocks`` count
    blocks: Sequence[Mapping[str, Any]]
    header: Header


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk's place in its section, half-open character offsets, and what is embedded with it."""

    start: int
    end: int
    header: str
    n_tokens: int  # header and text


def embedded_text(header: str, text: str) -> str:
    """What the embedder reads of a chunk."""
    return f"{header}\n{text}" if header else text


def floor_of(max_tokens: int) -> int:
    """Tokens that a chunk's text has at least, if its section has as many."""
    return min(MIN_TOKENS, max_tokens // 8)


def chunk_sections(
    sections: Sequence[Section], counter: Counter, *, max_tokens: int
) -> Iterator[list[Chunk]]:
    """Chunks of each section, in order; between them lies white space only.

    Sections are tokenised in groups; what the caller does with one is done while the next is
    tokenised. ``max_tokens`` are those of header and text, special tokens not counted.

    Raises:
        ValueError: a header leaves less than half of the window.
    """
    for cutters in _measured(sections, counter, max_tokens):
        yield from _exact(cutters, counter, max_tokens)


def _measured(
    sections: Sequence[Section], counter: Counter, max_tokens: int
) -> Iterator[list["_Cutter"]]:
    """A group at a time; while one is cut, a thread tokenises the next, outside of the GIL."""

    def measured(group: Sequence[Section]) -> list[_Cutter]:
        rooms = [max_tokens - section.header.n_tokens for section in group]
        if min(rooms) < max_tokens / 2:
            raise ValueError(
                f"expected headers that leave at least half of {max_tokens} tokens, got one that "
                f"leaves {min(rooms)}"
            )
        texts = [section.text for section in group]
        sizes = measure(texts, counter)
        return [_Cutter(*of, max_tokens) for of in zip(group, sizes, rooms, strict=True)]

    with ThreadPoolExecutor(1) as thread:
        ahead: Future[list[_Cutter]] | None = None
        for group in in_calls(sections, lambda section: len(section.text)):
            before, ahead = ahead, thread.submit(measured, group)
            if before is not None:
                yield before.result()
        if ahead is not None:
            yield ahead.result()


class _Cutter:
    """Cuts one section by the sizes of its slices."""

    def __init__(self, section: Section, sizes: Sizes, room: int, max_tokens: int) -> None:
        self._section = section
        self._text = section.text
        self._sizes = sizes
        self._room = room
        self._max_tokens = max_tokens
        self._max_chars = CHARS_A_TOKEN * max_tokens
        starts: list[int] = [block["start"] - section.start for block in section.blocks]
        self._block_starts = starts
        self._columns_of: dict[int, Slice] = {}  # where a table's names end, its rows begin

    def slices(self) -> list[Slice]:
        """Places of the chunks."""
        slices, start = [], 0
        while start < len(self._text):
            place = self._end_of(start)
            end = self._trimmed(start, place)
            if end > start:  # of code with long indents all in reach may be blank
                slices.append((start, end))
            start = place
        return self._without_crumbs(slices)

    def chunk(self, start: int, end: int, n_tokens: int | None = None) -> Chunk:
        """A slice with its header; its size is taken as it follows from the section's tokens."""
        names_start, names_end = self._names_before(start)
        names = self._text[names_start:names_end]
        header = self._section.header.line
        if names:
            header = embedded_text(header, names)
        if n_tokens is None:
            n_tokens = self._max_tokens - self._room_at(start) + self._sizes.between(start, end)
        return Chunk(start, end, header, n_tokens)

    def embedded(self, chunk: Chunk) -> str:
        """What the embedder reads of a chunk of this section."""
        return embedded_text(chunk.header, self._text[chunk.start : chunk.end])

    def is_parted(self, chunk: Chunk) -> bool:
        """Whether the chunk ends at white space, or with the section, on both sides."""
        text, start, end = self._text, chunk.start, chunk.end
        return (start == 0 or text[start - 1] in WHITE_SPACE or text[start] in WHITE_SPACE) and (
            end == len(text) or text[end] in WHITE_SPACE or text[end - 1] in WHITE_SPACE
        )

    def refitted(self, start: int, end: int, counter: Counter) -> Iterator[Chunk]:
        """The slice, counted again, in as many parts as it takes to fit."""
        if not self._text[start:end].strip():
            return
        n_tokens = counter.count(self.embedded(self.chunk(start, end)))
        if n_tokens <= self._max_tokens or end - start < 2:
            yield self.chunk(start, end, n_tokens)
            return
        middle = (start + end) // 2
        space = self._text.rfind(" ", start + 1, middle)
        place = self._shared(start, end) or (space if space > start else middle)
        yield from self.refitted(start, self._trimmed(start, place), counter)
        yield from self.refitted(place, end, counter)

    def _room_at(self, start: int) -> int:
        """Tokens of text that fit into a chunk which begins here."""
        names = self._names_before(start)
        return self._room - (self._sizes.between(*names) if names[0] < names[1] else 0)

    def _fits(self, start: int, end: int, room: int) -> bool:
        return self._sizes.between(start, end) <= room and end - start <= self._max_chars

    def _over(self, start: int) -> int | None:
        """The first place that no chunk reaches which begins here; None if one holds all."""
        over = self._sizes.place_after(start, self._room_at(start))
        if start + self._max_chars >= len(self._text):
            return over
        return start + self._max_chars if over is None else min(over, start + self._max_chars)

    def _names_before(self, start: int) -> Slice:
        """The column names that a chunk must repeat which begins here; empty if none."""
        number = self._block_at(start)
        if number < 0 or self._section.blocks[number]["kind"] != "table":
            return 0, 0
        table, end = self._block(number)
        if number not in self._columns_of:
            limit = int(self._max_tokens * HEADER_SHARE)
            names_end = column_names(self._text, table, end, self._sizes, limit)
            self._columns_of[number] = names_end, table_body(self._text, names_end, end)
        names_end, body = self._columns_of[number]
        return (table, names_end) if start >= body else (0, 0)

    def _block_at(self, place: int) -> int:
        return bisect_right(self._block_starts, place) - 1

    def _block(self, number: int) -> Slice:
        end = int(self._section.blocks[number]["end"]) - self._section.start
        return self._block_starts[number], end

    def _trimmed(self, start: int, end: int) -> int:
        """The end of a slice without the white space before it."""
        return start + len(self._text[start:end].rstrip())

    def _end_of(self, start: int) -> int:
        """Where the chunk after the one that begins here begins, the coarsest place in reach.

        The first token that does not fit is in a block. If that block fits into a chunk, it
        begins the next one; else its part between blank lines does, if that fits, and so on.
        """
        over = self._over(start)
        if over is None:
            return len(self._text)
        number = self._block_at(over)
        block_start, high = self._block(number)
        if over >= high:
            return self._block_starts[number + 1]
        if block_start > start and self._fits(block_start, high, self._room):
            return block_start
        low = max(start, block_start)
        is_table = self._section.blocks[number]["kind"] == "table"
        for pattern in _CUTS:
            if pattern is _CELLS and not is_table:
                continue
            low = self._last_place(pattern, low, over)
            if low > start and self._is_short(pattern, low, over, high):
                return low
        if over > start:
            return over
        following = self._sizes.place_after(start + 1, 0)
        return len(self._text) if following is None else following

    def _last_place(self, pattern: re.Pattern[str], low: int, over: int) -> int:
        """The last place to cut that is not behind ``over``; ``low`` if there is none."""
        for begin in (max(low, over - _NEAR), low):
            found = low
            for match in pattern.finditer(self._text, begin, over + 1):
                if match.end() <= over:
                    found = match.end()
            if found > low or begin == low:
                return found
        return low

    def _is_short(self, pattern: re.Pattern[str], start: int, over: int, high: int) -> bool:
        """Whether what begins here ends before it is too long for a chunk."""
        limit = self._over(start)
        if limit is None or limit >= high:
            return True
        match = pattern.search(self._text, over, limit + 1)
        return match is not None and match.end() <= limit

    def _without_crumbs(self, slices: list[Slice]) -> list[Slice]:
        """The same with what is too small made larger by the slice before it, or behind."""
        for number, (start, end) in enumerate(slices):
            if len(slices) == 1 or self._sizes.between(start, end) >= floor_of(self._max_tokens):
                continue
            left = max(number - 1, 0)
            start, end = slices[left][0], slices[left + 1][1]
            place = self._shared(start, end)
            if place is not None:
                slices[left : left + 2] = [(start, self._trimmed(start, place)), (place, end)]
        return [(start, end) for start, end in slices if end > start]

    def _shared(self, start: int, end: int) -> int | None:
        """Where to cut in two that fit and are no crumbs: as coarsely, then as evenly, as possible.

        Returns:
            Start of the second; None if there is no such place.
        """
        floor, room = max(1, floor_of(self._max_tokens)), self._room_at(start)
        n_tokens = self._sizes.between(start, end)
        for places in self._places(start, end):
            sized = [(self._sizes.between(start, place), place) for place in places]
            for n_left, place in sorted(sized, key=lambda of: abs(2 * of[0] - n_tokens)):
                are_no_crumbs = floor <= n_left <= n_tokens - floor
                if (
                    are_no_crumbs
                    and self._fits(start, place, room)
                    and self._fits(place, end, self._room_at(place))
                ):
                    return place
        return None

    def _places(self, start: int, end: int) -> Iterator[list[int]]:
        for pattern in _CUTS:
            yield [match.end() for match in pattern.finditer(self._text, start, end)]
        tokens = range(self._sizes.index(start + 1), self._sizes.index(end))
        yield sorted({self._sizes.start_of(n) for n in tokens})


def _exact(cutters: Sequence[_Cutter], counter: Counter, max_tokens: int) -> list[list[Chunk]]:
    """All chunks with exact sizes; those whose size does not follow are counted in one go."""
    found = [[cutter.chunk(*place) for place in cutter.slices()] for cutter in cutters]
    doubtful = [
        (number, place)
        for number, (cutter, chunks) in enumerate(zip(cutters, found, strict=True))
        for place, chunk in enumerate(chunks)
        if not (counter.is_additive and cutter.is_parted(chunk))
    ]
    counts = counter.counts([cutters[n].embedded(found[n][place]) for n, place in doubtful])
    # Backwards: a chunk that is cut again moves those behind it.
    for (n, place), n_tokens in zip(reversed(doubtful), reversed(counts), strict=True):
        chunk = found[n][place]
        if n_tokens <= max_tokens:
            found[n][place] = cutters[n].chunk(chunk.start, chunk.end, n_tokens)
        else:
            found[n][place : place + 1] = cutters[n].refitted(chunk.start, chunk.end, counter)
    return found
