"""What commands do: pull weights, borrow engines, refresh and hot-load, evaluate."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_assets.errors import CommandError
from rag_assets.models.errors import NotPulledError
from rag_assets.models.profiles import ROLES, Role, active_profile
from rag_assets.models.weights.pulling import pull
from rag_assets.orchestration import processes as stack
from rag_assets.quick_imports import uncollected
from rag_assets.settings import Settings

if TYPE_CHECKING:
    from rag_assets.lake.store import LakeStore
    from rag_assets.orchestration.in_process import JobRun
    from rag_assets.pipeline.plan import RefreshPlan
    from rag_assets.pipeline.stages import Models
    from rag_assets.sources.declaration import Source

Tell = Callable[[str], None]


def pull_weights(settings: Settings, tell: Tell) -> None:
    """Pull what is missing of the profile's weights, telling each tenth of each step."""
    told: dict[str, int] = {}

    def progress(step: str, share: float) -> None:
        tenth = int(share * 10)
        if told.get(step) != tenth:
            told[step] = tenth
            tell(f"{step} {share:.0%}")

    pull(active_profile(), settings.cache, progress=progress)


@contextmanager
def borrowed_engines(
    settings: Settings, tell: Tell, roles: Sequence[Role] = ROLES
) -> Iterator[None]:
    """Engines for the time of a command; those that run already are used and left running."""
    started = stack.start_engines(settings, active_profile(), tell, roles)
    try:
        yield
    finally:
        if started is not None:
            tell("stopping the engines that this command started")
            stack.stop(settings, started)


def evaluate(
    settings: Settings,
    suites: Sequence[str],
    config: Mapping[str, Any],
    tell: Tell,
    show: Callable[[str, Mapping[str, str]], None],
) -> None:
    """Run suites as one Dagster run.

    Args:
        settings: places.
        suites: names.
        config: of each suite.
        tell: told lines of progress.
        show: called with the name and the Markdown of each suite that came to its end.

    Raises:
        CommandError: a suite failed; what the models said until then is kept.
    """
    from rag_assets.orchestration.in_process import evaluate_suites
    from rag_assets.orchestration.instance import open_instance

    with borrowed_engines(settings, tell), open_instance() as instance:
        run = evaluate_suites(instance, suites, config, tell)
    for suite in suites:
        if f"{suite}_results" in run.texts:
            show(suite, run.texts[f"{suite}_results"])
    if not run.succeeded:
        said = "\n  ".join(run.errors) or "see its log"
        raise CommandError(f"run {run.run_id} of {run.what} failed:\n  {said}")


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, what it was made for, and the seconds that making it took."""

    plan: "RefreshPlan"
    store: "LakeStore"
    sources: Sequence["Source"]
    models: "Models"
    seconds: float


def plan_of(
    settings: Settings, partitions: Sequence[str], *, accept_deletions: bool = False
) -> Planned:
    """What a refresh of these partitions would do; no row is written, no engine is asked.

    Raises:
        NotPulledError: the embedder's tokenizer is not in the cache.
    """
    from rag_assets.lake.store import LakeStore
    from rag_assets.pipeline.planning import plan_refresh
    from rag_assets.pipeline.stages import models_of
    from rag_assets.sources.catalog import catalog, source_name

    began = time.monotonic()
    models = models_of(active_profile(), settings.cache)
    store = LakeStore(settings.lake_uri)
    known = catalog(settings.sources_file, store)
    sources = [known[name] for name in dict.fromkeys(map(source_name, partitions))]
    plan = plan_refresh(
        store, sources, models, partitions=partitions, accept_deletions=accept_deletions
    )
    return Planned(plan, store, sources, models, time.monotonic() - began)


def _planned(
    settings: Settings, partitions: Sequence[str], tell: Tell, accept_deletions: bool
) -> Planned | None:
    from rag_assets.cli.plan_tables import sentence

    try:
        planned = plan_of(settings, partitions, accept_deletions=accept_deletions)
    except NotPulledError:
        return None  # the stage that needs the weights says so
    tell(sentence(planned.plan))
    return planned


def _with_work(plan: "RefreshPlan", partitions: Sequence[str]) -> set[str]:
    """Those of the partitions that a refresh has to run."""
    from rag_assets.sources.catalog import source_name

    found = {one.partition for one in plan.partitions if one.needs_run}
    # What a source has no longer is emptied by any run of it.
    retiring = set(map(source_name, found - set(partitions)))
    for name in retiring - set(map(source_name, found & set(partitions))):
        found.add(next(key for key in partitions if source_name(key) == name))
    return found


def _record(planned: Planned, runs: Sequence["JobRun"], engines_s: float, total_s: float) -> None:
    from rag_assets.pipeline.history import RunFigures, record_refresh

    figures = [RunFigures(run.run_id, run.partitions, run.figures, run.seconds) for run in runs]
    record_refresh(
        planned.store,
        planned.plan,
        planned.models,
        figures,
        engines_s=engines_s,
        plan_s=planned.seconds,
        total_s=total_s,
    )


def refresh_roles(settings: Settings, partitions: Sequence[str]) -> list[Role]:
    """The engines that a refresh asks: the embedder, and the small model if a source is enriched.

    The large model it never asks, and loading that takes longest.
    """
    from rag_assets.lake.store import LakeStore
    from rag_assets.sources.catalog import catalog, source_name

    known = catalog(settings.sources_file, LakeStore(settings.lake_uri))
    enriched = any(known[source_name(partition)].enrich for partition in partitions)
    return ["embedder", "slm"] if enriched else ["embedder"]


def refresh_and_load(
    settings: Settings, partitions: Sequence[str], tell: Tell, *, accept_deletions: bool = False
) -> None:
    """Refresh partitions and hot-load what came of it; engines are started only if needed.

    Where the plan and every stage find all up to date, nothing is run.

    Args:
        settings: places.
        partitions: keys, ``<source>.<bucket>``.
        tell: told lines of progress.
        accept_deletions: also where a source lists far less than it held.

    Raises:
        CommandError: a run failed. If it was a source's that could not be read, the index of the
            others was published; if not, the live index is as it was.
    """
    from rag_assets.documents.worker import started_ahead
    from rag_assets.pipeline.standing import standing

    planned = _planned(settings, partitions, tell, accept_deletions)
    if planned is not None:
        stands = standing(planned.store, planned.sources, planned.plan, planned.models)
        if stands is not None:
            held = f"{stands.counts['documents']:,} documents, {stands.counts['chunks']:,} chunks"
            tell(f"nothing has changed: {stands.id} is live and has this content ({held})")
            stack.hot_load(settings, tell)
            return
    n_files = 0
    if planned is not None and settings.run_launcher == "default":  # else they are read elsewhere
        n_files = planned.plan.to_compute("documents")
    with started_ahead(n_files):  # beside the import of Dagster
        _run_and_load(settings, partitions, tell, planned, accept_deletions)


def _run_and_load(
    settings: Settings,
    partitions: Sequence[str],
    tell: Tell,
    planned: Planned | None,
    accept_deletions: bool,
) -> None:
    # Dagster is imported here, so that what needs no run does not wait for it.
    with uncollected():
        from rag_assets.lake.generations import live
        from rag_assets.orchestration.executors import is_clustered
        from rag_assets.orchestration.in_process import refresh_partitions
        from rag_assets.orchestration.instance import open_instance

    needed = planned is None or planned.plan.needs_engines or live(planned.store) is None
    needed = needed and not is_clustered()  # runs ask the engines of the node that they are on
    roles = refresh_roles(settings, partitions)
    engines = borrowed_engines(settings, tell, roles) if needed else nullcontext()
    began = time.monotonic()
    with engines, open_instance() as instance:
        engines_s = time.monotonic() - began if needed else 0.0
        runs = refresh_partitions(
            instance,
            partitions,
            tell,
            accept_deletions=accept_deletions,
            needed=None if planned is None else _with_work(planned.plan, partitions),
        )
        if planned is not None:
            _record(planned, runs, engines_s, time.monotonic() - began)
    failed = [run for run in runs if not run.succeeded]
    if runs[-1].succeeded:
        stack.hot_load(settings, tell)
        outcome = "the other sources are up to date"
    else:
        outcome = "the live index is as it was"
    if failed:
        said = "\n".join(
            f"run {run.run_id} of {run.what} failed, {outcome}:\n  "
            + ("\n  ".join(run.errors) or "see its log")
            for run in failed
        )
        raise CommandError(said)
