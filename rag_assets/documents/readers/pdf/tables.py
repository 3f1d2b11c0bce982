"""Tables with ruled cells: PDFium's drawings, pdfplumber's way to find a grid in them.

pdfplumber's own reading of a page takes about a tenth of a second, almost all of it in parsing the
page anew. Its table finder needs only the page's straight edges, which PDFium has at hand; the text
of a cell is that of the characters whose middle lies in it, as with pdfplumber.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import inf
from typing import Any

from rag_assets.documents.readers.pdf.drawings import MAX_SEGMENTS, Edge, edge, edges_of
from rag_assets.documents.readers.pdf.page import SIGNS, Box, Frame, Handle

MAX_CELL_CHARS = 1500  # notes below a table have a thousand; a framed page of text has 3,000
TOLERANCE = 3.0  # points; pdfplumber's default for snapping and joining, so the next one
MIN_EDGE = 3.0

_Crossings = Mapping[tuple[float, float], Mapping[str, Sequence[Edge]]]  # "v" and "h" edges at x, y


@dataclass(frozen=True, slots=True)
class Table:
    """A grid's place on the page, and its cells row by row; None where one cell spans several."""

    box: Box
    rows: list[list[Box | None]]


def find_tables(page: Handle, frame: Frame) -> list[Table]:
    """Grids of at least two rows and two columns, in the frame's coordinates.

    A frame around text is none.
    """
    edges = edges_of(page, frame)
    n_upright = sum(line["orientation"] == "v" for line in edges)
    if len(edges) > MAX_SEGMENTS or n_upright < 1 or len(edges) < n_upright + 2:
        return []
    return [
        found for found in _grids(edges) if min(len(found.rows), max(map(len, found.rows))) >= 2
    ]


def table_text(table: Table, text: str, inside: Sequence[tuple[int, Box]]) -> tuple[str, list[int]]:
    """The table's rows, one a line, their cells parted by bars; nothing if it holds no table.

    Also the places in the page's text of the characters in them, out of those ``inside`` the table.
    A row with a cell of prose is left out of both: there, the rules frame a page or a figure.
    """
    rows: list[list[list[str]]] = []
    places: list[int] = []
    for cells in table.rows:
        near = _beside(cells, inside)
        row = [_cell_lines(cell, text, near) if cell is not None else [] for cell in cells]
        if any(row) and max(sum(map(len, cell)) for cell in row) <= MAX_CELL_CHARS:
            rows.append(row)
            places += [place for place, _ in near]
    used = [
        n for n in range(max(map(len, rows), default=0)) if any(row[n:] and row[n] for row in rows)
    ]
    if len(rows) < 2 or len(used) < 2:
        return "", []
    parted = (part for row in rows for part in _parted([row[n] if row[n:] else [] for n in used]))
    return "\n".join(" | ".join(row) for row in parted).translate(SIGNS), places


def _parted(row: list[list[str]]) -> list[list[str]]:
    """A row between two rules may hold several of the reader's rows: its cells are equally high.

    Two lines in each of three cells may be words that were wrapped; more is taken for rows.
    """
    heights = {len(cell) for cell in row if cell}
    n_filled = sum(map(bool, row))
    if len(heights) == 1 and max(heights) >= 3 and (n_filled == 1 or n_filled >= 4):
        return [[cell[n] if cell else "" for cell in row] for n in range(max(heights))]
    return [[" ".join(cell) for cell in row]]


def characters_in(box: Box, characters: Iterable[tuple[int, Box]]) -> list[tuple[int, Box]]:
    """Those of the characters, each its place and box, whose middle lies in a box."""
    x0, top, x1, bottom = box
    return [
        (place, char)
        for place, char in characters
        if x0 <= (char[0] + char[2]) / 2 < x1 and top <= (char[1] + char[3]) / 2 < bottom
    ]


def _beside(row: Sequence[Box | None], inside: Sequence[tuple[int, Box]]) -> list[tuple[int, Box]]:
    """Those of a table's characters that one of a row's cells may hold."""
    cells = [cell for cell in row if cell is not None]
    top, bottom = min(cell[1] for cell in cells), max(cell[3] for cell in cells)
    return characters_in((-inf, top, inf, bottom), inside)


def _cell_lines(cell: Box, text: str, inside: Sequence[tuple[int, Box]]) -> list[str]:
    """A cell's lines in PDFium's order."""
    parts: list[str] = []
    last, level = -1, 0.0
    for place, (_, b, _, d) in characters_in(cell, inside):
        if last >= 0 and place != last + 1:  # white space or another cell's text lies between
            parts.append("\n" if abs((b + d) / 2 - level) > (d - b) / 2 else " ")
        parts.append("-" if text[place] == "\ufffe" else text[place])
        last, level = place, (b + d) / 2
    return [" ".join(line.split()) for line in "".join(parts).split("\n") if line.strip()]


def _grids(edges: list[Edge]) -> Iterator[Table]:
    # Imported here: a PDF without rules does not wait for pdfplumber.
    from pdfplumber import table as plumber

    no_page: Any = None  # only its text would be asked of it
    merged = plumber.merge_edges(edges, TOLERANCE, TOLERANCE, TOLERANCE, TOLERANCE)
    if sides := _open_sides(merged):
        edges = [*merged, *sides]
        merged = plumber.merge_edges(edges, TOLERANCE, TOLERANCE, TOLERANCE, TOLERANCE)
    long_ones = [
        line
        for line in merged
        if line["x1"] - line["x0"] + line["bottom"] - line["top"] >= MIN_EDGE
    ]
    crossings = plumber.edges_to_intersections(long_ones, TOLERANCE, TOLERANCE)
    if not any(_is_passed(x, y, at) for (x, y), at in crossings.items()):
        return  # frames that stand alone; a grid has inner lines
    for cells in plumber.cells_to_tables(sorted(_cells(crossings))):
        found = plumber.Table(no_page, cells)
        yield Table(found.bbox, [list(row.cells) for row in found.rows])


def _cells(crossings: _Crossings) -> Iterator[Box]:
    """The smallest cell to the lower right of each crossing, as pdfplumber chooses it.

    pdfplumber's own function compares each crossing with each; on drawings it takes longest.
    """
    upright = {point: {id(line) for line in edges["v"]} for point, edges in crossings.items()}
    level = {point: {id(line) for line in edges["h"]} for point, edges in crossings.items()}
    columns, rows = defaultdict[float, list[float]](list), defaultdict[float, list[float]](list)
    for x, y in sorted(crossings, reverse=True):
        below = [b for b in reversed(columns[x]) if not upright[x, y].isdisjoint(upright[x, b])]
        right = [r for r in reversed(rows[y]) if not level[x, y].isdisjoint(level[r, y])]
        columns[x].append(y)
        rows[y].append(x)
        for b, r in product(below, right):
            if (r, b) in crossings and not (
                level[x, b].isdisjoint(level[r, b]) or upright[r, y].isdisjoint(upright[r, b])
            ):
                yield x, y, r, b
                break


def _is_passed(x: float, y: float, edges: Mapping[str, Sequence[Edge]]) -> bool:
    """Whether one of the edges that cross here goes on to both sides."""
    reach = TOLERANCE / 2
    return any(e["top"] < y - reach and e["bottom"] > y + reach for e in edges["v"]) or any(
        e["x0"] < x - reach and e["x1"] > x + reach for e in edges["h"]
    )


def _open_sides(edges: Sequence[Edge]) -> list[Edge]:
    """Edges that close a table drawn without its outer sides.

    They stand where two rules of equal extent follow each other and an upright one inside joins
    them. pdfplumber sees only the inner columns of such a table.
    """
    level = [line for line in edges if line["orientation"] == "h"]
    upright = [line for line in edges if line["orientation"] == "v"]
    # The ends are rounded to twice the tolerance, so that equal ones mostly fall together.
    level.sort(key=lambda line: (*_ends(line), line["top"]))
    sides: list[Edge] = []
    for above, below in pairwise(level):
        x0, x1, top, bottom = above["x0"], above["x1"], above["top"], below["top"]
        if _ends(above) == _ends(below) and any(
            x0 + TOLERANCE < line["x0"] < x1 - TOLERANCE
            and line["top"] <= top + TOLERANCE
            and line["bottom"] >= bottom - TOLERANCE
            for line in upright
        ):
            sides += [edge(x, x, top, bottom) for x in (x0, x1)]
    return sides


def _ends(line: Edge) -> tuple[int, int]:
    return round(line["x0"] / (2 * TOLERANCE)), round(line["x1"] / (2 * TOLERANCE))
