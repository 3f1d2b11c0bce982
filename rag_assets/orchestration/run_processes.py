"""Runs on this machine: each is a process that its run's tag names, and is closed when that dies.

Dagster's own launcher makes a run a child of the code server, and only that server, while it lives,
notices the child's death. Here whoever reads the tag can tell: Dagster's monitoring, which looks
every few seconds while the daemon runs, and ``close_dead_runs`` at ``rag up``, at a command's start
and at a sensor's tick. A run that was closed begins again where ``run_retries`` says so.
"""

import os
import signal
import socket
import subprocess

import dagster as dg
import psutil

from rag_assets.orchestration.dagster_private import (
    CheckRunHealthResult,
    ExecuteRunArgs,
    LaunchRunContext,
    RunLauncher,
    WorkerStatus,
)
from rag_assets.orchestration.places import RUN
from rag_assets.process_identity import ProcessId, identity, is_alive

PROCESS = "rag/process"  # tag: pid, ticks, start of the machine, its name, and the run's own id
NO_RETRY = {"dagster/max_retries": "0"}  # tag of runs that somebody else begins again
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,  # a command's, or one that no launcher has taken yet
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def process_tag(run_id: str, pid: int) -> dict[str, str]:
    """The tag of a run that this process of this machine executes.

    It names the run, because one that is executed again takes its tags over from the first.
    """
    return {PROCESS: f"{identity(pid)} {socket.gethostname()} {run_id}"}


def process_of(run: dg.DagsterRun) -> ProcessId | None:
    """The run's process, if it is one of this machine; by name, so two need names of their own."""
    said = run.tags.get(PROCESS, "").split()
    is_here = said[3:] == [socket.gethostname(), run.run_id]
    return ProcessId.parse(" ".join(said[:3])) if is_here else None


def death_of(run: dg.DagsterRun) -> str:
    """That the run's process is gone, as a sentence; "" while it lives or is not known here.

    What the process left behind, as the workers of its steps, is ended: it must not go on beside
    the run that takes its place.
    """
    process = process_of(run)
    if process is None or is_alive(process):
        return ""
    for left in psutil.process_iter(["environ"]):
        if (left.info["environ"] or {}).get(RUN) == run.run_id:
            left.kill()
    return (
        f"its process {process.pid} on {socket.gethostname()} is gone: it was killed, or the "
        "machine was started again"
    )


def close_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """End, in Dagster's storage, runs whose process on this machine is gone; their ids."""
    closed = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED)):
        why = death_of(run)
        state = instance.get_run_by_id(run.run_id) if why else None  # it may have come to its end
        if state is not None and not state.is_finished:
            close(instance, state, why)
            closed.append(run.run_id)
    return closed


def close(instance: dg.DagsterInstance, run: dg.DagsterRun, why: str) -> None:
    """Mark a run as canceled, if it was to be, or else as failed."""
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, why)
    else:
        instance.report_run_failed(run, why)


class LocalLauncher(RunLauncher):
    """A process of this machine for each run, which lives on without who launched it."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the process and write into the run which one it is."""
        run_id = context.dagster_run.run_id
        origin = context.job_code_origin
        if origin is None:
            raise RuntimeError(f"run {run_id} does not say which code it is of; launch it anew")
        command = ExecuteRunArgs(origin, run_id, self._instance.get_ref()).get_command_args()
        if command[0] == "dagster":  # found without an environment that is activated
            command = [origin.executable_path, "-m", *command]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # no signal of a terminal's keys
            env={**os.environ, RUN: run_id},
        )
        self._instance.add_run_tags(run_id, process_tag(run_id, process.pid))

    def terminate(self, run_id: str) -> bool:
        """Interrupt the run's process; whether it is one of this machine's."""
        run = self._instance.get_run_by_id(run_id)
        process = None if run is None or run.is_finished else process_of(run)
        if run is None or process is None:
            return False
        self._instance.report_run_canceling(run)
        why = death_of(run)
        if why:
            self._instance.report_run_canceled(run, why)
        else:
            os.kill(process.pid, signal.SIGINT)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """So that monitoring asks."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether its process lives; that of another machine is taken to do so."""
        why = death_of(run)
        status = WorkerStatus.NOT_FOUND if why else WorkerStatus.RUNNING
        return CheckRunHealthResult(status, why)
