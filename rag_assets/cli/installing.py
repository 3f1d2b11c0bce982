"""Commands that set up: ``rag init``, ``rag engines`` and ``rag models``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rag_assets.cli.app import app
from rag_assets.cli.console import say
from rag_assets.installation import engines, home
from rag_assets.models.weights.choosing import active_profile
from rag_assets.settings import find_home

engines_app = typer.Typer(help="The model engines (vLLM).", no_args_is_help=True)
app.add_typer(engines_app, name="engines")


@app.command()
def init(
    folder: Annotated[
        Path, typer.Argument(help="Folder to make a home; made if it is not there.")
    ] = Path(),
) -> None:
    """Write a home: sources.yaml, dagster.yaml, workspace.yaml and .env; nothing is overwritten."""
    written = home.make_home(folder)
    for name in home.FILES:
        say(f"{folder / name}: {'written' if name in written else 'was there, kept'}")
    here = folder.absolute() == Path.cwd()
    say("next:" if here else f"next: cd {folder}, then")
    say("  rag engines install          vLLM, from the package's own lock; once")
    say("  rag refresh --path FOLDER    read your documents; fetches the models once")
    say("  rag up                       engines, answerer and Dagster's UI")
    say('  rag ask "..."')


@engines_app.command("install")
def install(
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Virtual environment to install into; made if it is not there. Default: the "
            "environment that `rag` is in.",
        ),
    ] = None,
    engine: Annotated[
        Literal["cpu", "gpu"] | None,
        typer.Option(help="Build of vLLM. Default: the one that the profile in RAG_PROFILE needs."),
    ] = None,
    python: Annotated[
        Path | None,
        typer.Option(
            metavar="PROGRAM",
            help="Python that makes the environment of --into. Default: Python 3.11.",
        ),
    ] = None,
) -> None:
    """Install vLLM and what it needs, with the hashes of the package's own lock."""
    chosen = engine or active_profile().lock
    if into is None:
        target = engines.this_python()
    else:
        target = engines.make_environment(into, python or engines.python_for_engines())
    say(f"{chosen} engines into {target.parent.parent}")
    engines.install_engines(target, chosen, say)
    done, known = "installed", find_home()
    if into is not None:
        is_set = known is not None and home.set_in_home(known, "RAG_ENGINE_PYTHON", str(target))
        setting = f"RAG_ENGINE_PYTHON={target}"
        done += f"; {known / '.env'} now has {setting}" if known and is_set else f"; set {setting}"
    say(f"{done}; next: rag refresh --path FOLDER")
