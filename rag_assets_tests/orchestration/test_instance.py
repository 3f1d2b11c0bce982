"""Dagster's storage: SQLite without a word, a real PostgreSQL where a URL says so."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from rag_assets.orchestration.instance import open_instance
from rag_assets.orchestration.partitions import range_tags


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.delenv("RAG_POSTGRES_URL", raising=False)
    monkeypatch.setenv("DAGSTER_HOME", "")  # restored after the test, whatever it sets
    return tmp_path


@dg.op
def nothing() -> None:
    """Does nothing."""


@dg.job
def small_job() -> None:
    nothing()


def storage(instance: dg.DagsterInstance) -> str:
    return instance.info_dict()["run_storage"]


def test_sqlite_where_no_url_is_set(home: Path) -> None:
    with open_instance() as instance:
        assert storage(instance) == "SqliteRunStorage"
        result = small_job.execute_in_process(instance=instance)
        assert instance.get_run_by_id(result.run_id) is not None
    assert (home / "dagster" / "history").is_dir()


@pytest.mark.postgres
def test_postgres_where_a_url_is_set(
    home: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("RAG_POSTGRES_URL", postgres_url)
    with open_instance() as instance:
        assert storage(instance) == "PostgresRunStorage"
        run_id = small_job.execute_in_process(instance=instance).run_id
        instance.add_dynamic_partitions("corpus", ["docs.0"])
    with open_instance() as again:  # another connection: it is in the server, not in memory
        run = again.get_run_by_id(run_id)
        assert run is not None
        assert run.is_success
        assert again.get_dynamic_partitions("corpus") == ["docs.0"]
    assert not (home / "dagster" / "history").exists()


@dg.asset(
    partitions_def=dg.StaticPartitionsDefinition(["a", "b", "c"]),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def parted() -> None:
    """Has three partitions."""


@pytest.mark.postgres
def test_events_of_a_range_go_to_postgres_in_one_statement(
    home: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("RAG_POSTGRES_URL", postgres_url)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "restored after the test")
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE")
    sizes: list[int] = []
    with open_instance() as instance:
        monkeypatch.setattr(
            instance.event_log_storage,
            "store_event_batch",
            lambda events, store=instance.event_log_storage.store_event_batch: (
                sizes.append(len(events)),
                store(events),
            ),
        )
        tags = range_tags(["a", "c"])
        assert dg.materialize([parted], instance=instance, tags=tags).success
        assert instance.get_materialized_partitions(dg.AssetKey("parted")) == {"a", "b", "c"}
    assert sizes == [3, 3]  # that they are planned, and that they came


def test_dagster_cli_in_the_checkout_sees_the_same_runs(home: Path) -> None:
    """As `dagster dev` does: no DAGSTER_HOME, the folder's dagster.yaml."""
    with open_instance() as instance:
        run_id = small_job.execute_in_process(instance=instance).run_id
    code = (
        "from dagster._cli.utils import get_possibly_temporary_instance_for_cli as get\n"
        f"with get() as instance: print(instance.get_run_by_id({run_id!r}).job_name)"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "RAG_POSTGRES_URL")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=env,
    )
    assert done.stdout.strip() == "small_job", done.stderr
