"""Reading order: columns are told by the white gutter between them, the rest goes down the page.

PDFium's order is the order of drawing, in which a footnote may come before the text it belongs to.
Its boxes suffice to see columns, so no other reader is asked: a page costs a fraction of a
millisecond here, and a hundred in pdfplumber.
"""

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from statistics import median
from typing import NamedTuple

from rag_assets.documents.readers.pdf.page import SIGNS, PageText, Run

MIN_LINES = 4  # on either side of a gutter
MIN_PIECE = 3.0  # type sizes; page numbers and labels in figures say nothing about columns
MIN_GUTTER = 0.6  # of the type's size; gazettes set theirs at 1.2, words stand 0.3 apart
MIN_COLUMN = 10.0  # type sizes that a column's longer lines have; figures in a table are shorter
MIN_FILL = 0.55  # of the column's width, likewise; contents and glossaries are ragged
MAX_CROSSING = 0.5  # full-width lines, as a share of the lines on the emptier side
SAME_ROW = 0.35  # of the type's size: baselines closer than this are one line
WIDE_GAP = 2.5  # type sizes: a gap in a line that parts cells rather than words
_UNREADABLE = re.compile(r"[\x00-\x1f\ufffd]")
_LEFTWARD = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")  # Hebrew, Arabic, ...
MAX_UNREADABLE = 0.3  # of a line's signs; beyond it the font says not which letters it draws


class Line(NamedTuple):
    """A line of text in reading order; lengths in points, from the upper left of the page."""

    text: str  # ends in U+FFFE if a hyphen parts its last word
    page: int  # counted from 1
    column: int  # counted on through the page
    x0: float
    x1: float
    base: float
    size: float
    bold: bool = False
    mono: bool = False
    n_gaps: int = 0  # wide ones: it looks like a table's row
    is_table: bool = False  # a ruled one, all its rows


def lines_in_order(page: PageText, runs: Sequence[Run], number: int) -> list[Line]:
    """The page's runs as lines, in the order in which a person reads them.

    Lines along the page come first, those set sideways (margin notes, stamps) after them. The page,
    counted from 1, is still open.
    """
    turns = page.frame.turns
    upright = [run for run in runs if run.turns == turns and run.size > 0 and not run.table]
    cuts = gutters(upright)
    for cut in cuts:
        upright = [part for run in upright for part in page.split(run, cut)]
    upright += [run for run in runs if run.table]
    sideways = ([run] for run in runs if not run.table and (run.turns != turns or run.size <= 0))
    lines = (
        _line(row, page.text, number, column)
        for column, part in enumerate(chain(_columns(upright, cuts), sideways))
        for row in _rows(part)
    )
    return [line for line in lines if line is not None]


def gutters(runs: Sequence[Run]) -> list[float]:
    """The x of each gutter between columns of prose, from left to right; often none."""
    if len(runs) < 2 * MIN_LINES:
        return []
    size = median(run.size for run in runs)
    pieces = [
        (x0, x1, run.base)
        for run in runs
        for x0, x1 in _pieces(run, size)
        if x1 - x0 >= MIN_PIECE * size
    ]
    return [
        (start + end) / 2
        for start, end in _white(pieces)
        if end - start >= MIN_GUTTER * size and _parts_prose(pieces, (start + end) / 2, size)
    ]


def _pieces(run: Run, size: float) -> Iterator[tuple[float, float]]:
    """The run's extent in x, parted at gaps that a gutter may be in."""
    rects = sorted(run.rects)
    x0, x1 = rects[0][0], rects[0][2]
    for rect in rects[1:]:
        if rect[0] - x1 >= MIN_GUTTER * size:
            yield x0, x1
            x0 = rect[0]
        x1 = max(x1, rect[2])
    yield x0, x1


def _white(pieces: Sequence[tuple[float, float, float]]) -> Iterator[tuple[float, float]]:
    """Stretches of x that fewer pieces cross than the surroundings, with enough on both sides."""
    starts = sorted([piece[0] for piece in pieces])
    ends = sorted([piece[1] for piece in pieces])
    if len(pieces) < 2 * MIN_LINES:
        return
    first, last = ends[MIN_LINES - 1], starts[-MIN_LINES]  # beyond, too few are on one side
    marks = sorted({x for piece in pieces for x in piece[:2] if first <= x <= last})
    best: tuple[int, float, float] | None = None
    for x0, x1 in pairwise(marks):
        middle = (x0 + x1) / 2
        n_left, n_right = bisect(ends, middle), len(starts) - bisect(starts, middle)
        crossing = len(pieces) - n_left - n_right
        fewest = min(n_left, n_right)
        if fewest < MIN_LINES or crossing > MAX_CROSSING * fewest:
            if best is not None:
                yield best[1:]
            best = None
        elif (
            best is None
            or crossing < best[0]
            or (crossing == best[0] and x1 - x0 > best[2] - best[1])
        ):
            best = (crossing, x0, x1)
    if best is not None:
        yield best[1:]


def _parts_prose(pieces: Sequence[tuple[float, float, float]], x: float, size: float) -> bool:
    sides = [p for p in pieces if p[1] <= x], [p for p in pieces if p[0] >= x]
    if not all(_is_prose(side, size) for side in sides):
        return False
    tops, bottoms = ([edge(p[2] for p in side) for side in sides] for edge in (min, max))
    height = min(bottom - top for top, bottom in zip(tops, bottoms, strict=True))
    # Beside each other, not one below the other.
    return min(bottoms) - max(tops) >= 0.5 * height > 0


def _is_prose(pieces: Sequence[tuple[float, float, float]], size: float) -> bool:
    widths = sorted(x1 - x0 for x0, x1, _ in pieces)
    # Of the longer lines, for listings and figures stand in columns, too; and not the longest,
    # which may run over its column's edge.
    typical, widest = (widths[int(share * (len(widths) - 1))] for share in (0.7, 0.95))
    return typical >= MIN_COLUMN * size and typical >= MIN_FILL * widest


def _columns(runs: Sequence[Run], cuts: Sequence[float]) -> Iterator[list[Run]]:
    """Runs in reading order, column by column; what crosses a gutter parts what is above it.

    Some of them are empty.
    """
    if not cuts:
        yield list(runs)
        return
    columns: list[list[Run]] = [[] for _ in range(len(cuts) + 1)]
    across: list[Run] = []
    for row in _rows(runs):
        if any(run.x0 < cut - 1 and run.x1 > cut + 1 for run in row for cut in cuts):
            if any(columns):
                yield across
                yield from columns
                columns, across = [[] for _ in columns], []
            across += row
        else:
            for run in row:
                columns[bisect(cuts, (run.x0 + run.x1) / 2)].append(run)
    yield across
    yield from columns


def _rows(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Runs on one baseline, from left to right (from right to left in such a script)."""
    row: list[Run] = []
    for run in sorted(runs, key=lambda run: run.base):
        reach = 0.0 if run.table or (row and row[0].table) else SAME_ROW
        if row and run.base - row[0].base >= reach * max(row[0].size, run.size):
            yield sorted(row, key=lambda run: run.x0)
            row = []
        row.append(run)
    if row:
        yield sorted(row, key=lambda run: run.x0)


def _line(row: Sequence[Run], text: str, page: int, column: int) -> Line | None:
    """One line of a row's runs; None if its font does not say which letters it draws."""
    if row[0].table:
        (table,) = row
        size = table.x0, table.x1, table.base, table.size
        return Line(table.table, page, column, *size, is_table=True)
    whole = _text_of(row, text)
    if not whole:
        return None
    longest = row[0] if len(row) == 1 else max(row, key=lambda run: run.end - run.start)
    return Line(
        whole,
        page,
        column,
        x0=min([run.x0 for run in row]),
        x1=max([run.x1 for run in row]),
        base=longest.base,
        size=longest.size,
        bold=all([run.bold for run in row]),
        mono=all([run.mono for run in row]),
        n_gaps=_n_gaps(row, WIDE_GAP * longest.size),
    )


def _text_of(row: Sequence[Run], text: str) -> str:
    """The runs' text; none if it is not to be read."""
    parts = [text[run.start : run.end] for run in row]
    if len(parts) > 1 and _is_leftward("".join(parts)):
        parts.reverse()
    whole = " ".join(" ".join(parts).split())
    if whole.isascii() and whole.isprintable():  # as most lines are
        return whole
    whole = whole.translate(SIGNS)
    if len(_UNREADABLE.findall(whole)) > MAX_UNREADABLE * len(whole):
        return ""
    return whole.replace("\ufffe", "-", whole.count("\ufffe") - whole.endswith("\ufffe"))


def _n_gaps(row: Sequence[Run], wide: float) -> int:
    if len(row) == len(row[0].rects) == 1:
        return 0
    ends = sorted([(rect[0], rect[2]) for run in row for rect in run.rects])
    return sum([after[0] - before[1] > wide for before, after in pairwise(ends)])


def _is_leftward(text: str) -> bool:
    return 2 * len(_LEFTWARD.findall(text)) > sum(map(str.isalpha, text))
