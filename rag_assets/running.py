"""Run jobs in this process, as Dagster runs that its UI shows: refreshes and evaluations."""

import logging
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import psutil
from dagster import DagsterEventType, EventLogEntry

from rag_assets.definitions import defs
from rag_assets.execution import PROCESS, is_clustered
from rag_assets.lake.generations import live
from rag_assets.lake.store import LakeStore
from rag_assets.models.engine_state import is_same_process
from rag_assets.settings import Settings
from rag_assets.sources import ingest
from rag_assets.sources.catalog import Source, SourceError, catalog, source_name
from rag_assets.sources.listing import states
from rag_assets.sources.resource import corpus_partitions

Tell = Callable[[str], None]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(slots=True)
class JobRun:
    """What one run of a job did."""

    run_id: str
    what: str  # its partition, or the job's name
    succeeded: bool = False
    summaries: dict[str, str] = field(default_factory=dict)  # asset -> its summary
    texts: dict[str, dict[str, str]] = field(default_factory=dict)  # asset -> its Markdown entries
    errors: list[str] = field(default_factory=list)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)  # asset -> its numbers
    seconds: dict[str, float] = field(default_factory=dict)  # step that succeeded -> its time


def refresh_partitions(
    instance: dg.DagsterInstance,
    partitions: Sequence[str],
    tell: Tell,
    *,
    accept_deletions: bool = False,
) -> list[JobRun]:
    """Run ``refresh_job`` for these partitions, one run each.

    All but the last run hold the partitioned stages only; the last one goes on to build, evaluate
    and publish one index for all of them. On a cluster they run beside one another, and a run of
    its own indexes and publishes; see ``distributing``. A source that cannot be read, or lists far
    less than it held (unless ``accept_deletions``), stays as it is stored and the others go on; any
    other failure ends it.
    """
    _close_dead_runs(instance)
    instance.add_dynamic_partitions(str(corpus_partitions.name), list(partitions))
    repository = defs().get_repository_def()
    job = repository.get_job("refresh_job")
    graph = repository.asset_graph
    keys = job.asset_layer.executable_asset_keys
    partitioned = [key for key in keys if graph.get(key).partitions_def == corpus_partitions]
    accepted = {"ops": {"source_files": {"config": {"accept_deletions": True}}}}
    config = accepted if accept_deletions else None
    if is_clustered():
        from rag_assets.distributing import refresh_on_cluster  # it needs this module

        return refresh_on_cluster(
            instance, job, partitions, tell, partitioned=partitioned, run_config=config
        )
    runs = []
    for position, partition in enumerate(partitions):
        is_last = position == len(partitions) - 1
        run = _run(
            instance,
            job,
            tell,
            selection=None if is_last else partitioned,
            partition=partition,
            run_config=config,
            tags={"source": source_name(partition)},
        )
        runs.append(run)
        if not run.succeeded and "source_files" in run.summaries:
            return runs
    if not runs[-1].succeeded and any(run.succeeded for run in runs):
        whole = [key for key in keys if key not in partitioned]
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
    partition: str | None = None,
    run_config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> JobRun:
    run = JobRun(str(uuid.uuid4()), partition or job.name)
    instance.add_event_listener(run.run_id, lambda entry: heard(entry, run, tell))
    result = job.execute_in_process(
        instance=instance,
        partition_key=partition,
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
        rows = materialization.metadata.get("dagster/row_count")
        run.summaries[name] = "" if summary is None else str(summary.value)
        run.texts[name] = {
            label: str(value.value)
            for label, value in materialization.metadata.items()
            if isinstance(value, dg.MarkdownMetadataValue)
        }
        run.figures[name] = {
            label: value.value
            for label, value in materialization.metadata.items()
            if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
            and value.value is not None
        }
        if rows is not None:  # what changed is in the asset's log line
            tell(f"  {name} has {rows.value} rows")
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


def has_work(
    settings: Settings, partitions: Sequence[str], *, accept_deletions: bool = False
) -> bool:
    """Whether models may be needed: a listing differs from what is stored, or nothing is live.

    Reads listings only, and of a web source nothing, as only asking for its pages would tell. A
    change of code or model shows later, in the stages; a run that needs an engine which does not
    run then fails with a sentence that says so.
    """
    store = LakeStore(settings.lake_uri)
    if live(store) is None:
        return True
    known = catalog(settings.sources_file, store)
    chosen = [known[name] for name in dict.fromkeys(map(source_name, partitions))]
    return any(_has_changed(store, source, accept_deletions) for source in chosen)


def _has_changed(store: LakeStore, source: Source, accept_deletions: bool) -> bool:
    if source.kind == "web":
        return True
    try:
        listed = states(source)
    except SourceError:
        return False  # its run says so, and needs no engine for that
    if not accept_deletions and ingest.has_shrunk(ingest.n_stored(store, source), len(listed)):
        return False  # it stops at its check
    stored = {
        row["uri"]: row["input_hash"]
        for partition in source.partitions
        for row in store.rows(ingest.TABLE.name, partition, columns=["uri", "input_hash"])
    }
    return listed != stored
