"""Spreadsheets to blocks by calamine: .xlsx, .xlsb, .xls and .ods; a table for each sheet.

calamine, in Rust, reads the values that were last computed, of all four formats; openpyxl reads
.xlsx only, in Python.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from functools import reduce

from python_calamine import (
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from rag_assets.documents.readers.archives import Archive
from rag_assets.documents.readers.blocks import Block, Extracted, RejectedError
from rag_assets.documents.readers.media_types import ODS, XLS, XLSX
from rag_assets.documents.readers.tables import table_blocks, trimmed

Cell = int | float | str | bool | time | date | datetime | timedelta

MAX_CELLS = 20_000_000  # of a sheet's rectangle; calamine allocates it, at 32 bytes a cell
_FILLED = re.compile(rb'<(?:\w+:)?c\s(?:[^>]*?\s)?r="([A-Z]{1,3})(\d{1,7})"[^>]*(?<!/)>')
MIN_COLUMNS = 3  # of a table above which a line with a single cell is a caption


def read_spreadsheet(data: bytes) -> Extracted:
    """Each visible sheet: its name as a heading, then its cells as a table.

    Raises:
        RejectedError: ``encrypted``, ``corrupt``, ``too large``.
    """
    archive = Archive(data) if data.startswith(b"PK") else None
    if archive is not None:
        for name in archive.names:
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                _check_extent(archive.read(name))
    blocks: list[Block] = []
    with _calamine():
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for sheet in workbook.sheets_metadata:
            is_shown = sheet.visible == SheetVisibleEnum.Visible
            if is_shown and sheet.typ == SheetTypeEnum.WorkSheet:
                rows = workbook.get_sheet_by_name(sheet.name).iter_rows()
                blocks += _sheet_blocks(sheet.name, [list(map(_text, row)) for row in rows])
    if archive is None:
        return Extracted(XLS, blocks)
    return Extracted(ODS if "content.xml" in archive else XLSX, blocks, **archive.properties())


def _check_extent(sheet: bytes) -> None:
    """Reject a sheet with cells so far apart that the rectangle around them fits in no memory."""
    rows: set[int] = set()
    columns: set[bytes] = set()
    for match in _FILLED.finditer(sheet):
        columns.add(match[1])
        rows.add(int(match[2]))
    if not rows:
        return
    numbers = [reduce(lambda n, letter: 26 * n + letter - 64, name, 0) for name in columns]
    n_cells = (max(rows) - min(rows) + 1) * (max(numbers) - min(numbers) + 1)
    if n_cells > MAX_CELLS:
        raise RejectedError(
            "too large",
            f"a sheet whose filled cells span {n_cells:,} places, at most {MAX_CELLS:,} are read; "
            "delete cells that are far away from the others",
        )


def _sheet_blocks(name: str, rows: Sequence[list[str]]) -> list[Block]:
    rows = [filled for row in rows if (filled := trimmed(row))]
    if not rows:
        return []
    n_above = 0
    if max(map(len, rows)) >= MIN_COLUMNS:
        counts = [sum(map(bool, row)) for row in rows]
        n_above = next((n for n, count in enumerate(counts) if count > 1), 0)
    above = [Block("paragraph", "".join(row)) for row in rows[:n_above]]
    return [Block("heading", name, 2), *above, *table_blocks(rows[n_above:])]


def _text(cell: Cell) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else f"{cell:.15g}"
    if isinstance(cell, datetime):
        is_date = cell.time() == time()
        return cell.date().isoformat() if is_date else cell.isoformat(" ", "minutes")
    return str(cell).strip()


@contextmanager
def _calamine() -> Iterator[None]:
    try:
        yield
    except PasswordError as error:
        raise RejectedError("encrypted", "a spreadsheet with a password") from error
    except (MemoryError, RejectedError, KeyboardInterrupt, SystemExit):
        raise
    # A panic of the Rust code is a BaseException, and the file's fault as much as any error.
    except BaseException as error:
        detail = f"broken spreadsheet: {type(error).__name__}: {error}"
        raise RejectedError("corrupt", detail[:500]) from error
