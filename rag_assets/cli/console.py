"""What the commands print with: standard output, and standard error where a script reads that."""

import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

_BEGAN = time.monotonic()
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]


def say(text: str) -> None:
    """A line of progress, with the time since the command began."""
    out.print(f"[dim]{time.monotonic() - _BEGAN:6.1f}s[/dim] ", end="")
    out.print(text, markup=False)


def teller(as_json: bool) -> Callable[[str], None]:
    """``say``; on standard error if standard output is for a script."""
    return _err_say if as_json else say


def _err_say(text: str) -> None:
    err.print(f"{time.monotonic() - _BEGAN:6.1f}s {text}", markup=False)
