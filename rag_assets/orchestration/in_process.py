"""Run jobs in this process, as Dagster runs that its UI shows: refreshes and evaluations."""

import os
import uuid
from collections.abc import Mapping, Sequence, Set
from typing import Any

import dagster as dg

from rag_assets.errors import RagError
from rag_assets.lake.store import LakeStore
from rag_assets.orchestration.job_run import JobRun, heard
from rag_assets.orchestration.partitions import (
    corpus_partitions,
    partition_ranges,
    range_name,
    range_tags,
)
from rag_assets.orchestration.places import is_clustered
from rag_assets.orchestration.run_processes import NO_RETRY, close_dead_runs, process_tag
from rag_assets.pipeline.stage import Stage
from rag_assets.pipeline.stages import STAGES
from rag_assets.plugins import imported
from rag_assets.progress import Tell
from rag_assets.settings import SettingsError, load_settings
from rag_assets.sources.acceptance import offer
from rag_assets.sources.catalog import source_name

STAGES_KEY = "stages"  # of the definitions' resources: the list that they were made from
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def repository_of(definitions: dg.Definitions | None = None) -> dg.RepositoryDefinition:
    """The repository of definitions; without any, of those that ``RAG_DEFINITIONS`` names."""
    return (definitions or named_definitions()).get_repository_def()


def named_definitions() -> dg.Definitions:
    """The definitions that ``RAG_DEFINITIONS`` names.

    Raises:
        SettingsError: there are none at that place, or they cannot be made.
    """
    place = ":".join(load_settings().definitions)
    try:
        found = imported(place)
        made = found() if callable(found) else found
    except RagError:
        raise
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise _no_definitions(place, why) from error
    if not isinstance(made, dg.Definitions):
        raise _no_definitions(place, f"{made!r:.100} there")
    return made


def _no_definitions(place: str, got: str) -> SettingsError:
    return SettingsError(
        "expected RAG_DEFINITIONS to name dagster.Definitions, or a function that gives them, as "
        f"module:name; {place!r} gave {got}"
    )


def named_stages() -> Sequence[Stage]:
    """The stages of the definitions that ``RAG_DEFINITIONS`` names."""
    given: Sequence[Stage] = (named_definitions().resources or {}).get(STAGES_KEY, STAGES)
    return given


def run_refresh_job(
    instance: dg.DagsterInstance,
    partitions: Sequence[str],
    tell: Tell,
    *,
    accept_deletions: bool = False,
    needed: Set[str] | None = None,
) -> list[JobRun]:
    """Run ``refresh_job`` for these partitions, a range of them a run; see ``partition_ranges``.

    Those that are not ``needed`` are left out, where that spares time. All but the last run hold
    the partitioned stages only; the last one goes on to build, evaluate and publish one index for
    all of them. On a cluster they run beside one another, and a run of its own indexes and
    publishes; see ``distributing``. A source that cannot be read, or lists far less than it held
    (unless ``accept_deletions``), stays as it is stored and the others go on; any other failure
    ends it.
    """
    repository = repository_of()
    job = repository.get_job("refresh_job")
    graph = repository.asset_graph
    keys = job.asset_layer.executable_asset_keys
    partitioned = [key for key in keys if graph.get(key).partitions_def == corpus_partitions]

    def config(keys: Sequence[str]) -> Mapping[str, Any]:
        """Of one run: a token holds for no other."""
        if not accept_deletions:
            return {}
        token = offer(LakeStore(load_settings().lake_uri), map(source_name, keys))
        return {"ops": {"source_files": {"config": {"accept_deletions": token}}}}

    if is_clustered():
        from rag_assets.orchestration.on_cluster import refresh_on_cluster

        return refresh_on_cluster(
            instance,
            job,
            partitions,
            tell,
            partitioned=partitioned,
            config=config,
            needed=needed,
        )
    runs = []
    whole = [key for key in keys if key not in partitioned]
    ranges = partition_ranges(instance, partitions, needed=needed)
    for position, found in enumerate(ranges):
        is_last = position == len(ranges) - 1
        if len(ranges) > 1:
            tell(f"run {position + 1} of {len(ranges)}: {range_name(found)}")
        run = _run(
            instance,
            job,
            tell,
            selection=None if is_last else partitioned,
            partitions=found,
            run_config=config(found),
            tags=range_tags(found),
        )
        runs.append(run)
        if not run.succeeded and "source_files" in run.summaries:
            return runs
    if not runs or (not runs[-1].succeeded and any(run.succeeded for run in runs)):
        runs.append(_run(instance, job, tell, selection=whole))
    return runs


def evaluate_suites(
    instance: dg.DagsterInstance,
    suites: Sequence[str],
    config: Mapping[str, Any],
    tell: Tell,
    definitions: dg.Definitions | None = None,
) -> JobRun:
    """Run ``evaluate_job`` for some suites of the definitions, each configured alike."""
    close_dead_runs(instance)
    job = repository_of(definitions).get_job("evaluate_job")
    names = [f"{suite}_results" for suite in suites]
    return _run(
        instance,
        job,
        tell,
        selection=[dg.AssetKey(name) for name in names],
        run_config={"ops": {name: {"config": dict(config)} for name in names}},
    )


def _run(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    tell: Tell,
    *,
    selection: Sequence[dg.AssetKey] | None,
    partitions: tuple[str, ...] = (),
    run_config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> JobRun:
    what = range_name(partitions) if partitions else job.name
    run = JobRun(str(uuid.uuid4()), what, partitions)
    instance.add_event_listener(run.run_id, lambda entry: heard(entry, run, tell))
    result = job.execute_in_process(
        instance=instance,
        partition_key=partitions[0] if len(partitions) == 1 else None,
        asset_selection=selection,
        run_id=run.run_id,
        run_config={**QUIET, **(run_config or {})},
        raise_on_error=False,
        tags={**(tags or {}), **NO_RETRY, **process_tag(run.run_id, os.getpid())},
    )
    run.succeeded = result.success
    return run
