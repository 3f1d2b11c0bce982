"""What the commands print with: standard output, and standard error where a script reads that.

Nothing is cut. A terminal's width folds long cells of a table and breaks the lines of an answer
between words; where the output is no terminal, a line is as long as it has to be. Text is printed
as it is, whatever rich would make of ``[/b]`` in it, but for what a terminal would obey instead of
showing it: see ``visible``. Colour comes by ``style`` alone, or as rich's ``Text`` of words of our
own.
"""

import json
import re
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rag_assets.markup import visible
from rag_assets.progress import Tell

_BEGAN = time.monotonic()
_UNLIMITED = 100_000  # columns
_NARROWEST = 20  # columns for words; in fewer the terminal breaks lines itself


class VisibleConsole(Console):
    """Rich's console, which makes every text visible before it is laid out, also in tables."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - rich's own
        super().__init__(soft_wrap=True, highlight=False, emoji=False, markup=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's own
        """The text of anything that is printed; rich calls this for each ``str``."""
        return super().render_str(visible(text), **options)


def _width() -> int | None:
    """The terminal's own width, or no limit where a file or a pipe is written."""
    return None if sys.stdout.isatty() else _UNLIMITED


out = VisibleConsole(width=_width())
err = VisibleConsole(stderr=True)
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]


def show_json(value: object) -> None:
    """Print a value for a script; what a terminal would obey is escaped as JSON escapes it."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    print(re.sub(r"[^\n -~]", _json_escape, text))  # noqa: T201 - a script reads it


def _json_escape(found: re.Match[str]) -> str:
    return found[0] if visible(found[0]) == found[0] else json.dumps(found[0])[1:-1]


def show_table(table: Table) -> None:
    """Print a table with every cell whole: what is too wide is folded, not cut."""
    for column in table.columns:
        column.no_wrap, column.overflow = False, "fold"
    out.print(table)


def show_answer(record: Mapping[str, Any]) -> None:
    """An answer, as ``rag ask --json`` prints it, for a person: also how it came about."""
    from rag_assets.answers.rendering import record_text

    out.print(folded("", record["question"], ""), style="bold")
    out.print()
    out.print(record_text(record, folded))


def folded(first: str, text: str, others: str) -> str:
    """The text on lines no wider than the terminal, broken between words where that is possible.

    Args:
        first: what begins the first line.
        text: no sign of it is lost but the white space where a line breaks.
        others: what begins the further lines.
    """
    width = out.width - max(cell_len(first), cell_len(others))
    if width < _NARROWEST:
        return first + text
    lines = out.render_str(text).wrap(out, width, overflow="fold", no_wrap=False)
    begins = (first, *[others] * len(lines))
    return "\n".join(
        f"{begin}{line.plain.rstrip()}" for begin, line in zip(begins, lines, strict=False)
    )


def say(text: str, to: Console | None = None) -> None:
    """A line of progress, with the time since the command began."""
    (to or out).print(f"{time.monotonic() - _BEGAN:6.1f}s ", style="dim", end="")
    (to or out).print(text)


def teller(as_json: bool) -> Tell:
    """``say``; on standard error if standard output is for a script."""
    return partial(say, to=err) if as_json else say


def is_watched() -> bool:
    """Whether somebody is at the terminal to answer a question."""
    return sys.stdin.isatty()
