"""The command ``purge``."""

from typing import Annotated

import typer

from rag_assets.cli.app import app
from rag_assets.cli.console import is_watched, out, say
from rag_assets.errors import CommandError
from rag_assets.settings import load_settings


@app.command()
def purge(
    target: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE|URI",
            help="A source that sources.yaml no longer declares, or the uri of a document that is "
            "gone at its source, such as docs:plan.pdf.",
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    deadline: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long readers of earlier generations have to end; then what they read is "
            "deleted.",
        ),
    ] = 600,
) -> None:
    """Erase a document or a source from everything that is kept here, and from every version of it.

    Rows, raw bytes, caches, all generations of the index but a new one, answers, evaluations, logs,
    and runs in Dagster. What was cut off is finished by the same command.
    """
    from rag_assets.lake.store import LakeStore
    from rag_assets.orchestration import purging
    from rag_assets.orchestration.instance import open_instance
    from rag_assets.orchestration.refreshing import stages_in_force
    from rag_assets.sources.catalog import catalog, declared
    from rag_assets.sources.removal import target_of

    settings = load_settings()
    store = LakeStore(settings.lake_uri)
    places = settings.sources_file
    named = target_of(store, catalog(places, store), declared(places), target)
    stages = stages_in_force(settings)
    with open_instance() as instance:
        for line in purging.plan(settings, stages, named, instance).lines():
            out.print(line)
        if not yes and not is_watched():
            raise CommandError(
                "expected somebody at the terminal to ask; a script says --yes. Nothing was erased",
                2,
            )
        if not yes and not typer.confirm("Erase it?"):
            raise CommandError("nothing was erased")
        left = purging.purge(settings, stages, named, instance, say, deadline_s=deadline)
    if left:
        raise CommandError(f"not all of {named.name} is gone:\n  " + "\n  ".join(left))
    say(f"{named.name} is erased")
