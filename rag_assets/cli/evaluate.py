"""The command that measures answers."""

from collections.abc import Mapping
from typing import Annotated

import typer

from rag_assets.cli.app import app
from rag_assets.cli.console import out, say
from rag_assets.errors import CommandError
from rag_assets.settings import load_settings


@app.command()
def evaluate(
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Ask at most this many questions. 0, or no limit given: all.",
        ),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            metavar="NAME=VALUE",
            help="Ask only questions of this kind, for example kind=lookup. Give it again to "
            "narrow down further.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            help="Number that random choices start from. The same number draws the same sample "
            "of questions and gives the same intervals."
        ),
    ] = 20261122,
    generation: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Generation of the index to ask; `rag generations` lists them. Default: the "
            "live one.",
        ),
    ] = None,
) -> None:
    """Measure how well the sources' golden questions are answered.

    If it is stopped, run it again: it goes on where it was.
    """
    from rag_assets.orchestration.refreshing import evaluate as run

    settings = load_settings()
    config = {
        "limit": limit, "slices": slices_of(part or []), "seed": seed, "generation": generation
    }  # fmt: skip
    set_ones = {name: value for name, value in config.items() if value is not None}
    run(settings, ["golden"], set_ones, say, show_suite)
    say(f"pages to mail: {settings.evaluations / 'reports'}; rows: table evaluation_cases")


def slices_of(given: list[str]) -> dict[str, str]:
    """Name -> value of the slices asked for."""
    slices = dict(one.split("=", 1) for one in given if "=" in one)
    if len(slices) < len(given):
        raise CommandError(
            f"expected slices as NAME=VALUE, each name once; got {', '.join(given)}", code=2
        )
    return slices


def show_suite(name: str, texts: Mapping[str, str]) -> None:
    """A suite's tables, as they are written: a terminal's own would cut columns to its width."""
    out.print(f"\n{name}\n\n{texts['figures']}")
    if "comparisons" in texts:
        out.print(texts["comparisons"])
