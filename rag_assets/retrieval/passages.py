"""A passage: consecutive text of one section, made of pieces of chunks with true offsets."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag_assets.index.search import IndexedChunk
from rag_assets.retrieval.terms import sentences

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
        """The pieces joined; "[...]" stands where text of the section was left out."""
        parts: list[str] = []
        for before, piece in zip((None, *self.pieces), self.pieces, strict=False):
            if before is not None:
                left_out = piece.char_start - before.char_end
                # Chunks are cut at white space, a character or two that neither holds.
                parts.append("\n" if left_out <= 2 else "\n[...]\n")
            parts.append(piece.text)
        return "".join(parts)

    def cut_to_core(self) -> "Passage":
        """Without the neighbours of the chunks that were found."""
        kept = tuple(piece for piece in self.pieces if piece.chunk.chunk_id in self.core)
        return self.with_pieces(kept) if kept else self

    def with_pieces(self, pieces: tuple[Piece, ...]) -> "Passage":
        """The same section with fewer pieces."""
        whole = self.whole and pieces == self.pieces
        return Passage(pieces, self.core, self.score, self.similarity, whole)

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

    def with_score(self, score: float) -> "Passage":
        """The same text under another score."""
        return replace(self, score=score)

    def units(self) -> list[Piece]:
        """Its sentences and lines, in order."""
        return [
            Piece(piece.chunk, piece.start + start, piece.start + end)
            for piece in self.pieces
            for start, end in sentences(piece.text)
        ]

    def cut_to_units(self, n_units: int) -> "Passage":
        """Its first ``n_units`` sentences or lines."""
        kept: list[Piece] = []
        for unit in self.units()[:n_units]:
            if kept and kept[-1].chunk.chunk_id == unit.chunk.chunk_id:
                unit = Piece(unit.chunk, kept.pop().start, unit.end)
            kept.append(unit)
        return self.with_pieces(tuple(kept))


def is_row(line: str) -> bool:
    """Whether a line is a row of a table, as documents are normalised: cells between bars."""
    return " | " in line


def cells_of(line: str) -> list[str]:
    """The cells of a row; between two bars one may be empty. Bars around it are Markdown's."""
    framed = line.strip()
    if framed.startswith("|") and framed.endswith("|"):
        line = framed[1:-1]
    return [cell.strip() for cell in _BAR.split(line)]


def is_rule(line: str) -> bool:
    """Whether a line only parts the names of a table's columns from its rows, in Markdown."""
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
