"""Follow a run that goes on elsewhere: tell what it does until it ends, or its worker is dead."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dagster as dg

from rag_assets.orchestration.dagster_private import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WorkerStatus,
)
from rag_assets.orchestration.job_run import JobRun, heard
from rag_assets.orchestration.partitions import corpus_partitions, range_name
from rag_assets.orchestration.places import is_clustered
from rag_assets.orchestration.run_processes import PROCESS, close, close_dead_runs, process_of
from rag_assets.progress import Tell

POLL_S = 1.0
# Not those in the queue: nobody may be there to start them. They find nothing left to do.
_AT_WORK = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(slots=True)
class Followed:
    """A run, and how much of it was told."""

    run: JobRun
    died: str = ""  # why it has no worker any more
    cursor: str | None = None

    def has_ended(self, instance: dg.DagsterInstance, tell: Tell) -> bool:
        """Tell what happened since the last look. One whose worker ``died`` is closed as failed."""
        launcher, died = instance.run_launcher, ""
        if launcher.supports_check_run_worker_health:
            health = launcher.check_run_worker_health(self._state(instance))
            if health.status not in (WorkerStatus.RUNNING, WorkerStatus.SUCCESS):
                died = f"its worker died: {health.msg}"
        state = self._state(instance)  # read again: it may have ended in between
        self._tell_more(instance, tell)
        if died and not state.is_finished:
            close(instance, state, died)
            self.died = died
        self.run.succeeded = state.is_success
        return state.is_finished or bool(died)

    def _state(self, instance: dg.DagsterInstance) -> dg.DagsterRun:
        run = instance.get_run_by_id(self.run.run_id)
        if run is None:
            raise RuntimeError(f"run {self.run.run_id} was removed from Dagster's storage")
        return run

    def _tell_more(self, instance: dg.DagsterInstance, tell: Tell) -> None:
        has_more = True
        while has_more:
            page = instance.get_records_for_run(self.run.run_id, cursor=self.cursor)
            for record in page.records:
                heard(record.event_log_entry, self.run, tell)
            self.cursor, has_more = page.cursor, page.has_more


def follow_others(
    instance: dg.DagsterInstance, partitions: Iterable[str], tell: Tell
) -> list[JobRun]:
    """Follow, until they end or die, the runs that are at work on any of these partitions.

    One of which nobody here can tell whether it lives is not waited for; the lake's locks keep two
    from doing the same.
    """
    close_dead_runs(instance)
    followed, asked = [], set(partitions)
    # The oldest first: a younger one may wait at a lock for it.
    for state in reversed(instance.get_runs(filters=dg.RunsFilter(statuses=_AT_WORK))):
        others = partitions_of(instance, state)
        is_known = process_of(state) is not None or (is_clustered() and PROCESS not in state.tags)
        is_asked = asked.intersection(others) or (state.job_name == "refresh_job" and not others)
        if not (is_known and is_asked):
            continue
        tell(f"run {state.run_id} refreshes it already; following it")
        one = Followed(JobRun(state.run_id, range_name(others) if others else state.job_name))
        while not one.has_ended(instance, tell):
            time.sleep(POLL_S)
        outcome = "it is done" if one.run.succeeded else one.died or "it did not come to its end"
        tell(f"run {state.run_id}: {outcome}")
        followed.append(one.run)
    return followed


def partitions_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Sequence[str]:
    """The partitions that a run works on; none of one that works on the whole corpus."""
    if PARTITION_NAME_TAG in run.tags:
        return [run.tags[PARTITION_NAME_TAG]]
    first = run.tags.get(ASSET_PARTITION_RANGE_START_TAG)
    last = run.tags.get(ASSET_PARTITION_RANGE_END_TAG)
    registered = instance.get_dynamic_partitions(str(corpus_partitions.name))
    if first not in registered or last not in registered:
        return []
    return registered[registered.index(first) : registered.index(last) + 1]
