"""Rows of cells to blocks: which row is the header, when a row reads better as a record."""

import re
from collections.abc import Sequence

from rag_assets.documents.readers.blocks import Block

LONG_CELL_CHARS = 200  # longer ones are prose, which a table row would only hide
LONG_ROW_SHARE = 0.1  # of the rows, above which a table is read as records

Row = Sequence[str]
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d.,' \u00a0:/-]*\s?[%$€£¥)]?(?:[eE][-+]?\d+)?")
_YEAR = re.compile(r"(?:1[6-9]|20|21)\d\d")


def table_blocks(rows: Sequence[Row]) -> list[Block]:
    """A table as one block, its header first, or as one paragraph per row.

    A row becomes a paragraph of "column: value" lines where more than one row in ten has a cell of
    more than 200 characters. A table without a header gets "column 1 | column 2 | ...", because
    what cuts tables later repeats what names the columns.

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
    named = len(filled) > 2 and names_groups(*filled[:3])
    return [Block("table", "\n".join(map(_line, filled if named else [header, *body])))]


def has_header(rows: Sequence[Row]) -> bool:
    """Whether the first row names the columns.

    It does when its names are all different and none is a number, but for years, of which a
    time series has a column each. An empty name is one, too: the corner of a pivot table.
    """
    first = [cell.strip() for cell in rows[0]]
    names = [cell for cell in first if cell]
    if len(set(names)) != len(names) or len(names) < max(len(first) / 2, 1):
        return False
    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    return len(numbers) < len(names) and all(map(_YEAR.fullmatch, numbers))


def names_groups(first: Row, second: Row, third: Row) -> bool:
    """Whether the first row names groups of columns, the second the columns, and values follow.

    "2023 | 2024" above "cars | people | cars | people": there are fewer names in the first than
    columns that either row names, and the third has numbers where the second has words.
    """
    groups, names = (
        {n: cell.strip() for n, cell in enumerate(row) if cell.strip()} for row in (first, second)
    )
    n_values = sum(_NUMBER.fullmatch(cell.strip()) is not None for cell in third)
    if not groups or not names or 2 * n_values < len(names):
        return False
    corner = int(0 in names and 0 not in groups)  # may stay empty above the names of rows
    n_columns = max(len(names), len(groups.keys() | names.keys()))
    return (
        len(set(groups.values())) < n_columns - corner
        and not any(map(_NUMBER.fullmatch, names.values()))
        and all(_YEAR.fullmatch(g) or not _NUMBER.fullmatch(g) for g in groups.values())
    )


def names_below(groups: Row, names: Row) -> list[str]:
    """Names of columns below names of groups, both in one: "2023 cars", "2023 people".

    What a spreadsheet shows as one wide cell is its first one, and empty ones behind it.
    """
    joined, group = [], ""
    for above, name in zip(groups, names, strict=True):
        group = above.strip() or group
        joined.append(f"{group} {name.strip()}".strip())
    return joined


def trimmed(row: list[str]) -> list[str]:
    """The row without the empty cells behind the last one."""
    end = len(row)
    while end and not row[end - 1]:
        end -= 1
    return row[:end]


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
