"""Commands on the whole installation: backup, restore."""

from pathlib import Path
from typing import Annotated

import typer

from rag_assets.cli.app import app
from rag_assets.cli.console import say
from rag_assets.errors import CommandError
from rag_assets.settings import find_home, load_settings


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="Where to; an empty folder, or none yet.")],
) -> None:
    """Copy the lake, the home's settings and Dagster's storage into a folder.

    Refreshes, questions and Dagster may go on meanwhile; upkeep waits.
    """
    from rag_assets.orchestration.backup import back_up
    from rag_assets.orchestration.refreshing import stages_in_force

    settings = load_settings()
    left = back_up(settings, stages_in_force(settings), folder, say)
    if left:
        raise CommandError("\n".join(left))
    say(f"the backup is in {folder}")


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="What `rag backup` wrote.")],
) -> None:
    """Bring a backup into a home (RAG_HOME, or this folder) that has nothing of it."""
    from rag_assets.orchestration.backup import restore as restored

    left = restored(folder, find_home() or Path.cwd(), say)
    if left:
        raise CommandError("\n".join(left))
    say("restored; `rag doctor` says what is missing, and `rag up` starts it")
