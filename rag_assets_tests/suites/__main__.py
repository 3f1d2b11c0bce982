"""``python -m rag_assets_tests.suites``: its command."""

from typing import Annotated

import typer

from rag_assets.cli.console import say
from rag_assets.cli.evaluate import show_suite, slices_of
from rag_assets.cli.main import run
from rag_assets.errors import CommandError
from rag_assets.settings import load_settings
from rag_assets_tests.evaluation_data import evaluation_data

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def suites(
    name: Annotated[
        list[str] | None,
        typer.Argument(help="Suites; default: retrieval, answers, languages, conflicts."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Questions of each set; 0: all. Default: a sample.")
    ] = None,
    part: Annotated[
        list[str] | None, typer.Option("--slice", help="NAME=VALUE, e.g. dataset=squad2.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of samples, perturbations, bootstraps.")] = 20261122,
) -> None:
    """Measure on public data: retrieval, answers, languages, conflicts, ablation, headline,
    ladders, wordings, conversations, injection.

    Killed and run again, it goes on where it was.
    """
    from rag_assets.orchestration.refreshing import evaluate
    from rag_assets_tests.suites.definitions import defs
    from rag_assets_tests.suites.registry import WITHOUT_PUBLIC_DATA

    settings, slices = load_settings(), slices_of(part or [])
    chosen = _chosen(name or [], slices.get("dataset"))
    data = evaluation_data(settings)
    if not data.is_dir() and not set(chosen) <= WITHOUT_PUBLIC_DATA:
        raise CommandError(f"there is no public data at {data}; RAG_EVAL_DATA names its folder")
    config = {"limit": limit, "slices": slices, "seed": seed}
    set_ones = {key: value for key, value in config.items() if value is not None}
    evaluate(settings, chosen, set_ones, say, show_suite, definitions=defs)
    say(f"pages to mail: {settings.evaluations / 'reports'}; rows: table evaluation_cases")


def _chosen(asked: list[str], part: str | None) -> list[str]:
    """The suites that were asked for, or those of a first look; they hold the part."""
    from rag_assets_tests.suites.registry import FIRST_LOOK, PARTS, SUITES

    unknown = [name for name in asked if name not in SUITES]
    if unknown:
        raise CommandError(
            f"expected suites out of {', '.join(SUITES)}; got {', '.join(unknown)}", code=2
        )
    holding = [name for name in SUITES if part is None or part in PARTS[name]]
    chosen = list(dict.fromkeys(asked))
    if not holding or not set(chosen) <= set(holding):
        parts = ", ".join(dict.fromkeys(p for n in chosen or SUITES for p in PARTS[n]))
        raise CommandError(f"dataset={part} picks nothing here; there are {parts}", code=2)
    return chosen or [name for name in FIRST_LOOK if name in holding] or holding[:1]


if __name__ == "__main__":
    run(app)
