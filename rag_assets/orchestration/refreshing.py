"""What commands do: pull weights, borrow engines, refresh and hot-load, evaluate."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_assets.errors import CommandError
from rag_assets.models.errors import NotPulledError
from rag_assets.models.profiles import ROLES, Role
from rag_assets.models.weights.choosing import active_profile
from rag_assets.orchestration import processes as stack
from rag_assets.orchestration.own_processes import stop
from rag_assets.progress import Tell
from rag_assets.quick_imports import uncollected
from rag_assets.serving.client import AnswererClient
from rag_assets.settings import DEFINITIONS, Settings

if TYPE_CHECKING:
    from dagster import Definitions

    from rag_assets.lake.store import LakeStore
    from rag_assets.orchestration.job_run import JobRun
    from rag_assets.pipeline.plan import RefreshPlan
    from rag_assets.pipeline.stage import Stage
    from rag_assets.sources.declaration import Source


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
                stop(settings, started)


def evaluate(
    settings: Settings,
    suites: Sequence[str],
    config: Mapping[str, Any],
    tell: Tell,
    show: Callable[[str, Mapping[str, str]], None],
    definitions: "Callable[[], Definitions] | None" = None,
) -> None:
    """Run suites, each configured alike, as one Dagster run.

    ``show`` is called with the name and the Markdown of each that came to its end. Without
    ``definitions`` they are of those that ``RAG_DEFINITIONS`` names.

    Raises:
        CommandError: a suite failed; what the models said until then is kept.
    """
    from rag_assets.orchestration.in_process import evaluate_suites, named_definitions
    from rag_assets.orchestration.instance import open_instance

    given = (definitions or named_definitions)()  # before engines are started for them
    with borrowed_engines(settings, tell), open_instance() as instance:
        run = evaluate_suites(instance, suites, config, tell, given)
    for suite in suites:
        if f"{suite}_results" in run.texts:
            show(suite, run.texts[f"{suite}_results"])
    if not run.succeeded:
        raise CommandError(f"run {run.run_id} of {run.what} failed:\n  {run.said}")


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, the lake and the stages that it is of, and the seconds that making it took."""

    plan: "RefreshPlan"
    store: "LakeStore"
    stages: "Sequence[Stage]"
    seconds: float


def plan_of(
    settings: Settings, sources: "Sequence[Source]", *, accept_deletions: bool = False
) -> Planned:
    """What a refresh of these sources would do. It writes no row and asks no engine.

    Raises:
        NotPulledError: the embedder's tokenizer is not in the cache.
        SourceError: a source was given another number of buckets.
    """
    from rag_assets.lake.store import LakeStore
    from rag_assets.models.clients.roles import Models
    from rag_assets.pipeline.planning import plan_refresh
    from rag_assets.pipeline.run import ModelFacts
    from rag_assets.sources import buckets

    began = time.monotonic()
    store = LakeStore(settings.lake_uri)
    for source in sources:  # before anything is started or registered for them
        buckets.check(store, source)
    facts, stages = ModelFacts(Models(settings=settings)), stages_in_force(settings)
    plan = plan_refresh(store, sources, facts, stages, accept_deletions=accept_deletions)
    return Planned(plan, store, stages, time.monotonic() - began)


def stages_in_force(settings: Settings) -> "Sequence[Stage]":
    """The stages that a refresh runs; a team's own definitions are loaded for theirs."""
    from rag_assets.pipeline.stages import STAGES, with_readers

    if settings.definitions == tuple(DEFINITIONS.split(":")):
        return with_readers(STAGES)
    from rag_assets.orchestration.in_process import named_stages

    return named_stages()


def refresh_roles(sources: "Sequence[Source]") -> list[Role]:
    """The engines that a refresh asks: the embedder, and the small model if a source is enriched.

    The large model it never asks, and loading that takes longest.
    """
    enriched = any(source.enrich != "none" for source in sources)
    return ["embedder", "slm"] if enriched else ["embedder"]


def refresh_and_load(
    settings: Settings, sources: "Sequence[Source]", tell: Tell, *, accept_deletions: bool = False
) -> None:
    """Refresh sources and hot-load what came of it; engines are started only if needed.

    Where the plan and every stage find all up to date, nothing is run. What other runs are at work
    on is left to them; what they leave, as they may fail, is planned again.

    Raises:
        CommandError: a run failed. If it was a source's that could not be read, the index of the
            others was published; if not, the live index is as it was.
    """
    from rag_assets.documents.worker import started_ahead
    from rag_assets.pipeline.planning import up_to_date
    from rag_assets.pipeline.stages import DOCUMENTS

    planned, n_files = None, 0
    with suppress(NotPulledError):  # the stage that needs the weights says so
        planned = plan_of(settings, sources, accept_deletions=accept_deletions)
        if planned.plan.has_no_file and not accept_deletions:
            raise CommandError("\n".join(planned.plan.empty))
        tell(planned.plan.sentence())
        for text in planned.plan.empty:
            tell(text)
        stands = up_to_date(planned.store, planned.plan)
        if stands is not None:
            held = f"{stands.counts['documents']:,} documents, {stands.counts['chunks']:,} chunks"
            tell(f"nothing has changed: {stands.id} is live and has this content ({held})")
            hot_load(settings, tell)
            return
        if settings.run_launcher == "default":  # else they are read elsewhere
            plans = planned.plan.totals
            n_files = sum(one.to_compute for one in plans if one.stage == DOCUMENTS.name)
    with started_ahead(n_files):  # beside the import of Dagster
        runs = _run(settings, sources, tell, planned, accept_deletions)
    if runs is None:
        refresh_and_load(settings, sources, tell, accept_deletions=accept_deletions)
        return
    is_published = runs[-1].succeeded
    if is_published:
        hot_load(settings, tell)
    outcome = "the other sources are up to date" if is_published else "the live index is as it was"
    failed = [run for run in runs if not run.succeeded]
    if failed:
        said = (
            f"run {run.run_id} of {run.what} failed, {outcome}:\n  {run.said}" for run in failed
        )
        raise CommandError("\n".join(said))


def _run(
    settings: Settings,
    sources: "Sequence[Source]",
    tell: Tell,
    planned: Planned | None,
    accept_deletions: bool,
) -> "list[JobRun] | None":
    """Run what was planned, with engines if it may ask one, and record how it went.

    If others were at work on it they were followed to their end instead: None.
    """
    # Dagster is imported here, so that what needs no run does not wait for it.
    with uncollected():
        from rag_assets.lake.generations import live
        from rag_assets.orchestration.following import follow_others
        from rag_assets.orchestration.in_process import run_refresh_job
        from rag_assets.orchestration.instance import open_instance
        from rag_assets.orchestration.places import is_clustered
        from rag_assets.pipeline.history import record_refresh

    asks = planned is None or planned.plan.needs_engines or live(planned.store) is None
    asks = asks and not is_clustered()  # runs ask the engines of the node that they are on
    partitions = [key for source in sources for key in source.partitions]
    with ExitStack() as held:
        instance = held.enter_context(open_instance())
        if follow_others(instance, partitions, tell):  # what they leave may need no engine
            return None
        began = time.monotonic()
        if asks:
            held.enter_context(borrowed_engines(settings, tell, refresh_roles(sources)))
        engines_s = time.monotonic() - began
        runs = run_refresh_job(
            instance,
            partitions,
            tell,
            accept_deletions=accept_deletions,
            needed=None if planned is None else planned.plan.needed,
        )
        if planned is not None:
            record_refresh(
                planned.store,
                planned.plan,
                planned.stages,
                runs,
                engines_s=engines_s,
                plan_s=planned.seconds,
                total_s=time.monotonic() - began,
            )
    return runs


def hot_load(settings: Settings, tell: Tell) -> None:
    """Bring the live generation into the running answerer; nothing where none runs."""
    from rag_assets.lake.generations import live
    from rag_assets.lake.store import LakeStore

    client = AnswererClient.of(settings)
    if live(LakeStore(settings.lake_uri)) is None or not client.is_up():
        return
    done = client.reload()
    if done["swapped"]:
        tell(f"answerer hot-loaded {done['generation_id']} in {done['ms']:.0f} ms")
