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
        names = _names(header)
        return [Block("paragraph", _record(names, row)) for row in body]
    return [Block("table", "\n".join(map(_line, [*header, *body])))]


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


def n_header_rows(rows: Sequence[Row]) -> int:
    """How many rows name the columns: 0, 1, or 2 where the first names groups of columns.

    A caption is such a row, or "2023 | 2024" above "cars | people | cars | people"; either has
    fewer names than there are columns below it, and one of the two rows has a name more than once.
    """
    if len(rows) > 2 and _names_groups(rows[0], rows[1]):
        return 2
    return int(has_header(rows))


def _names_groups(first: Row, second: Row) -> bool:
    groups = [cell.strip() for cell in first if cell.strip()]
    names = [cell.strip() for cell in second if cell.strip()]
    corner = int(bool(first) and not first[0].strip())  # may stay empty above the names of rows
    if not 0 < len(set(groups)) < len(names) - corner:
        return False
    is_plain = len(set(groups)) == len(groups) > 1 and len(set(names)) == len(names)
    if is_plain or any(_NUMBER.fullmatch(name) and not _YEAR.fullmatch(name) for name in groups):
        return False
    return has_header([second]) or not any(map(_NUMBER.fullmatch, names))


def _split(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    n_header = 1 if len(rows) == 1 else n_header_rows(rows)
    if n_header:
        return rows[:n_header], rows[n_header:]
    width = max(len(row) for row in rows)
    return [[f"column {number}" for number in range(1, width + 1)]], rows


def _names(header: Sequence[Row]) -> list[str]:
    """Of each column; below a row of groups both names, a group's for all columns up to the next.

    What a spreadsheet shows as one wide cell is its first cell, and empty ones behind it.
    """
    *above, last = header
    names = [cell.strip() for cell in last]
    for groups in above:
        group = ""
        for n, name in enumerate(names):
            group = (groups[n].strip() if n < len(groups) else "") or group
            names[n] = f"{group} {name}".strip()
    return names


def _record(names: Sequence[str], row: Row) -> str:
    lines = []
    for position, cell in enumerate(row):
        name = names[position] if position < len(names) else ""
        if cell.strip():
            lines.append(f"{name or f'column {position + 1}'}: {cell.strip()}")
    return "\n".join(lines)


def _line(row: Row) -> str:
    return " | ".join(" ".join(cell.split()) for cell in row)
