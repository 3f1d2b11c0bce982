"""``rag``: the command line. Each command is a few calls into the rooms that do the work.

Heavy imports (Dagster, Lance) stand inside the commands, so that ``rag --help`` answers at once.
Exit codes: 0 done; 1 failed, with a sentence on standard error; 2 the request itself is wrong.
"""

import signal
import sys

import typer

from rag_assets.cli import (  # noqa: F401 - they add commands
    asking,
    backing_up,
    corpus,
    evaluate,
    installing,
    keys,
    models,
    processes,
    purging,
)
from rag_assets.cli.app import app
from rag_assets.cli.console import err
from rag_assets.errors import RagError
from rag_assets.quick_imports import end_uncollected
from rag_assets.settings import read_env_file


def main() -> None:
    """Run ``rag``."""
    run(app)


def run(commands: typer.Typer) -> None:
    """Run commands; an expected failure is a sentence, not a traceback."""
    end_uncollected()
    # A shell that puts a command into the background has it ignore SIGINT. Dagster would give
    # SIGTERM the same handler, and what `rag up` starts would be deaf to both.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    read_env_file()
    try:
        commands()
    except RagError as error:
        err.print("rag: ", style="red", end="")
        err.print(str(error))
        sys.exit(error.exit_code)
