"""Tables with ruled cells: PDFium's drawings, pdfplumber's way to find a grid in them.

pdfplumber's own reading of a page takes about a tenth of a second, almost all of it in parsing the
page anew. Its table finder needs only the page's straight edges, which PDFium has at hand; the text
of a cell is that of the characters whose middle lies in it, as with pdfplumber.
"""

import ctypes
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import pypdfium2.raw as pdfium

from rag_assets.documents import pdf_calls as calls
from rag_assets.documents.pdf_page import SIGNS, Box, Frame, Handle

MAX_OBJECTS = 20_000  # on a page; beyond it is a map or a drawing, and no table is looked for
MAX_SEGMENTS = 4_000  # straight edges, likewise; pdfplumber compares each with each
SAMPLE = 64  # segments of a path, after which it is told whether it is a picture's outline
MIN_SHARE = 8  # of a path's segments one in so many has to be upright or level, else it is one
MAX_CELL_CHARS = 1500  # notes below a table have a thousand; a framed page of text has 3,000
MAX_DEPTH = 4  # of forms within forms
TOLERANCE = 3.0  # points; pdfplumber's default for snapping and joining, so the next one
MIN_EDGE = 3.0
STRAIGHT = 0.5  # points by which an upright or level line may lean, by rounding

_Matrix = tuple[float, float, float, float, float, float]
_Edge = dict[str, Any]
_Crossings = Mapping[
    tuple[float, float], Mapping[str, Sequence[_Edge]]
]  # "v" and "h" edges at x, y
_IDENTITY: _Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Table:
    """A grid's place on the page, and its cells row by row; None where one cell spans several."""

    box: Box
    rows: list[list[Box | None]]


def find_tables(page: Handle, frame: Frame) -> list[Table]:
    """Grids of at least two rows and two columns; a frame around text is none.

    Args:
        page: PDFium's handle.
        frame: in whose coordinates the tables are given.
    """
    edges = _edges(page, frame)
    n_upright = sum(edge["orientation"] == "v" for edge in edges)
    if len(edges) > MAX_SEGMENTS or n_upright < 1 or len(edges) < n_upright + 2:
        return []
    return [table for table in _grids(edges) if _is_grid(table)]


def table_text(table: Table, text: str, inside: Sequence[tuple[int, Box]]) -> tuple[str, list[int]]:
    """The table's rows, one a line, their cells parted by bars; nothing if it holds no table.

    Args:
        table: as found.
        text: the page's.
        inside: place in the text and box of the characters that stand in the table.

    Returns:
        the rows, and the places of the characters in them. A row with a cell of prose is left out
        of both: there, the rules frame a page or a figure.
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
    return [item for item in inside if top <= (item[1][1] + item[1][3]) / 2 < bottom]


def _cell_lines(cell: Box, text: str, inside: Sequence[tuple[int, Box]]) -> list[str]:
    """A cell's lines in PDFium's order."""
    x0, top, x1, bottom = cell
    parts: list[str] = []
    last, level = -1, 0.0
    for place, (a, b, c, d) in inside:
        if not (x0 <= (a + c) / 2 < x1 and top <= (b + d) / 2 < bottom):
            continue
        if last >= 0 and place != last + 1:  # white space or another cell's text lies between
            parts.append("\n" if abs((b + d) / 2 - level) > (d - b) / 2 else " ")
        parts.append("-" if text[place] == "\ufffe" else text[place])
        last, level = place, (b + d) / 2
    return [" ".join(line.split()) for line in "".join(parts).split("\n") if line.strip()]


def _is_grid(table: Table) -> bool:
    return len(table.rows) >= 2 and max(len(row) for row in table.rows) >= 2


def _grids(edges: list[_Edge]) -> Iterator[Table]:
    # Imported here: a PDF without rules does not wait for pdfplumber.
    from pdfplumber import table as plumber

    no_page: Any = None  # only its text would be asked of it
    merged = plumber.merge_edges(edges, TOLERANCE, TOLERANCE, TOLERANCE, TOLERANCE)
    if sides := _open_sides(merged):
        edges = [*merged, *sides]
        merged = plumber.merge_edges(edges, TOLERANCE, TOLERANCE, TOLERANCE, TOLERANCE)
    long_ones = [
        edge
        for edge in merged
        if edge["x1"] - edge["x0"] + edge["bottom"] - edge["top"] >= MIN_EDGE
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
    upright = {point: {id(edge) for edge in edges["v"]} for point, edges in crossings.items()}
    level = {point: {id(edge) for edge in edges["h"]} for point, edges in crossings.items()}
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


def _is_passed(x: float, y: float, edges: Mapping[str, Sequence[_Edge]]) -> bool:
    """Whether one of the edges that cross here goes on to both sides."""
    reach = TOLERANCE / 2
    return any(e["top"] < y - reach and e["bottom"] > y + reach for e in edges["v"]) or any(
        e["x0"] < x - reach and e["x1"] > x + reach for e in edges["h"]
    )


def _open_sides(edges: Sequence[_Edge]) -> list[_Edge]:
    """Edges that close a table drawn without its outer sides.

    They stand where two rules of equal extent follow each other and an upright one inside joins
    them. pdfplumber sees only the inner columns of such a table.
    """
    level = [edge for edge in edges if edge["orientation"] == "h"]
    upright = [edge for edge in edges if edge["orientation"] == "v"]
    # The ends are rounded to twice the tolerance, so that equal ones mostly fall together.
    level.sort(key=lambda edge: (*_ends(edge), edge["top"]))
    sides: list[_Edge] = []
    for above, below in pairwise(level):
        x0, x1, top, bottom = above["x0"], above["x1"], above["top"], below["top"]
        if _ends(above) == _ends(below) and any(
            x0 + TOLERANCE < edge["x0"] < x1 - TOLERANCE
            and edge["top"] <= top + TOLERANCE
            and edge["bottom"] >= bottom - TOLERANCE
            for edge in upright
        ):
            sides += [_edge(x, x, top, bottom) for x in (x0, x1)]
    return sides


def _ends(edge: _Edge) -> tuple[int, int]:
    return round(edge["x0"] / (2 * TOLERANCE)), round(edge["x1"] / (2 * TOLERANCE))


def _edge(x0: float, x1: float, top: float, bottom: float) -> _Edge:
    return {
        "x0": x0,
        "x1": x1,
        "top": top,
        "bottom": bottom,
        "width": x1 - x0,
        "height": bottom - top,
        "orientation": "v" if x0 == x1 else "h",
    }


def _edges(page: Handle, frame: Frame) -> list[_Edge]:
    """Upright and level straight edges of what is drawn, in pdfplumber's form."""
    edges: list[_Edge] = []
    for path, matrix in _paths(page):
        edges += _path_edges(path, matrix, frame)
        if len(edges) > MAX_SEGMENTS:
            break
    return edges


def _path_edges(path: Handle, matrix: _Matrix, frame: Frame) -> list[_Edge]:
    edges: list[_Edge] = []
    for number, start, end in _strokes(path, matrix):
        if number >= SAMPLE and len(edges) * MIN_SHARE < number:
            break
        (xa, ya), (xb, yb) = frame.point(*start), frame.point(*end)
        wide, high = abs(xa - xb), abs(ya - yb)
        if (wide > STRAIGHT) == (high > STRAIGHT):
            continue
        if high > wide:
            edges.append(_edge(xa, xa, min(ya, yb), max(ya, yb)))
        else:
            edges.append(_edge(min(xa, xb), max(xa, xb), ya, ya))
    return edges


def _paths(page: Handle) -> Iterator[tuple[Handle, _Matrix]]:
    """Paths that are painted, with what leads from their coordinates to the page's."""
    seen = 0
    waiting: list[tuple[Callable[..., int], Handle, int, _Matrix]] = [
        (calls.count_page_objects, page, 0, _IDENTITY)
    ]
    while waiting:
        count, holder, depth, outer = waiting.pop()
        get = calls.get_page_object if depth == 0 else calls.get_form_object
        n_objects = count(holder)
        seen += max(n_objects, 0)
        if seen > MAX_OBJECTS:
            return
        for number in range(n_objects):
            item = get(holder, number)
            kind = calls.get_object_type(item)
            if kind == pdfium.FPDF_PAGEOBJ_PATH and _is_painted(item):
                yield item, _times(_matrix(item), outer)
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
                inner = _times(_matrix(item), outer)
                waiting.append((calls.count_form_objects, item, depth + 1, inner))


def _is_painted(path: Handle) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    known = calls.get_draw_mode(path, ctypes.byref(fill), ctypes.byref(stroke))
    return bool(known and (fill.value or stroke.value))


def _strokes(
    path: Handle, matrix: _Matrix
) -> Iterator[tuple[int, tuple[float, float], tuple[float, float]]]:
    """Number, start and end of each straight segment, in the page's coordinates."""
    a, b, c, d, e, f = matrix
    x, y = ctypes.c_float(), ctypes.c_float()
    to_x, to_y = ctypes.byref(x), ctypes.byref(y)
    first = last = (0.0, 0.0)
    n_lines = 0
    for number in range(min(calls.count_segments(path), MAX_SEGMENTS)):
        segment = calls.get_segment(path, number)
        calls.get_segment_point(segment, to_x, to_y)
        point = (a * x.value + c * y.value + e, b * x.value + d * y.value + f)
        kind = calls.get_segment_type(segment)
        if number >= SAMPLE and n_lines * MIN_SHARE < number:
            return
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            first = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            n_lines += 1
            yield number, last, point
            if calls.is_segment_closing(segment) and point != first:
                yield number, point, first
        last = point


def _matrix(item: Handle) -> _Matrix:
    found = pdfium.FS_MATRIX()
    if not calls.get_object_matrix(item, ctypes.byref(found)):
        return _IDENTITY
    return found.a, found.b, found.c, found.d, found.e, found.f


def _times(inner: _Matrix, outer: _Matrix) -> _Matrix:
    """First the inner, then the outer."""
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (
        a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s,
        e * p + f * r + t, e * q + f * s + u,
    )  # fmt: skip
