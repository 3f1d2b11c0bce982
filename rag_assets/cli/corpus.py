"""Commands on the corpus: refresh, plan, generations, upkeep, rollback."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rag_assets.cli.app import app, plan_app, sources_app
from rag_assets.cli.console import JsonFlag, is_watched, out, say, show_json, show_table, teller
from rag_assets.errors import CommandError, RagError
from rag_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from rag_assets.lake.store import LakeStore
    from rag_assets.sources.declaration import Source

YesFlag = Annotated[bool, typer.Option("--yes", help="Do not ask whether to delete; for scripts.")]
Names = Annotated[list[str] | None, typer.Argument(help="Names of sources. Default: all.")]


@app.command()
def refresh(
    source: Names = None,
    path: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Read this folder, which need not be in sources.yaml. It is remembered: later "
            "refreshes read it, too.",
        ),
    ] = None,
    accept_deletions: Annotated[
        bool,
        typer.Option(
            "--accept-deletions",
            help="Refresh the named sources even if most of their files are gone, and delete "
            "what was made of those. Without it such a source stays as it is.",
        ),
    ] = False,
    yes: YesFlag = False,
) -> None:
    """Bring sources up to date and publish the new index if it passes its gate."""
    from rag_assets.lake.store import LakeStore
    from rag_assets.orchestration.refreshing import refresh_and_load
    from rag_assets.sources.catalog import add_folder, catalog, note_declared

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
    failed: list[str] = []
    was_emptied = path is None and not source and take_out_withdrawn(settings, store, yes=yes)
    if was_emptied and not catalog(settings.sources_file, store):
        return  # that was all
    if path is not None:
        chosen = [add_folder(store, path)]
        say(f"folder {path} is source {chosen[0].name}")
    else:
        chosen, failed = named_sources(settings, store, source)
    note_declared(store, chosen)
    if chosen:
        if accept_deletions and not yes:
            ask_to_delete(store, chosen)
        try:
            refresh_and_load(settings, chosen, say, accept_deletions=accept_deletions)
        except RagError as error:
            if not failed:
                raise
            failed.insert(0, str(error))
    if failed:
        raise CommandError("\n".join(failed))


def take_out_withdrawn(settings: Settings, store: "LakeStore", *, yes: bool) -> bool:
    """Ask about the sources that were taken out of sources.yaml, and empty them if they may go.

    Nothing is answered from them meanwhile. Returns whether one was emptied.
    """
    from rag_assets.sources.catalog import withdrawn
    from rag_assets.sources.removal import removable
    from rag_assets.sources.stage import n_stored

    chosen = list[str]()
    for name in sorted(withdrawn(settings.sources_file, store)):
        held = f"{n_stored(store, removable(store, name)):,} files of it are stored"
        said = f"source {name} was taken out of {settings.sources_file}; {held}"
        if yes or (is_watched() and typer.confirm(f"{said}. Delete what was made of them?")):
            chosen.append(name)
        else:
            say(
                f"{said}, and nothing is answered from them. Delete them: `rag sources remove "
                f"{name}`, or declare the source again"
            )
    if chosen:
        take_out(settings, store, chosen)
    return bool(chosen)


def take_out(settings: Settings, store: "LakeStore", names: list[str]) -> None:
    """Empty sources, and forget them."""
    from rag_assets.orchestration.instance import open_instance
    from rag_assets.orchestration.partitions import forget_partitions
    from rag_assets.orchestration.refreshing import refresh_and_load
    from rag_assets.sources.catalog import catalog
    from rag_assets.sources.removal import emptied, forget

    chosen = [emptied(store, name) for name in names]
    refresh_and_load(settings, chosen, say, accept_deletions=True)
    for source in chosen:
        forget(store, source.name)
        say(f"source {source.name} is taken out")
    with open_instance() as instance:
        forget_partitions(instance, store, partial(catalog, settings.sources_file, store))


def ask_to_delete(store: "LakeStore", sources: list["Source"]) -> None:
    """Ask whether most of what is stored of these sources may go.

    Raises:
        CommandError: nobody is there to ask, or the answer is no.
    """
    from rag_assets.sources.stage import n_stored

    if not is_watched():
        raise CommandError(
            "expected somebody at the terminal to ask whether to delete; a script says --yes", 2
        )
    held = ", ".join(f"{n_stored(store, one):,} files of {one.name}" for one in sources)
    question = f"{held} are stored. Delete what was made of those that are gone, even if all are?"
    if not typer.confirm(question):
        raise CommandError("nothing was deleted")


def named_sources(
    settings: Settings, store: "LakeStore", names: list[str] | None = None
) -> tuple[list["Source"], list[str]]:
    """The sources of these names, or all of them; and a sentence for each that cannot be used."""
    from rag_assets.sources import buckets
    from rag_assets.sources.catalog import Source, SourceError, catalog

    declared_in = settings.sources_file
    known = catalog(declared_in, store)
    if not known and not known.faults:
        raise CommandError(
            f"no source is declared: write one into {declared_in} (`rag init` puts an example "
            "there), or run `rag refresh --path FOLDER`",
            code=2,
        )
    faults = [one for one in known.faults if not names or one.name in names]
    named = {*known, *(one.name for one in faults)}
    unknown = [name for name in names or [] if name not in named]
    if unknown:
        nameless = [one.problem for one in known.faults if not one.name]
        said = (
            f"no source is called {', '.join(unknown)}; known: {', '.join(known)}. Declare it in "
            f"{declared_in}"
        )
        raise CommandError("\n".join([said, *nameless]), code=2)
    chosen, problems = list[Source](), [one.problem for one in faults]
    for name in dict.fromkeys(names or known):
        if name in known:
            try:
                buckets.check(store, known[name])
                chosen.append(known[name])
            except SourceError as error:
                problems.append(str(error))
    return chosen, problems


@sources_app.callback(invoke_without_command=True)
def sources(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the sources: what they are, where they are declared, what is stored of them."""
    if context.invoked_subcommand:
        return
    from rag_assets.lake.store import LakeStore
    from rag_assets.sources.catalog import catalog
    from rag_assets.sources.removal import undeclared
    from rag_assets.sources.stage import n_stored

    settings = load_settings()
    store = LakeStore(settings.lake_uri)
    known = catalog(settings.sources_file, store)
    rows = [
        {
            "source": one.name,
            "kind": one.kind,
            "where": one.where,
            "declared in": one.declared_in,
            "files": str(n_stored(store, one)),
        }
        for one in known.values()
    ]
    rows += [
        {"source": name, "kind": "", "where": "", "declared in": "nowhere", "files": str(n_files)}
        for name, n_files in undeclared(store, known).items()
    ]
    if as_json:
        show_json({"sources": rows, "faults": known.problems})
    else:
        table = Table("source", "kind", "where", "declared in", "files")
        for row in rows:
            table.add_row(*row.values())
        show_table(table)
    if known.faults:
        raise CommandError("\n".join(known.problems))


@sources_app.command("accept")
def accept_deletions_of(
    names: Annotated[list[str], typer.Argument(help="Sources of `rag sources`.")],
    yes: YesFlag = False,
) -> None:
    """Print a token by which one run of Dagster's UI may delete most files of these sources.

    It is the value of the run config `accept_deletions`, for one run, within the hour. `rag refresh
    NAME --accept-deletions` needs none.
    """
    from rag_assets.lake.store import LakeStore
    from rag_assets.sources.acceptance import offer

    settings = load_settings()
    store = LakeStore(settings.lake_uri)
    chosen, problems = named_sources(settings, store, names)
    if problems:
        raise CommandError("\n".join(problems))
    if not yes:
        ask_to_delete(store, chosen)
    out.print(offer(store, [one.name for one in chosen]), markup=False, highlight=False)


@sources_app.command("remove")
def remove_sources(
    names: Annotated[list[str], typer.Argument(help="Sources of `rag sources`.")],
    yes: YesFlag = False,
) -> None:
    """Take sources out: delete what was made of their files, and answer from it no more.

    The files themselves stay as they are. A source of sources.yaml is taken out of the file first.
    """
    from rag_assets.lake.store import LakeStore
    from rag_assets.sources.catalog import declared
    from rag_assets.sources.removal import removable

    settings = load_settings()
    store = LakeStore(settings.lake_uri)
    found = declared(settings.sources_file)
    places = {name: one.declared_in for name, one in found.items()}
    places |= {one.name: str(settings.sources_file) for one in found.faults}
    for name in names:
        if name in places:
            raise CommandError(
                f"source {name} is declared in {places[name]}; take it out there first, else the "
                "next refresh would bring it back",
                code=2,
            )
    chosen = [removable(store, name) for name in dict.fromkeys(names)]
    if not yes:
        ask_to_delete(store, chosen)
    take_out(settings, store, [source.name for source in chosen])


@plan_app.command("refresh")
def plan_refresh(
    source: Names = None,
    past: Annotated[
        bool,
        typer.Option(
            "--history", help="Show the last ten refreshes instead: what was planned, what it took."
        ),
    ] = False,
    accept_deletions: Annotated[
        bool,
        typer.Option(
            "--accept-deletions", help="Plan a refresh that is given --accept-deletions, too."
        ),
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

    settings = load_settings()
    store = LakeStore(settings.lake_uri)
    if past:
        entries = history(store)
        if as_json:
            show_json(entries)
        elif not entries:
            raise CommandError("no refresh was recorded yet; run `rag refresh`")
        else:
            out.print(rendering.history_table(entries[-10:]))
        return
    chosen, faults = named_sources(settings, store, source)
    plan = plan_of(settings, chosen, accept_deletions=accept_deletions).plan
    if as_json:
        show_json({**plan.to_record(), "faults": faults})
    else:
        out.print(rendering.totals_table(plan))
        if len(plan.partitions) > 1:
            out.print(rendering.partitions_table(plan))
        for line in rendering.remarks(plan):
            out.print(line)
    if failing := [*faults, *(plan.empty if plan.has_no_file else ())]:
        raise CommandError("a refresh would end with code 1:\n  " + "\n  ".join(failing))


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
        show_json(
            [
                {
                    "id": g.id,
                    "live": g.id == live_id,
                    "created_at": g.created_at,
                    **g.counts,
                    "embedder": g.models.get("embedder", {}).get("model_id", ""),
                    "dimension": g.dimension,
                }
                for g in found
            ]
        )
        return
    if not found:
        raise CommandError("no generation was published yet; run `rag refresh`")
    table = Table("generation", "created", "chunks", "documents", "recall", "live")
    for g in reversed(found):
        recall = g.evaluation.get("candidate", {}).get("recall")
        figures = (str(g.counts["chunks"]), str(g.counts["documents"]))
        shown = "-" if recall is None else f"{recall:.3f}"
        table.add_row(g.id, g.created_at, *figures, shown, "live" if g.id == live_id else "")
    show_table(table)


@app.command()
def upkeep(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Merge small fragments; delete versions that no reader, rollback or run needs any more."""
    from dataclasses import asdict

    from rag_assets.answers.journal import expire
    from rag_assets.lake.store import LakeStore
    from rag_assets.lake.upkeep import tend
    from rag_assets.orchestration.refreshing import stages_in_force

    settings = load_settings()
    store = LakeStore(settings.lake_uri)
    done = tend(store, stages_in_force(settings), dry_run=dry_run, tell=teller(as_json))
    n_expired = 0 if dry_run else expire(store, settings.journal_days)
    if as_json:
        show_json({**asdict(done), "bytes_freed": done.bytes_freed, "answers_expired": n_expired})
        return
    if n_expired:
        say(f"{n_expired:,} answers older than {settings.journal_days} days are deleted")
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
        str | None,
        typer.Argument(
            help="Id of the generation; `rag generations` lists them. Default: the one before the "
            "live one."
        ),
    ] = None,
) -> None:
    """Make an older generation live again, and hot-load it into a running answerer."""
    from rag_assets.lake import generations as lake_generations
    from rag_assets.lake.store import LakeStore
    from rag_assets.orchestration import refreshing

    settings = load_settings()
    pointer = lake_generations.rollback(LakeStore(settings.lake_uri), generation)
    say(f"{pointer.generation_id} is live")
    refreshing.hot_load(settings, say)
