"""A command leaves to another run what that is at work on, and waits for nobody who is dead."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from rag_assets.orchestration import following
from rag_assets.orchestration.instance import open_instance
from rag_assets.orchestration.partitions import corpus_partitions, range_tags
from rag_assets.orchestration.run_processes import process_tag

STARTED, STARTING = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING
Tags = Mapping[str, str]


@dg.op
def nothing() -> None:
    """Does nothing."""


@dg.job
def refresh_job() -> None:
    nothing()


@dg.job
def other_job() -> None:
    nothing()


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", "")  # restored after the test, whatever it sets
    for name in ("RAG_POSTGRES_URL", "RAG_RUN_LAUNCHER"):
        monkeypatch.delenv(name, raising=False)
    with open_instance() as opened:
        keys = [f"docs.{n}" for n in range(4)]
        opened.add_dynamic_partitions(str(corpus_partitions.name), keys)
        yield opened


def at_work(
    instance: dg.DagsterInstance,
    tags: Tags,
    job: dg.JobDefinition = refresh_job,
    status: dg.DagsterRunStatus = STARTED,
    pid: int | None = None,
) -> dg.DagsterRun:
    run_id = str(uuid4())
    known = process_tag(run_id, pid or os.getpid())
    return instance.create_run_for_job(job, run_id=run_id, status=status, tags={**known, **tags})


def followed(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[], object],
    partition: str = "docs.1",
) -> tuple[list[bool], str]:
    """Whether those followed succeeded, and what was told; ``end`` is called on the way."""
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            end()

    monkeypatch.setattr(following.time, "sleep", nap)
    told: list[str] = []
    runs = following.follow_others(instance, [partition], told.append)
    return [run.succeeded for run in runs], "\n".join(told)


@pytest.mark.parametrize(
    ("tags", "job"),
    [
        ({"dagster/partition": "docs.1"}, refresh_job),
        ({"dagster/partition": "docs.1"}, other_job),  # as the button of one asset
        (range_tags(["docs.0", "docs.2"]), refresh_job),
        ({}, refresh_job),  # indexes and publishes all
    ],
)
@pytest.mark.parametrize("status", [STARTED, STARTING])
def test_a_run_at_work_is_followed_to_its_end(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    tags: Tags,
    job: dg.JobDefinition,
    status: dg.DagsterRunStatus,
) -> None:
    run = at_work(instance, tags, job, status)

    def end() -> None:
        event = dg.DagsterEvent("PIPELINE_SUCCESS", job.name)
        instance.report_dagster_event(event, run.run_id)

    outcomes, told = followed(instance, monkeypatch, end)
    assert outcomes == [True]
    assert told.startswith(f"run {run.run_id} refreshes it already; following it")
    assert told.endswith("it is done")


@pytest.mark.parametrize(
    ("tags", "job", "status"),
    [
        ({"dagster/partition": "docs.3"}, refresh_job, STARTED),
        (range_tags(["docs.2", "docs.3"]), refresh_job, STARTED),
        ({}, other_job, STARTED),
        ({"dagster/partition": "docs.1"}, refresh_job, dg.DagsterRunStatus.SUCCESS),
        # of another machine: nobody here can tell whether it lives
        ({"dagster/partition": "docs.1", "rag/process": "1 1 x elsewhere x"}, refresh_job, STARTED),
    ],
)
def test_others_are_not(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    tags: Tags,
    job: dg.JobDefinition,
    status: dg.DagsterRunStatus,
) -> None:
    at_work(instance, tags, job, status)
    monkeypatch.setattr(following.time, "sleep", lambda _: pytest.fail("waited"))
    assert following.follow_others(instance, ["docs.1"], lambda _: None) == []


def test_a_run_that_dies_on_the_way_is_closed_and_left(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        run = at_work(instance, {"dagster/partition": "docs.1"}, pid=process.pid)

        def end() -> None:
            process.kill()
            process.wait()

        outcomes, told = followed(instance, monkeypatch, end)
    assert outcomes == [False]
    assert "its worker died" in told
    state = instance.get_run_by_id(run.run_id)
    assert state
    assert state.status == dg.DagsterRunStatus.FAILURE


def test_a_dead_run_is_closed_and_not_waited_for(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        run = at_work(instance, {"dagster/partition": "docs.1"}, pid=process.pid)
        process.kill()
    monkeypatch.setattr(following.time, "sleep", lambda _: pytest.fail("waited"))
    assert following.follow_others(instance, ["docs.1"], lambda _: None) == []
    state = instance.get_run_by_id(run.run_id)
    assert state
    assert state.is_finished
