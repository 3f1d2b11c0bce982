"""What one run of a job did, told from Dagster's events."""

import logging
from collections import Counter
from dataclasses import dataclass, field

import dagster as dg
from dagster import DagsterEventType, EventLogEntry

from rag_assets.orchestration.assets import SUMMED
from rag_assets.progress import Tell


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

    @property
    def said(self) -> str:
        """Why it failed, a line an error."""
        return "\n  ".join(self.errors) or "see its log"


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
