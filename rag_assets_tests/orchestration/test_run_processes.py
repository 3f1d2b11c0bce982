"""Runs are known by their processes, and closed when these are gone."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from rag_assets.orchestration.instance import open_instance
from rag_assets.orchestration.run_processes import (
    NO_RETRY,
    PROCESS,
    RUN,
    close_dead_runs,
    death_of,
    process_of,
    process_tag,
)
from rag_assets.process_identity import identity

FAILURE, CANCELED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED
ONE, PARENT, ELSEWHERE = (str(uuid4()) for _ in range(3))
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@dg.op
def nothing() -> None:
    """Does nothing."""


@dg.job
def small_job() -> None:
    nothing()


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.delenv("RAG_POSTGRES_URL", raising=False)
    monkeypatch.delenv("RAG_RUN_LAUNCHER", raising=False)
    monkeypatch.setenv("DAGSTER_HOME", "")  # restored after the test, whatever it sets
    with open_instance() as opened:
        yield opened


def dead_tag(run_id: str) -> dict[str, str]:
    with subprocess.Popen(SLEEP) as process:
        tag = process_tag(run_id, process.pid)
        process.kill()
    return tag


def made(
    instance: dg.DagsterInstance,
    tags: dict[str, str],
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    run_id: str = ONE,
) -> dg.DagsterRun:
    return instance.create_run_for_job(small_job, run_id=run_id, status=status, tags=tags)


def status(instance: dg.DagsterInstance, run_id: str = ONE) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run
    return run.status


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (dg.DagsterRunStatus.NOT_STARTED, FAILURE),
        (dg.DagsterRunStatus.STARTING, FAILURE),
        (dg.DagsterRunStatus.STARTED, FAILURE),
        (dg.DagsterRunStatus.CANCELING, CANCELED),
        (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.SUCCESS),
    ],
)
def test_a_run_whose_process_is_gone_is_closed(
    instance: dg.DagsterInstance, before: dg.DagsterRunStatus, after: dg.DagsterRunStatus
) -> None:
    tag = dead_tag(ONE)
    made(instance, tag, before)
    assert close_dead_runs(instance) == ([ONE] if before != after else [])
    assert status(instance) == after
    said = [entry.message for entry in instance.all_logs(ONE)]
    is_said = any(f"process {tag[PROCESS].split()[0]} on {socket.gethostname()}" in m for m in said)
    assert is_said == (before != after)
    assert close_dead_runs(instance) == []


def test_who_lives_or_is_not_known_here_is_left_alone(instance: dg.DagsterInstance) -> None:
    made(instance, process_tag(ONE, os.getpid()))
    made(instance, {}, run_id=str(uuid4()))
    other = dead_tag(ELSEWHERE)[PROCESS].replace(socket.gethostname(), "another-host")
    made(instance, {PROCESS: other}, run_id=ELSEWHERE)
    made(instance, dead_tag(PARENT), run_id=str(uuid4()))  # tags go over to who is run again
    assert close_dead_runs(instance) == []


def test_after_another_start_of_the_machine_all_runs_of_before_are_dead(
    instance: dg.DagsterInstance,
) -> None:
    tag = process_tag(ONE, os.getpid())[PROCESS].replace(identity(1).boot_id, "another-boot")
    assert "is gone" in death_of(made(instance, {PROCESS: tag}))


def test_what_a_dead_process_left_behind_is_ended(instance: dg.DagsterInstance) -> None:
    run = made(instance, dead_tag(ONE))
    with (
        subprocess.Popen(SLEEP, env={**os.environ, RUN: ONE}) as left,
        subprocess.Popen(SLEEP, env={**os.environ, RUN: "another"}) as other,
    ):
        assert death_of(run)
        assert left.wait() < 0
        assert other.poll() is None
        other.kill()


def test_a_commands_run_is_known_and_never_begun_again_by_the_daemon(
    instance: dg.DagsterInstance,
) -> None:
    from rag_assets.orchestration.in_process import _run

    done = _run(instance, small_job, print, selection=None)
    run = instance.get_run_by_id(done.run_id)
    assert run
    assert process_of(run) == identity(os.getpid())
    assert NO_RETRY.items() <= run.tags.items()
