"""Places of the evidence: a sentence or a row, with what is read along with it.

A sentence is read under its headings; one that begins with "It" or "The" goes on from the sentence
before. A row is read under its header and its caption, an item under the line that leads in.
Headings, header rows and captions are read along and are no places of their own.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from rag_assets.answers.figures import Figure, Tokens, tokens_of
from rag_assets.answers.polarity import Polarity, polarity_of
from rag_assets.documents.readers.tables import has_header, names_below, names_groups
from rag_assets.retrieval.passages import Passage, Piece, cells_of, is_rule
from rag_assets.retrieval.terms import terms

_GOES_ON = re.compile(
    r"(?i:it|its|she|her|he|his|they|their|these|this|those|that|both|all|each|there|then|here"
    r"|er|sie|es|ihre?|seine?|dies\w*|dort|beide|ils?|elles?|son|sa|ses|ce\w*)\b"
    r"|(?i:the|das|der|die|le|la|les)\s+[^\WA-ZÄÖÜÉ]"
)
_MARK = re.compile(r"\A\s*(?:[-*\u2022\u2013]|\(?\d{1,2}[.)]|[a-z]\))\s+(?=\S)")
_NUMBERED_HEADING = re.compile(r"\d{1,2}(?:\.\d{1,2})+\.?\s+\D{3,80}[^.!?:;,|\d]$")


@dataclass(frozen=True, eq=False)
class Place:
    """One place.

    Attributes:
        passage: number of its passage, from 0.
        piece: the sentence or row.
        before: the sentences that it goes on from, the nearest last.
        context: names, headings, header and caption above it.
        header: names of the columns, if it is a row of a table that has them.
        siblings: first cells of the other rows.
        fellows: all places of the evidence, itself among them.
    """

    passage: int
    piece: Piece
    before: tuple[Piece, ...] = ()
    context: str = ""
    header: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    fellows: list["Place"] = field(default_factory=list)

    @cached_property
    def text(self) -> str:
        """Its text without the mark of a list's item."""
        return _MARK.sub("", self.piece.text)

    @cached_property
    def own(self) -> Tokens:
        """Its own figures and words."""
        return tokens_of(self.text, self.piece.chunk.language)

    @cached_property
    def around(self) -> Tokens:
        """Those that are read along."""
        text = "\n".join((self.context, *(piece.text for piece in self.before), *self.header))
        return tokens_of(text, self.piece.chunk.language)

    @cached_property
    def polarity(self) -> Polarity:
        """What it says and denies."""
        return polarity_of(self.text)

    @cached_property
    def cells(self) -> list[str]:
        """Cells of a row."""
        return cells_of(self.piece.text)

    @property
    def is_row(self) -> bool:
        """Whether it is a row with several cells."""
        return self.piece.is_row

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of its own words and of those read along."""
        return frozenset(word.stem for word in (*self.own.words, *self.around.words))

    @cached_property
    def own_stems(self) -> frozenset[str]:
        """Stems of its own words."""
        return frozenset(word.stem for word in self.own.words)

    @cached_property
    def headings(self) -> frozenset[str]:
        """The lines above it, and the names in them."""
        lines = [name for line in self.context.split("\n") for name in (line, *line.split(" > "))]
        return frozenset(map(plain_line, lines)) - {""}

    @property
    def units(self) -> frozenset[str]:
        """What its numbers are measured in."""
        return self.own.units

    @cached_property
    def above_stems(self) -> frozenset[str]:
        """Stems of the names above it: they say nothing of their own."""
        text = "\n".join((self.context, *self.header))
        return frozenset(word.stem for word in tokens_of(text).words)

    @cached_property
    def figures(self) -> tuple[Figure, ...]:
        """Its own figures, then those read along."""
        return (*self.own.figures, *self.around.figures)

    @cached_property
    def own_terms(self) -> frozenset[str]:
        """Its words and numbers, as a question's are compared."""
        return terms(self.piece.text)

    @cached_property
    def before_terms(self) -> frozenset[str]:
        """Those of the sentences that it goes on from."""
        return terms("\n".join(piece.text for piece in self.before))

    def quoted(self, *, with_before: bool) -> Piece:
        """Its text, if asked for with the sentence that it goes on from."""
        if not (with_before and self.before):
            return self.piece
        first = self.before[-1]
        if first.chunk.chunk_id != self.piece.chunk.chunk_id or first.start > self.piece.start:
            return self.piece
        return replace(self.piece, start=first.start)


def places_of(passage: Passage, number: int) -> list[Place]:
    """The places of a passage, in order."""
    file = re.sub(r"[\W_]+", " ", passage.head.uri.rpartition("/")[2])
    title = f"{passage.title}\n{file}"
    names = {plain_line(name) for name in (passage.head.title, *passage.head.heading_path)}
    found: list[Place] = []
    heading, lead, before = "", "", list[Piece]()
    for block in _blocks(passage.units()):
        if block[0].is_row:
            found += _rows(block, number, "\n".join((title, heading, lead)))
            before = []
            continue
        (unit,) = block
        text = unit.text
        if plain_line(text) in names or text.startswith("#") or _NUMBERED_HEADING.match(text):
            heading, lead, before = text, "", []
            continue
        is_item = _MARK.match(text) is not None
        goes_on = not is_item and _GOES_ON.match(text) is not None
        above = "\n".join((title, heading, lead if is_item else ""))
        found.append(Place(number, unit, tuple(before) if goes_on else (), above))
        if not is_item:
            lead = text if len(text) < 200 else ""
            before = [*before, unit] if goes_on else [unit]
    return found


def _blocks(units: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Runs of rows, and each other line alone."""
    rows: list[Piece] = []
    for unit in units:
        if unit.is_row or (rows and is_rule(unit.text)):
            rows.append(unit)
            continue
        if rows:
            yield rows
            rows = []
        yield [unit]
    if rows:
        yield rows


def _rows(rows: Sequence[Piece], number: int, context: str) -> Iterator[Place]:
    """The rows of a table under their header; one without a header keeps all of its rows."""
    header, body = header_of([row.text for row in rows])
    cells = [cells_of(row.text) for row in rows]
    kept = [n for n in range(body, len(rows)) if not is_rule(rows[n].text)]
    for n in kept:
        fits = len(header) == len(cells[n])
        siblings = tuple(cells[other][0] for other in kept if other != n)
        above = f"{context}\n{'' if fits else ' '.join(header)}"
        yield Place(number, rows[n], (), above, tuple(header) if fits else (), siblings)


def header_of(rows: Sequence[str]) -> tuple[list[str], int]:
    """The names of a table's columns, and how many lines they take.

    A table of two columns has names and values: no header, unless a rule follows its first row.
    """
    cells = [cells_of(row) for row in rows]
    if len(rows) > 1 and is_rule(rows[1]):
        return cells[0], 2
    if len(rows) < 2 or len(cells[0]) < 3 or not has_header(cells):
        return [], 0
    if len({len(row) for row in cells[:3]}) == 1 and len(rows) > 2 and names_groups(*cells[:3]):
        return names_below(cells[0], cells[1]), 2
    return cells[0], 1


def plain_line(line: str) -> str:
    """A line as headings compare."""
    return " ".join(line.strip(" #*.\t\n").split()).casefold()
