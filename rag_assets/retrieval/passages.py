"""A passage: consecutive text of one section, made of pieces of chunks with true offsets."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag_assets.index.search import IndexedChunk
from rag_assets.retrieval.terms import sentences

LEFT_OUT = "[...]"  # stands where text of a section was left out
BETWEEN_CHUNKS = 2  # characters at most: chunks are cut at white space that neither holds
_BAR = re.compile(r" \|(?= |$)")
_RULE = re.compile(r"\s*\|[\s|:]*-[\s|:-]*")


@dataclass(frozen=True, slots=True)
class Piece:
    """``chunk.text[start:end]``; offsets in characters of the chunk's text, half-open."""

    chunk: IndexedChunk
    start: int
    end: int

    @property
    def text(self) -> str:
        """The piece's text."""
        return self.chunk.text[self.start : self.end]

    @property
    def char_start(self) -> int:
        """Where the piece begins in the document's text."""
        return self.chunk.start + self.start

    @property
    def char_end(self) -> int:
        """Where it ends there."""
        return self.chunk.start + self.end

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a table, with several cells."""
        return self.chunk.is_table(self.char_start) and len(cells_of(self.text)) > 1

    def lines(self) -> Iterator[tuple[str, bool]]:
        """Its lines, each with whether it stands in a table."""
        place = self.char_start
        for line in self.text.splitlines(keepends=True):
            yield line.splitlines()[0], self.chunk.is_table(place)
            place += len(line)


@dataclass(frozen=True, slots=True)
class Passage:
    """Evidence from one section.

    Attributes:
        pieces: in reading order, not overlapping; at least one.
        core: ids of the chunks that the search found; trimming keeps them longest.
        score: of the section, comparable within one question only.
        similarity: best cosine similarity of its chunks; None if only BM25 found it.
        whole: whether all of the section is here.
    """

    pieces: tuple[Piece, ...]
    core: frozenset[str]
    score: float
    similarity: float | None
    whole: bool

    @property
    def head(self) -> IndexedChunk:
        """A chunk to read the document's and section's names from."""
        return self.pieces[0].chunk

    @property
    def title(self) -> str:
        """``title > heading > heading``, without saying the same twice."""
        names: list[str] = []
        for name in (self.head.title, *self.head.heading_path):
            if name and (not names or names[-1] != name):
                names.append(name)
        return " > ".join(names)

    @property
    def text(self) -> str:
        """The pieces joined; "[...]" marks text of the section that was left out."""
        parts: list[str] = []
        for before, piece in zip((None, *self.pieces), self.pieces, strict=False):
            if before is not None:
                left_out = piece.char_start - before.char_end > BETWEEN_CHUNKS
                parts.append(f"\n{LEFT_OUT}\n" if left_out else "\n")
            parts.append(piece.text)
        return "".join(parts)

    def lines(self) -> Iterator[tuple[str, bool]]:
        """Lines of the text, each with whether it stands in a table."""
        for before, piece in zip((None, *self.pieces), self.pieces, strict=False):
            if before is not None and piece.char_start - before.char_end > BETWEEN_CHUNKS:
                yield LEFT_OUT, False
            yield from piece.lines()

    def cut_to_core(self) -> "Passage":
        """Without the neighbours of the chunks that were found."""
        kept = tuple(piece for piece in self.pieces if piece.chunk.chunk_id in self.core)
        return self.with_pieces(kept) if kept else self

    def with_pieces(self, pieces: tuple[Piece, ...]) -> "Passage":
        """The same section with fewer pieces."""
        return replace(self, pieces=pieces, whole=self.whole and pieces == self.pieces)

    def without_headings(self) -> "Passage":
        """Without the leading lines that only repeat its title; a bare heading stays."""
        names = {_plain(name) for name in (self.head.title, *self.head.heading_path)}
        units = self.units()
        n_named = 0
        while n_named < len(units) and _plain(units[n_named].text) in names:
            n_named += 1
        if not 0 < n_named < len(units):
            return self
        first = units[n_named]
        kept = [piece for piece in self.pieces if piece.char_end > first.char_start]
        return self.with_pieces((Piece(first.chunk, first.start, kept[0].end), *kept[1:]))

    def units(self) -> list[Piece]:
        """Its sentences and lines, in order."""
        return [
            Piece(piece.chunk, piece.start + start, piece.start + end)
            for piece in self.pieces
            for start, end in sentences(piece.text)
        ]

    def with_units(self, kept: Sequence[int]) -> "Passage":
        """Some of its sentences or lines, by ascending index.

        Those that follow each other in one chunk are one piece.
        """
        units, before = self.units(), -2
        pieces: list[Piece] = []
        for index in kept:
            unit = units[index]
            if index == before + 1 and pieces[-1].chunk.chunk_id == unit.chunk.chunk_id:
                unit = Piece(unit.chunk, pieces.pop().start, unit.end)
            pieces.append(unit)
            before = index
        return self.with_pieces(tuple(pieces))


def cells_of(line: str) -> list[str]:
    """The cells of a row; between two bars one may be empty. Bars around it are Markdown's."""
    framed = line.strip()
    if framed.startswith("|") and framed.endswith("|"):
        line = framed[1:-1]
    return [cell.strip() for cell in _BAR.split(line)]


def is_rule(line: str) -> bool:
    """Whether a row only parts the names of a table's columns from its rows, in Markdown."""
    return _RULE.fullmatch(line) is not None


def _plain(line: str) -> str:
    return " ".join(line.strip(" #*\t\n").split()).casefold()


def pieces_of(chunks: Sequence[IndexedChunk]) -> tuple[Piece, ...]:
    """Chunks of one section in reading order, each character once even where chunks overlap."""
    pieces: list[Piece] = []
    reached = -1
    for chunk in chunks:
        start = max(0, reached - chunk.start)
        if start < len(chunk.text):
            pieces.append(Piece(chunk, start, len(chunk.text)))
            reached = chunk.start + len(chunk.text)
    return tuple(pieces)
