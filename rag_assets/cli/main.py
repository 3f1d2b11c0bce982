"""``rag``: the command line. Each command is a few calls into the rooms that do the work.

Heavy imports (Dagster, Lance) stand inside the commands, so that ``rag --help`` answers at once.
Exit codes: 0 done; 1 failed, with a sentence on standard error; 2 the request itself is wrong.
"""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rag_assets.benchmarks.commands import bench_app
from rag_assets.cli.console import JsonFlag, err, out, say, teller
from rag_assets.errors import CommandError
from rag_assets.quick_imports import end_uncollected, uncollected
from rag_assets.settings import load_settings

if TYPE_CHECKING:
    from rag_assets.sources.catalog import Source

app = typer.Typer(
    help="Document question answering as a Dagster dataflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="Model weights.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(bench_app, name="bench")
plan_app = typer.Typer(help="What a command would do and take.", no_args_is_help=True)
app.add_typer(plan_app, name="plan")


def main() -> None:
    """Run ``rag``; an expected failure is a sentence, not a traceback."""
    with uncollected():
        from rag_assets.benchmarks.findings import BenchmarkError
        from rag_assets.lake.store import LakeError
        from rag_assets.models.errors import ModelsError
        from rag_assets.orchestration.processes import StackError
        from rag_assets.serving.client import AnswererError
        from rag_assets.settings import SettingsError
        from rag_assets.sources.catalog import SourceError
        from rag_assets.sources.golden import CaseError

    end_uncollected()
    # A shell that puts a command into the background has it ignore SIGINT. Dagster would give
    # SIGTERM the same handler, and what `rag up` starts would be deaf to both.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except CommandError as error:
        err.print(f"[red]rag:[/red] {error}", markup=True)
        sys.exit(error.code)
    except (
        AnswererError, BenchmarkError, CaseError, LakeError, ModelsError, SettingsError,
        SourceError, StackError,
    ) as error:  # fmt: skip
        err.print("[red]rag:[/red] ", end="")
        err.print(str(error), markup=False)
        status = getattr(error, "status", 0)
        sys.exit(2 if 400 <= status < 500 else 1)


# Corpus


@app.command()
def refresh(
    source: Annotated[list[str] | None, typer.Argument(help="Sources; default: all.")] = None,
    path: Annotated[Path | None, typer.Option(help="Ingest any folder, ad hoc.")] = None,
    accept_deletions: Annotated[
        bool,
        typer.Option("--accept-deletions", help="Even if most of a source is gone."),
    ] = False,
) -> None:
    """Bring sources up to date and publish the new index if it passes its gate."""
    from rag_assets.lake.store import LakeStore
    from rag_assets.orchestration.refreshing import refresh_and_load
    from rag_assets.sources.catalog import add_folder, catalog

    settings = load_settings()
    store = LakeStore(settings.lake_uri)
    if path is not None and source:
        raise CommandError("expected sources or --path, got both; refresh one after the other", 2)
    if accept_deletions and not source and path is None:
        raise CommandError(
            "--accept-deletions needs the sources that it is for: rag refresh NAME "
            "--accept-deletions; all of them at once would take the guard from every one",
            code=2,
        )
    if path is not None:
        chosen = [add_folder(store, path)]
        say(f"folder {path} is source {chosen[0].name}")
    else:
        chosen = named_sources(catalog(settings.sources_file, store), source, settings.sources_file)
    partitions = [key for one in chosen for key in one.partitions]
    refresh_and_load(settings, partitions, say, accept_deletions=accept_deletions)


def named_sources(
    known: Mapping[str, "Source"], names: list[str] | None, declared_in: Path
) -> list["Source"]:
    """The sources of these names, or all of them."""
    if not known:
        raise CommandError(
            f"no source is declared: write {declared_in} (README: Use it), or run "
            "`rag refresh --path FOLDER`",
            code=2,
        )
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise CommandError(
            f"no source is called {', '.join(unknown)}; known: {', '.join(known)}. Declare it in "
            f"{declared_in}",
            code=2,
        )
    return [known[name] for name in names or known]


@plan_app.command("refresh")
def plan_refresh(
    source: Annotated[list[str] | None, typer.Argument(help="Sources; default: all.")] = None,
    past: Annotated[
        bool, typer.Option("--history", help="Earlier refreshes: planned beside actual.")
    ] = False,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="As for the refresh.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say what a refresh would read, compute, ask of models and delete, and how long it takes.

    A folder given to `rag refresh --path` is a source by name from then on.
    """
    from rag_assets.cli import plan_tables as rendering
    from rag_assets.lake.store import LakeStore
    from rag_assets.orchestration.refreshing import plan_of
    from rag_assets.pipeline.history import history
    from rag_assets.sources.catalog import catalog

    settings = load_settings()
    store = LakeStore(settings.lake_uri)
    if past:
        entries = history(store)
        if as_json:
            print(json.dumps(entries, indent=1))  # noqa: T201 - a script reads it
        elif not entries:
            raise CommandError("no refresh was recorded yet; run `rag refresh`")
        else:
            out.print(rendering.history_table(entries[-10:]))
        return
    chosen = named_sources(catalog(settings.sources_file, store), source, settings.sources_file)
    partitions = [key for one in chosen for key in one.partitions]
    plan = plan_of(settings, partitions, accept_deletions=accept_deletions).plan
    if as_json:
        print(json.dumps(plan.to_record(), indent=1))  # noqa: T201 - a script reads it
        return
    out.print(rendering.totals_table(plan))
    if len(plan.partitions) > 1:
        out.print(rendering.partitions_table(plan))
    for line in rendering.remarks(plan):
        out.print(line, markup=False)


@app.command()
def generations(as_json: JsonFlag = False) -> None:
    """List the published generations of the index; the live one is marked."""
    from rag_assets.lake import generations as lake_generations
    from rag_assets.lake.store import LakeStore

    store = LakeStore(load_settings().lake_uri)
    pointer = lake_generations.live(store)
    live_id = "" if pointer is None else pointer.generation_id
    found = [lake_generations.load(store, i) for i in lake_generations.generation_ids(store)]
    if as_json:
        rows = [
            {"id": g.id, "live": g.id == live_id, "created_at": g.created_at, **g.counts}
            for g in found
        ]
        print(json.dumps(rows, indent=1))  # noqa: T201 - a script reads it
        return
    if not found:
        raise CommandError("no generation was published yet; run `rag refresh`")
    table = Table("generation", "created", "chunks", "documents", "recall", "live")
    for g in reversed(found):
        recall = g.evaluation.get("candidate", {}).get("recall")
        figures = (str(g.counts["chunks"]), str(g.counts["documents"]))
        shown = "-" if recall is None else f"{recall:.3f}"
        table.add_row(g.id, g.created_at, *figures, shown, "live" if g.id == live_id else "")
    out.print(table)


@app.command()
def upkeep(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Merge small fragments; delete versions that no reader, rollback or run needs any more."""
    from dataclasses import asdict

    from rag_assets.lake.store import LakeStore
    from rag_assets.lake.upkeep import tend

    store = LakeStore(load_settings().lake_uri)
    done = tend(store, dry_run=dry_run, tell=teller(as_json))
    if as_json:
        print(json.dumps({**asdict(done), "bytes_freed": done.bytes_freed}, indent=1))  # noqa: T201
        return
    for generation_id, why in done.kept.items():
        say(f"{generation_id} stays: {why}")
    for generation_id in done.expired:
        say(f"{generation_id} {'would expire' if dry_run else 'expired'}")
    tended = "would be tended" if dry_run else "tended"
    left = f"; {done.n_left} are left to the next upkeep" if done.n_left else ""
    freed = "" if dry_run else f", {done.bytes_freed / 1e6:,.1f} MB freed"
    say(f"{done.n_looked} tables looked at, {len(done.tables)} {tended}{freed}{left}")


@app.command()
def rollback(
    generation: Annotated[
        str | None, typer.Argument(help="Its id; default: the one before the live one.")
    ] = None,
) -> None:
    """Make an older generation live again, and hot-load it into a running answerer."""
    from rag_assets.lake import generations as lake_generations
    from rag_assets.lake.store import LakeStore
    from rag_assets.orchestration import processes as stack

    settings = load_settings()
    pointer = lake_generations.rollback(LakeStore(settings.lake_uri), generation)
    say(f"{pointer.generation_id} is live")
    stack.hot_load(settings, say)


# Answers


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="In plain words.")],
    mode: Annotated[str, typer.Option(help="auto, fact (small model) or deep.")] = "auto",
    as_json: JsonFlag = False,
) -> None:
    """Ask the running answerer; the answer cites the documents that it rests on."""
    from rag_assets.serving.client import AnswererClient

    record = AnswererClient(load_settings().answerer_url).ask(question, mode)
    if as_json:
        print(json.dumps(record, ensure_ascii=False, indent=1))  # noqa: T201 - a script reads it
    else:
        show_answer(record)


def show_answer(record: dict[str, Any]) -> None:
    """An answer for a person: text, citations, then how it came about."""
    from rich.markdown import Markdown

    from rag_assets.answers.rendering import record_markdown

    out.print(Markdown(record_markdown(record)))


@app.command()
def trace(
    answer_id: Annotated[str, typer.Argument(help="As `rag ask` prints it.")],
) -> None:
    """Walk an answer back: chunk, section, document, raw bytes, Dagster run."""
    from rag_assets.answers import tracing
    from rag_assets.lake.store import LakeStore

    found = tracing.trace_answer(LakeStore(load_settings().lake_uri), answer_id)
    out.print(tracing.render_trace(found), markup=False)


@app.command()
def evaluate(
    suite: Annotated[
        list[str] | None, typer.Option(help="One or several; default: all but the long ones.")
    ] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Conventional RAG, then each discipline added.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Questions of each set; 0: all. Default: a sample.")
    ] = None,
    part: Annotated[
        list[str] | None, typer.Option("--slice", help="NAME=VALUE, e.g. dataset=squad2.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of samples, perturbations, bootstraps.")] = 20261122,
    generation: Annotated[str | None, typer.Option(help="Of the index; default: live.")] = None,
) -> None:
    """Measure answers and retrieval; killed and run again, it goes on where it was."""
    from rag_assets.evaluations.registry import FIRST_LOOK, SUITES
    from rag_assets.orchestration.refreshing import evaluate as run

    settings = load_settings()
    chosen = list(dict.fromkeys([*(suite or []), *(["ablation"] if ablation else [])]))
    unknown = [name for name in chosen if name not in SUITES]
    slices = dict(one.split("=", 1) for one in part or [] if "=" in one)
    if unknown or len(slices) < len(part or []):
        raise CommandError(
            f"expected suites out of {', '.join(SUITES)} and slices as NAME=VALUE, each name once; "
            f"got {', '.join([*unknown, *(part or [])])}",
            code=2,
        )
    part_of = slices.get("dataset")
    holding = [name for name, one in SUITES.items() if part_of in (None, *one.parts)]
    if not holding or not set(chosen) <= set(holding):
        parts = ", ".join(dict.fromkeys(p for n in chosen or SUITES for p in SUITES[n].parts))
        raise CommandError(f"dataset={part_of} picks nothing here; there are {parts}", code=2)
    if not chosen:
        chosen = [name for name in FIRST_LOOK if name in holding] or holding[:1]
        public = [name for name in chosen if name != "golden"]
        if public and not settings.eval_data.is_dir():
            missing = (
                f"{', '.join(public)} skipped: there is no public data at {settings.eval_data}; "
                "RAG_EVAL_DATA names its folder"
            )
            if public == chosen:
                raise CommandError(missing)
            chosen = ["golden"]
            say(missing)
    if generation is not None and chosen != ["golden"]:
        raise CommandError(
            "--generation is of the sources' own index: only --suite golden takes it; other "
            "suites have corpora of their own",
            code=2,
        )
    config = {"limit": limit, "slices": slices, "seed": seed, "generation": generation}
    set_ones = {name: value for name, value in config.items() if value is not None}
    run(settings, chosen, set_ones, say, show_suite)
    say(f"pages to mail: {settings.evaluations / 'reports'}; rows: table evaluation_cases")


def show_suite(name: str, texts: Mapping[str, str]) -> None:
    """A suite's tables, as they are written: a terminal's own would cut columns to its width."""
    out.print(f"\n{name}\n\n{texts['figures']}", markup=False)
    if "comparisons" in texts:
        out.print(texts["comparisons"], markup=False)


# Processes


@app.command()
def up() -> None:
    """Start engines, Dagster's UI and daemon, and the answerer as a Dagster run."""
    from rag_assets.models.profiles import active_profile
    from rag_assets.orchestration import processes as stack
    from rag_assets.orchestration.instance import dagster_environment
    from rag_assets.serving.client import AnswererClient

    settings = load_settings()
    stack.start_engines(settings, active_profile(), say)
    stack.start_ui(settings, dagster_environment(), say)
    client = AnswererClient(settings.answerer_url)
    if not client.is_up():
        run_id = stack.launch_job(settings, "answerer_job")
        say(f"answerer_job is run {run_id}")
        stack.wait_for_answerer(settings, say)
    reason = client.readiness()
    say(f"answerer at {settings.answerer_url}" + (f": {reason}" if reason else " is ready"))
    say(f'next: rag ask "...", or the UI at http://127.0.0.1:{settings.ui_port}')


@app.command()
def down() -> None:
    """Stop everything that `rag up` (or a command cut off) started."""
    from rag_assets.orchestration import processes as stack

    settings = load_settings()
    stopped = stack.stop_answerer(settings)
    for started in reversed(stack.known(settings)):
        stack.stop(settings, started)
        stopped.append(started.name)
    say(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


@app.command()
def demo() -> None:
    """From sources to three answered questions; stops what it started."""
    from rag_assets.cli.demo import run_demo

    run_demo(load_settings(), say)


@models_app.command("pull")
def models_pull() -> None:
    """Fetch and verify the profile's weights, and convert them to the served format."""
    from rag_assets.orchestration.refreshing import pull_weights

    pull_weights(load_settings(), say)


@app.command()
def doctor(as_json: JsonFlag = False) -> None:
    """Check everything that answering needs and say what is missing and how to mend it."""
    from rag_assets.cli.doctor import examine

    findings = examine(load_settings())
    if as_json:
        print(json.dumps([f.to_record() for f in findings], indent=1))  # noqa: T201 - for scripts
    else:
        table = Table("", "what", "found", "what to do")
        marks = {
            "ok": "[green]ok[/green]",
            "note": "[yellow]note[/yellow]",
            "bad": "[red]bad[/red]",
        }
        for f in findings:
            table.add_row(marks[f.level], f.what, f.found, f.remedy)
        out.print(table)
    if any(f.level == "bad" for f in findings):
        raise typer.Exit(1)
