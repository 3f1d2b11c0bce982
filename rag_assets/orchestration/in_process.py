"""Run jobs in this process, as Dagster runs that its UI shows: refreshes and evaluations."""

import logging
import os
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import psutil
from dagster import DagsterEventType, EventLogEntry

from rag_assets.definitions import defs
from rag_assets.lake.resource import SUMMED
from rag_assets.models.engines.state import is_same_process
from rag_assets.orchestration.executors import PROCESS, is_clustered
from rag_assets.sources.catalog import source_name
from rag_assets.sources.resource import (
    corpus_partitions,
    partition_ranges,
    range_name,
    range_tags,
)

Tell = Callable[[str], None]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(slots=True)
class JobRun:
    """What one run of a job did."""

    run_id: str
    what: str  # its partition or range of partitions, or the job's name
    partitions: tuple[str, ...] = ()
    succeeded: bool = False
    summaries: dict[str, str] = field(default_factory=dict)  # asset -> its summary
    texts: dict[str, dict[str, str]] = field(default_factory=dict)  # asset -> its Markdown entries
    errors: list[str] = field(default_factory=list)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)  # asset -> its numbers
    n_heard: Counter[str] = field(default_factory=Counter)  # asset -> materialisations
    seconds: dict[str, float] = field(default_factory=dict)  # step that succeeded -> its time


def refresh_partitions(
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
    _close_dead_runs(instance)
    repository = defs().get_repository_def()
    job = repository.get_job("refresh_job")
    graph = repository.asset_graph
    keys = job.asset_layer.executable_asset_keys
    partitioned = [key for key in keys if graph.get(key).partitions_def == corpus_partitions]
    accepted = {"ops": {"source_files": {"config": {"accept_deletions": True}}}}
    config = accepted if accept_deletions else None
    if is_clustered():
        from rag_assets.orchestration.on_cluster import refresh_on_cluster  # it needs this module

        return refresh_on_cluster(
            instance,
            job,
            partitions,
            tell,
            partitioned=partitioned,
            run_config=config,
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
            run_config=config,
            tags={"source": source_name(found[0]), **range_tags(found)},
        )
        runs.append(run)
        if not run.succeeded and "source_files" in run.summaries:
            return runs
    if not runs or (not runs[-1].succeeded and any(run.succeeded for run in runs)):
        runs.append(_run(instance, job, tell, selection=whole))
    return runs


def evaluate_suites(
    instance: dg.DagsterInstance, suites: Sequence[str], config: Mapping[str, Any], tell: Tell
) -> JobRun:
    """Run ``evaluate_job`` for these suites, each configured alike."""
    _close_dead_runs(instance)
    job = defs().get_repository_def().get_job("evaluate_job")
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
        tags={**(tags or {}), PROCESS: f"{os.getpid()} {psutil.Process().create_time()}"},
    )
    run.succeeded = result.success
    return run


def _close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs of killed commands as failed; nobody else would, and they would show as running."""
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    for run in instance.get_runs(filters=started):
        pid, _, began = run.tags.get(PROCESS, "").partition(" ")
        if pid and not is_same_process(int(pid), float(began)):
            instance.report_run_failed(run, f"process {pid} was killed")


def heard(entry: EventLogEntry, run: JobRun, tell: Tell) -> None:
    """Turn Dagster's events into the few lines that a person at a terminal wants."""
    event = entry.dagster_event
    if event is None:
        if entry.user_message and int(entry.level) >= logging.INFO:
            tell(f"  {entry.step_key or ''}: {entry.user_message}")
        return
    if event.event_type == DagsterEventType.STEP_START:
        tell(f"{event.step_key} ...")
    elif event.event_type == DagsterEventType.ASSET_MATERIALIZATION:
        materialization = event.step_materialization_data.materialization
        name = materialization.asset_key.to_user_string()
        summary = materialization.metadata.get("summary")
        run.summaries[name] = "" if summary is None else str(summary.value)
        run.texts[name] = {
            label: str(value.value)
            for label, value in materialization.metadata.items()
            if isinstance(value, dg.MarkdownMetadataValue)
        }
        known = run.figures.setdefault(name, {})
        for label, value in materialization.metadata.items():
            if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue) and (
                value.value is not None
            ):
                so_far = known.get(label, 0) if label in SUMMED else 0
                known[label] = so_far + value.value
        run.n_heard[name] += 1
        # Of a range every partition has an event, and what changed is in the asset's log line.
        is_whole = materialization.partition is None or run.n_heard[name] == len(run.partitions)
        if is_whole and "dagster/row_count" in known:
            tell(f"  {name} has {known['dagster/row_count']} rows")
    elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
        check = event.asset_check_evaluation_data
        tell(f"  check {check.check_name}: {'passed' if check.passed else 'FAILED'}")
        if not check.passed:
            run.errors.append(f"check {check.check_name} failed: {check.description}")
    elif event.event_type == DagsterEventType.STEP_SUCCESS:
        run.seconds[event.step_key or ""] = event.step_success_data.duration_ms / 1000
    elif event.event_type == DagsterEventType.STEP_FAILURE:
        failure = event.step_failure_data
        error = failure.error.cause or failure.error if failure.error else None
        run.errors.append(f"{event.step_key}: {error.message.strip() if error else 'failed'}")
