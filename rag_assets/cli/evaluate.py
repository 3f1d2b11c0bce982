"""The commands that measure answers: evaluate, calibrate."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from rag_assets.cli.app import app
from rag_assets.cli.console import JsonFlag, out, say, show_json, show_table, teller
from rag_assets.errors import CommandError
from rag_assets.settings import load_settings

if TYPE_CHECKING:
    from rag_assets.answers.calibration import Part
    from rag_assets.models.profiles import Role

SHOWN = 0.25  # between the values of a threshold in the table


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


@app.command()
def calibrate(
    questions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Golden questions of your own about the live index, beside those of the sources: "
            "one JSON object a line.",
        ),
    ] = None,
    role: Annotated[
        Literal["embedder", "llm", "both"],
        typer.Option(help="The model whose thresholds are learned."),
    ] = "both",
    limit: Annotated[
        int | None,
        typer.Option(
            min=20,
            metavar="NUMBER",
            help="Have the large model read at most this many questions of each set. Default: all.",
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep the thresholds in use; measure what they do."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Learn from which odds on answers are given, on the models in use.

    It asks the calibration set of the package and the sources' golden questions. If it is stopped,
    run it again: it goes on where it was. A running answerer uses what was learned when it is
    started anew.
    """
    from rag_assets.evaluations.calibrating import Wanted, calibrated
    from rag_assets.evaluations.lab import Lab, Request
    from rag_assets.models.clients.roles import Models
    from rag_assets.orchestration.refreshing import borrowed_engines

    if questions is not None and not questions.is_file():
        raise CommandError(
            f"expected a file of golden questions, found none at {questions}", code=2
        )
    settings, tell = load_settings(), teller(as_json)
    models = Models(settings=settings)
    engines: list[Role] = ["embedder"] if role == "embedder" else ["embedder", "slm", "llm"]
    lab = Lab.on(settings, models, Request(limit), tell)
    with borrowed_engines(settings, tell, engines):
        made = calibrated(lab, models.embedder, Wanted(role, questions, keep))
    path = settings.home / "calibration" / f"{models.profile.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(made.model_dump_json(indent=1, exclude_none=True) + "\n", "utf-8")
    if as_json:
        show_json({"file": str(path), **made.model_dump(mode="json", exclude_none=True)})
        return
    for part in filter(None, (made.embedder, made.llm)):
        show_part(part)
    say(f"written: {path}")


def show_part(part: "Part") -> None:
    """What each value of a threshold does, what came before, and what to expect."""
    ((name, learned),) = part.thresholds.items()
    columns = [column for column in part.curve[0] if column != "threshold"]
    table = Table(name, *(column.replace("_", " ") for column in columns))

    def add(label: str, figures: Mapping[str, float]) -> None:
        table.add_row(label, *(f"{figures[column]:.2f}" for column in columns))

    for point in part.curve:
        at = point["threshold"]
        if at == learned or (at / SHOWN).is_integer():
            add(f"{at:.2f}{' learned' if at == learned else ''}", point)
    if part.before is not None:
        table.add_section()
        add("in use before", part.before)
    if part.held_out is not None:
        add("held out", part.held_out)
    out.print(f"\n{part.n} questions: {part.questions}; chosen: {part.chosen}\n")
    show_table(table)
