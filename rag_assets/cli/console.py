"""What the commands print with: standard output, and standard error where a script reads that.

Nothing is cut. A terminal's width folds long cells of a table; where the output is no terminal, a
line is as long as it has to be. Text from documents goes through ``Text`` or ``markup=False``,
as rich would read ``[/b]`` in it as markup.
"""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_BEGAN = time.monotonic()
_UNLIMITED = 100_000  # columns


def _width() -> int | None:
    """The terminal's own width, or no limit where a file or a pipe is written."""
    return None if sys.stdout.isatty() else _UNLIMITED


out = Console(soft_wrap=True, highlight=False, emoji=False, width=_width())
err = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]


def show_table(table: Table) -> None:
    """Print a table with every cell whole: what is too wide is folded, not cut.

    Cells that hold text of documents or of users must be ``Text``; see ``plain``.
    """
    for column in table.columns:
        column.no_wrap, column.overflow = False, "fold"
    out.print(table)


def plain(*cells: object) -> list[Text]:
    """Cells of a table that are shown as they are, whatever is in them."""
    return [Text(str(cell)) for cell in cells]


def show_answer(record: Mapping[str, Any]) -> None:
    """An answer for a person: question, text, citations, then how it came about.

    Args:
        record: as ``rag ask --json`` prints it.
    """
    from rag_assets.answers.rendering import record_text

    out.print(Text(record["question"], style="bold"))
    out.print()
    out.print(record_text(record), markup=False)


def say(text: str) -> None:
    """A line of progress, with the time since the command began."""
    out.print(f"[dim]{time.monotonic() - _BEGAN:6.1f}s[/dim] ", end="")
    out.print(text, markup=False)


def teller(as_json: bool) -> Callable[[str], None]:
    """``say``; on standard error if standard output is for a script."""
    return _err_say if as_json else say


def _err_say(text: str) -> None:
    err.print(f"{time.monotonic() - _BEGAN:6.1f}s {text}", markup=False)
