"""Refresh on a cluster: several runs over partitions at once, then one run that publishes.

A run takes one partition while partitions are few, so that all nodes have work and a dead node
costs little. They are few while each of the concurrent runs would have at most ``RUNS_A_SLOT`` of
them. Beyond that a run takes a range of up to ``PARTITIONS_PER_RUN``, because a run costs seconds
to start.

The command launches runs through the instance's run launcher, follows their events and ends with
them. If the command is killed, the runs go on, and the next refresh waits for their locks. If a
run's node dies, the run is closed as failed and launched again; it continues with what the dead one
had committed. A stage that fails by itself is not tried again, because it would fail again.
"""

import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import dagster as dg

from rag_assets.orchestration.dagster_private import (
    PARTITION_NAME_TAG,
    ReconstructableRepository,
    get_python_environment_entry_point,
)
from rag_assets.orchestration.following import POLL_S, Followed
from rag_assets.orchestration.job_run import JobRun
from rag_assets.orchestration.partitions import (
    PARTITIONS_PER_RUN,
    partition_ranges,
    range_name,
    range_tags,
)
from rag_assets.progress import Tell
from rag_assets.settings import load_settings

RUNS_A_SLOT = 8  # while the last run ends the others idle for an eighth of the time at most
LAUNCHES = 3  # of one partition's run; a third dead node is no accident


Config = Callable[[Sequence[str]], Mapping[str, Any]]  # partitions -> run config


@dataclass(slots=True)
class _Launched:
    """A run on the cluster, and the ones before it that died with their nodes."""

    followed: Followed
    selection: frozenset[dg.AssetKey]
    config: Config
    n_launches: int = 0

    @property
    def run(self) -> JobRun:
        """What the last launch did."""
        return self.followed.run


def refresh_on_cluster(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    partitions: Sequence[str],
    tell: Tell,
    *,
    partitioned: Sequence[dg.AssetKey],
    config: Config,
    needed: Set[str] | None = None,
) -> list[JobRun]:
    """Run ``job`` for these partitions, at most ``RAG_RUNS_AT_ONCE`` at a time.

    The instance's run launcher must be able to tell dead workers. The ``partitioned`` assets run
    with each range of partitions that are ``needed`` (None: all), the others at the end. ``config``
    is asked at each launch.

    Returns:
        One run a range and, if none failed by itself, the one that published. A failure that
        ended the refresh is last.
    """
    cluster = _Cluster(instance, job, tell)
    runs_at_once = load_settings().runs_at_once
    n_needed = len(partitions) if needed is None else len(needed)
    waiting = deque(
        _Launched(Followed(JobRun("", range_name(keys), keys)), frozenset(partitioned), config)
        for keys in partition_ranges(
            instance, partitions, partitions_per_run(n_needed, runs_at_once), needed
        )
    )
    flying: list[_Launched] = []
    done: list[JobRun] = []
    broken: list[JobRun] = []
    while flying or (waiting and not broken):
        while waiting and not broken and len(flying) < runs_at_once:
            flying.append(cluster.launch(waiting.popleft()))
        time.sleep(POLL_S)
        for one in [one for one in flying if cluster.has_ended(one)]:
            flying.remove(one)
            is_broken = not one.run.succeeded and "source_files" in one.run.summaries
            (broken if is_broken else done).append(one.run)
    if not broken and (not done or any(run.succeeded for run in done)):
        whole = frozenset(job.asset_layer.executable_asset_keys) - frozenset(partitioned)
        last = cluster.launch(_Launched(Followed(JobRun("", job.name)), whole, lambda _: {}))
        while not cluster.has_ended(last):
            time.sleep(POLL_S)
        done.append(last.run)
    return done + broken


def partitions_per_run(n_partitions: int, runs_at_once: int) -> int:
    """How many partitions a run takes on a cluster; see the module."""
    return min(max(n_partitions // (runs_at_once * RUNS_A_SLOT), 1), PARTITIONS_PER_RUN)


class _Cluster:
    """Launches runs of one job and follows them."""

    def __init__(self, instance: dg.DagsterInstance, job: dg.JobDefinition, tell: Tell) -> None:
        self._instance = instance
        self._job = job
        self._tell = tell
        # As Dagster's code servers name it: Ray's shell need not have the environment on its PATH.
        repository = ReconstructableRepository.for_module(*load_settings().definitions)._replace(
            entry_point=get_python_environment_entry_point(sys.executable)
        )
        self._origin = repository.get_reconstructable_job(job.name).get_python_origin()

    def launch(self, one: _Launched) -> _Launched:
        parent = one.run.run_id or None
        one.run.run_id = str(uuid.uuid4())
        one.n_launches += 1
        tags = range_tags(one.run.partitions)
        if len(one.run.partitions) == 1:
            tags[PARTITION_NAME_TAG] = one.run.partitions[0]
        self._instance.create_run_for_job(
            self._job.get_subset(asset_selection=one.selection),
            run_id=one.run.run_id,
            run_config=one.config(one.run.partitions),
            tags=tags,
            parent_run_id=parent,
            root_run_id=parent,
            asset_selection=one.selection,
            job_code_origin=self._origin,
        )
        # A launcher that asks for the workspace wants a code server of this machine.
        self._instance.launch_run(one.run.run_id, workspace=None)  # type: ignore[arg-type]
        self._tell(f"{one.run.what}: run {one.run.run_id} launched")
        return one

    def has_ended(self, one: _Launched) -> bool:
        """Tell what happened since the last look; a run that died with its node starts again."""

        def tell(text: str) -> None:
            self._tell(f"{one.run.what}: {text.strip()}")

        if not one.followed.has_ended(self._instance, tell):
            return False
        if not one.followed.died:
            return True
        tell(one.followed.died)
        one.run.errors.append(f"run {one.run.run_id}: {one.followed.died}")
        if one.n_launches == LAUNCHES:
            return True
        one.followed = Followed(JobRun(one.run.run_id, one.run.what, one.run.partitions))
        self.launch(one)
        return False
