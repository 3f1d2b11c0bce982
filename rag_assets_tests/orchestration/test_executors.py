"""Where runs and steps go is the environment's choice, and the instance of the checkout follows."""

import os
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.dagster_run import DagsterRunStatus

from rag_assets.definitions import defs
from rag_assets.orchestration.executors import chosen_executor
from rag_assets.orchestration.instance import open_instance
from rag_assets.orchestration.run_processes import LocalLauncher, process_tag


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", "")  # restored after the test, whatever it sets
    for name in ("RAG_POSTGRES_URL", "RAG_EXECUTOR", "RAG_RUN_LAUNCHER", "RAG_RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("chosen", "name"),
    [("", "in_process"), ("in-process", "in_process"), ("multiprocess", "multiprocess")],
)
def test_executor_by_name(chosen: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_EXECUTOR", chosen)
    assert chosen_executor().name == name
    assert defs().get_repository_def().get_job("refresh_job").executor_def.name == name


def test_executor_on_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_EXECUTOR", "ray")
    assert defs().get_repository_def().get_job("refresh_job").executor_def.name == "ray"


def test_what_talks_to_the_answerer_stays_in_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from rag_assets.orchestration.on_ray import StepsOnRay, step_executor

    monkeypatch.setenv("RAG_EXECUTOR", "ray")
    monkeypatch.setattr(StepsOnRay, "__init__", lambda *_: None)  # else it asks for the cluster
    repository = defs().get_repository_def()
    chosen = {}
    with open_instance() as instance:
        for name in ("refresh_job", "ask_job", "evaluate_job"):
            job = InMemoryJob(repository.get_job(name))
            context = dg.InitExecutorContext(job, step_executor, {}, instance)
            chosen[name] = type(step_executor.executor_creation_fn(context)).__name__
    assert chosen == {
        "refresh_job": "StepsOnRay",
        "ask_job": "InProcessExecutor",
        "evaluate_job": "InProcessExecutor",
    }


@pytest.mark.parametrize(("executor", "cpus"), [("", 1), ("ray", None)])
def test_a_run_that_waits_for_its_steps_holds_no_core(
    executor: str, cpus: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else as many runs as there are cores would wait for one another for ever."""
    monkeypatch.setenv("RAG_RUN_LAUNCHER", "ray")
    monkeypatch.setenv("RAG_EXECUTOR", executor)
    with open_instance() as instance:
        launcher = instance.run_launcher
        assert launcher.num_cpus == cpus  # type: ignore[attr-defined]
        sent = launcher.env_vars  # type: ignore[attr-defined]
    assert f"RAG_EXECUTOR={executor or 'in-process'}" in sent  # a node may have another
    assert not any("POSTGRES" in name or "AWS" in name for name in sent)  # Ray shows them


def test_runs_stay_here_by_default() -> None:
    with open_instance() as instance:
        assert isinstance(instance.run_launcher, LocalLauncher)


def test_on_ray_only_what_may_be_anywhere_goes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_RUN_LAUNCHER", "ray")
    monkeypatch.setenv("RAG_RAY_ADDRESS", "http://127.0.0.1:1")  # nobody is asked
    with open_instance() as instance:
        from rag_assets.orchestration.on_ray import RayLauncher

        launcher = instance.run_launcher
        assert isinstance(launcher, RayLauncher)
        launched = []
        monkeypatch.setattr(launcher._home, "launch_run", lambda context: launched.append(context))
        monkeypatch.setattr(launcher, "_launch_ray_job", lambda *_: pytest.fail("went to Ray"))
        run = instance.create_run_for_job(answerer_job, status=DagsterRunStatus.NOT_STARTED)
        instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type]
        assert [context.dagster_run.run_id for context in launched] == [run.run_id]
        run_id = str(uuid4())
        tags = process_tag(run_id, os.getpid())
        local = instance.create_run_for_job(refresh_job, run_id=run_id, tags=tags)
        assert launcher.check_run_worker_health(local).status == WorkerStatus.RUNNING


@dg.op
def nothing() -> None:
    """Does nothing."""


@dg.job
def answerer_job() -> None:
    nothing()


@dg.job
def refresh_job() -> None:
    nothing()


def test_dead_runs_begin_again_and_failed_ones_do_not() -> None:
    with open_instance() as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_launcher.supports_check_run_worker_health
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
