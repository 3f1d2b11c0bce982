"""What commands do: pull weights, borrow engines, refresh and hot-load, evaluate."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_assets.errors import CommandError
from rag_assets.models.errors import NotPulledError
from rag_assets.models.profile_files import active_profile
from rag_assets.models.profiles import ROLES, Role
from rag_assets.orchestration import processes as stack
from rag_assets.progress import Tell
from rag_assets.quick_imports import uncollected
from rag_assets.settings import DEFINITIONS, Settings

if TYPE_CHECKING:
    from dagster import Definitions

    from rag_assets.lake.store import LakeStore
    from rag_assets.orchestration.job_run import JobRun
    from rag_assets.pipeline.plan import RefreshPlan
    from rag_assets.pipeline.stage import Stage


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
            try:
                tell("stopping the engines that this command started")
            finally:  # also where nobody reads what is told any more
                stack.stop(settings, started)


def evaluate(
    settings: Settings,
    suites: Sequence[str],
    config: Mapping[str, Any],
    tell: Tell,
    show: Callable[[str, Mapping[str, str]], None],
    definitions: "Callable[[], Definitions] | None" = None,
) -> None:
    """Run suites as one Dagster run.

    Args:
        settings: places.
        suites: names.
        config: of each suite.
        tell: told lines of progress.
        show: called with the name and the Markdown of each suite that came to its end.
        definitions: that hold the suites; None: those that ``RAG_DEFINITIONS`` names.

    Raises:
        CommandError: a suite failed; what the models said until then is kept.
    """
    from rag_assets.orchestration.in_process import evaluate_suites
    from rag_assets.orchestration.instance import open_instance

    with borrowed_engines(settings, tell), open_instance() as instance:
        given = None if definitions is None else definitions()
        run = evaluate_suites(instance, suites, config, tell, given)
    for suite in suites:
        if f"{suite}_results" in run.texts:
            show(suite, run.texts[f"{suite}_results"])
    if not run.succeeded:
        said = "\n  ".join(run.errors) or "see its log"
        raise CommandError(f"run {run.run_id} of {run.what} failed:\n  {said}")


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, the lake and the stages that it is of, and the seconds that making it took."""

    plan: "RefreshPlan"
    store: "LakeStore"
    stages: "Sequence[Stage]"
    seconds: float


def plan_of(
    settings: Settings, partitions: Sequence[str], *, accept_deletions: bool = False
) -> Planned:
    """What a refresh of these partitions would do. It writes no row and asks no engine.

    Raises:
        NotPulledError: the embedder's tokenizer is not in the cache.
        SourceError: a source was given another number of buckets.
    """
    from rag_assets.lake.store import LakeStore
    from rag_assets.models.clients.roles import Models
    from rag_assets.pipeline.planning import plan_refresh
    from rag_assets.pipeline.run import ProfileFacts
    from rag_assets.sources import buckets
    from rag_assets.sources.catalog import catalog, source_name

    began = time.monotonic()
    store = LakeStore(settings.lake_uri)
    known = catalog(settings.sources_file, store)
    sources = [known[name] for name in dict.fromkeys(map(source_name, partitions))]
    for source in sources:  # before anything is started or registered for them
        buckets.check(store, source)
    facts, stages = ProfileFacts(Models(settings=settings)), stages_in_force(settings)
    plan = plan_refresh(
        store, sources, facts, stages, partitions=partitions, accept_deletions=accept_deletions
    )
    return Planned(plan, store, stages, time.monotonic() - began)


def _planned(
    settings: Settings, partitions: Sequence[str], tell: Tell, accept_deletions: bool
) -> Planned | None:
    try:
        planned = plan_of(settings, partitions, accept_deletions=accept_deletions)
    except NotPulledError:
        return None  # the stage that needs the weights says so
    tell(planned.plan.sentence())
    return planned


def _with_work(plan: "RefreshPlan") -> set[str]:
    """Those of the partitions that a refresh has to run."""
    return {one.partition for one in plan.partitions if one.needs_run}


def _record(planned: Planned, runs: Sequence["JobRun"], engines_s: float, total_s: float) -> None:
    from rag_assets.pipeline.history import record_refresh

    record_refresh(
        planned.store,
        planned.plan,
        planned.stages,
        runs,
        engines_s=engines_s,
        plan_s=planned.seconds,
        total_s=total_s,
    )


def stages_in_force(settings: Settings) -> "Sequence[Stage]":
    """The stages that a refresh runs; a team's own definitions are loaded for theirs."""
    from rag_assets.pipeline.stages import STAGES, with_readers

    if settings.definitions == tuple(DEFINITIONS.split(":")):
        return with_readers(STAGES)
    from rag_assets.orchestration.in_process import named_stages

    return named_stages()


def refresh_roles(settings: Settings, partitions: Sequence[str]) -> list[Role]:
    """The engines that a refresh asks: the embedder, and the small model if a source is enriched.

    The large model it never asks, and loading that takes longest.
    """
    from rag_assets.lake.store import LakeStore
    from rag_assets.sources.catalog import catalog, source_name

    known = catalog(settings.sources_file, LakeStore(settings.lake_uri))
    enriched = any(known[source_name(partition)].enrich != "none" for partition in partitions)
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
    from rag_assets.pipeline.planning import up_to_date
    from rag_assets.pipeline.stages import DOCUMENTS

    planned = _planned(settings, partitions, tell, accept_deletions)
    if planned is not None:
        stands = up_to_date(planned.store, planned.plan)
        if stands is not None:
            held = f"{stands.counts['documents']:,} documents, {stands.counts['chunks']:,} chunks"
            tell(f"nothing has changed: {stands.id} is live and has this content ({held})")
            stack.hot_load(settings, tell)
            return
    n_files = 0
    if planned is not None and settings.run_launcher == "default":  # else they are read elsewhere
        plans = planned.plan.totals
        n_files = sum(one.to_compute for one in plans if one.stage == DOCUMENTS.name)
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
        from rag_assets.orchestration.in_process import run_refresh_job
        from rag_assets.orchestration.instance import open_instance
        from rag_assets.orchestration.places import is_clustered

    needed = planned is None or planned.plan.needs_engines or live(planned.store) is None
    needed = needed and not is_clustered()  # runs ask the engines of the node that they are on
    roles = refresh_roles(settings, partitions)
    engines = borrowed_engines(settings, tell, roles) if needed else nullcontext()
    began = time.monotonic()
    with engines, open_instance() as instance:
        engines_s = time.monotonic() - began if needed else 0.0
        runs = run_refresh_job(
            instance,
            partitions,
            tell,
            accept_deletions=accept_deletions,
            needed=None if planned is None else _with_work(planned.plan),
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
