"""Rows of cells to blocks: which row is the header, when a row reads better as a record."""

import re
from collections.abc import Sequence

from rag_assets.documents.blocks import Block

LONG_CELL_CHARS = 200  # longer ones are prose, which a table row would only hide
LONG_ROW_SHARE = 0.1  # of the rows, above which a table is read as records

Row = Sequence[str]
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d.,' \u00a0:/-]*\s?[%$€£¥)]?(?:[eE][-+]?\d+)?")
_YEAR = re.compile(r"(?:1[6-9]|20|21)\d\d")


def table_blocks(rows: Sequence[Row]) -> list[Block]:
    """A table as one block, its header first, or as one paragraph per row.

    A row becomes a paragraph of "column: value" lines where more than one row in ten has a cell of
    more than 200 characters. A table without a header gets "column 1 | column 2 | ...", because
    what cuts tables later repeats the first row.

    Args:
        rows: cells in reading order; rows may differ in length, empty ones are left out.
    """
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    if not filled:
        return []
    header, body = _split(filled)
    n_long = sum(any(len(cell) > LONG_CELL_CHARS for cell in row) for row in body)
    if n_long > LONG_ROW_SHARE * len(body):
        return [Block("paragraph", _record(header, row)) for row in body]
    return [Block("table", "\n".join(map(_line, [header, *body])))]


def has_header(rows: Sequence[Row]) -> bool:
    """Whether the first row names the columns.

    It does when its names are all different and none is a number, but for years, of which a
    time series has a column each. An empty name is one, too: the corner of a pivot table.
    """
    first = [cell.strip() for cell in rows[0]]
    names = [cell for cell in first if cell]
    if len(set(names)) != len(names) or len(names) < max(len(first) / 2, 1):
        return False
    words = [name for name in names if not _NUMBER.fullmatch(name)]
    return bool(words) and all(_YEAR.fullmatch(name) for name in names if name not in words)


def _split(rows: Sequence[Row]) -> tuple[Row, Sequence[Row]]:
    if len(rows) == 1:
        return rows[0], []
    if has_header(rows):
        return rows[0], rows[1:]
    width = max(len(row) for row in rows)
    return [f"column {number}" for number in range(1, width + 1)], rows


def _record(header: Row, row: Row) -> str:
    lines = []
    for position, cell in enumerate(row):
        name = header[position].strip() if position < len(header) else ""
        if cell.strip():
            lines.append(f"{name or f'column {position + 1}'}: {cell.strip()}")
    return "\n".join(lines)


def _line(row: Row) -> str:
    return " | ".join(" ".join(cell.split()) for cell in row)
