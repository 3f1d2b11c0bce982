"""Refresh on a real Ray cluster of two nodes: equal to the local one, also if a node dies.

Runs are kept in PostgreSQL, as nodes that share no disk need. Vectors come from a stand-in, and the
corpus is a part of the sample; ``python -m rag_assets_tests.sample_on_ray`` takes the whole sample
and the real embedder.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import dagster as dg
import pytest
from dagster import DagsterEventType
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.origin import get_python_environment_entry_point
from dagster._core.storage.tags import PARTITION_NAME_TAG

from rag_assets.definitions import defs
from rag_assets.lake.generations import live_generation
from rag_assets.lake.store import LakeStore
from rag_assets.orchestration.in_process import JobRun, run_refresh_job
from rag_assets.orchestration.instance import open_instance
from rag_assets.orchestration.partitions import corpus_partitions
from rag_assets.settings import CHECKOUT, load_settings
from rag_assets_tests.clusters import HEAD_ONLY, TwoNodes, two_nodes
from rag_assets_tests.embedding_server import embedding_server
from rag_assets_tests.servers import s3_server
from rag_assets_tests.tables import assert_equal_lakes, content

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.long]

N_PARTITIONS = 2
BUCKET = "lakes"
SOURCES = f"""
sources:
  - name: sample
    kind: folder
    where: {CHECKOUT}/data/sample/corpus
    include: ["vessels/**", "it/**", "harbours/**"]
    buckets: {N_PARTITIONS}
    enrich: false
"""


@dataclass
class Clustered:
    """A cluster and what its nodes were started with."""

    home: Path
    gate: Event
    nodes: TwoNodes
    told: list[str] = field(default_factory=list)

    def refresh(self, patch: pytest.MonkeyPatch, lake: LakeStore, launcher: str) -> list[JobRun]:
        patch.setenv("RAG_LAKE", lake.uri)
        patch.setenv("RAG_RUN_LAUNCHER", launcher)
        partitions = [f"sample.{n}" for n in range(N_PARTITIONS)]
        with open_instance() as instance:
            return run_refresh_job(instance, partitions, self.told.append)

    def store(self, lake: str) -> LakeStore:
        return LakeStore(str(self.home / lake))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Clustered]:
    home = tmp_path_factory.mktemp("ray-home")
    (home / "sources.yaml").write_text(SOURCES)
    with (
        pytest.MonkeyPatch.context() as patch,
        embedding_server(home / "run") as gate,
        s3_server(tmp_path_factory.mktemp("s3"), BUCKET) as s3,
    ):
        for name, value in s3.items():
            patch.setenv(name, value)
        patch.setenv("RAG_HOME", str(home))
        patch.setenv("RAG_POSTGRES_URL", postgres_url)
        patch.setenv("RAG_PROFILE", "cpu")
        patch.setenv("RAG_RUNS_AT_ONCE", "2")
        patch.setenv("DAGSTER_HOME", "")  # restored after the test, whatever sets it
        for name in ("RAG_STATE", "RAG_EXECUTOR"):
            patch.delenv(name, raising=False)
        with two_nodes() as nodes:
            yield Clustered(home, gate, nodes)


@pytest.fixture(scope="module")
def local(cluster: Clustered) -> LakeStore:
    """What this process makes alone: a folder, SQLite."""
    store = cluster.store("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAG_POSTGRES_URL")
        runs = cluster.refresh(patch, store, "default")
    assert all(run.succeeded for run in runs), [run.errors for run in runs]
    return store


def test_two_nodes_on_s3_and_postgres_make_what_one_process_makes(
    cluster: Clustered, local: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = LakeStore(f"s3://{BUCKET}/cluster")
    runs = cluster.refresh(monkeypatch, remote, "ray")
    assert [run.errors for run in runs] == [[]] * (N_PARTITIONS + 1)
    assert [run.what for run in runs][-1] == "refresh_job"  # one run indexes and publishes
    assert len(cluster.nodes.nodes_used()) == 2
    assert_equal_lakes(remote, local)
    published, expected = live_generation(remote), live_generation(local)
    assert published is not None
    assert expected is not None
    assert published.data_version == expected.data_version
    with open_instance() as instance:
        assert instance.info_dict()["run_storage"] == "PostgresRunStorage"
        assert {run.run_id for run in runs} <= {run.run_id for run in instance.get_runs()}


def test_a_node_killed_in_mid_run_costs_nothing_but_time(
    cluster: Clustered, local: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both nodes are amid a partition when one of them goes; runs after the test above."""
    lake = cluster.store("survivor")
    cluster.gate.clear()  # every run stops where it asks for its first vectors

    def pull_the_plug() -> None:
        while len(lake.partitions("chunks")) < 2:
            time.sleep(0.1)
        cluster.nodes.kill_worker()
        cluster.gate.set()

    killer = Thread(target=pull_the_plug, daemon=True)
    killer.start()
    cluster.told.clear()
    runs = cluster.refresh(monkeypatch, lake, "ray")
    killer.join(10)
    deaths = [line for line in cluster.told if "its worker died" in line]
    assert len(deaths) == 1, deaths
    assert [run.errors for run in runs] == [[]] * (N_PARTITIONS + 1)
    assert_equal_lakes(lake, local)
    with open_instance() as instance:
        again = [run for run in instance.get_runs() if run.parent_run_id]
        assert len(again) == 1
        dead = instance.get_run_by_id(again[0].parent_run_id or "")
        assert dead is not None
        assert dead.is_failure


def wait_until(is_true: Callable[[], bool]) -> None:
    """Ends with an error after five minutes: nobody else would tell that a cluster hangs."""
    end = time.monotonic() + 300
    while not is_true():
        if time.monotonic() > end:
            raise TimeoutError("the cluster did not get there within five minutes")
        time.sleep(0.2)


def steps(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: DagsterEventType) -> list[str]:
    """Steps that had an event of this kind, in the order of the events."""
    page = instance.get_records_for_run(run.run_id, of_type=kind)
    return [record.event_log_entry.step_key or "" for record in page.records]


def is_finished(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    state = instance.get_run_by_id(run.run_id)
    return state is not None and state.is_finished


def test_a_step_whose_node_died_begins_again(
    cluster: Clustered, local: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor ``ray``, for one stage of one partition; those before it are made here.

    The test above leaves the cluster without a worker.
    """
    lake = cluster.store("steps")
    monkeypatch.setenv("RAG_LAKE", lake.uri)
    monkeypatch.setenv("RAG_RUN_LAUNCHER", "ray")
    monkeypatch.setenv("RAG_EXECUTOR", "ray")
    job = defs().get_repository_def().get_job("refresh_job")
    assets = ["source_files", "documents", "rejected_documents", "sections", "chunks"]
    here = [dg.AssetKey(name) for name in assets]
    there = frozenset([dg.AssetKey("embeddings")])
    jobs = cluster.nodes.jobs()
    cluster.nodes.replace_worker()
    cluster.gate.clear()
    with open_instance() as instance:
        instance.add_dynamic_partitions(str(corpus_partitions.name), ["sample.0"])
        job.execute_in_process(instance=instance, partition_key="sample.0", asset_selection=here)
        # On the head only the run finds room, as it asks for no core; the step goes to the worker.
        filler = jobs.submit_job(
            entrypoint="sleep 300", entrypoint_num_cpus=1, entrypoint_resources=HEAD_ONLY
        )
        repository = ReconstructableRepository.for_module(*load_settings().definitions)._replace(
            entry_point=get_python_environment_entry_point(sys.executable)
        )
        run = instance.create_run_for_job(
            job.get_subset(asset_selection=there),
            asset_selection=there,
            tags={PARTITION_NAME_TAG: "sample.0"},
            job_code_origin=repository.get_reconstructable_job(job.name).get_python_origin(),
        )
        instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type]
        wait_until(lambda: "embeddings" in steps(instance, run, DagsterEventType.STEP_START))
        cluster.nodes.kill_worker()
        jobs.stop_job(filler)
        cluster.gate.set()
        wait_until(lambda: is_finished(instance, run))
        assert steps(instance, run, DagsterEventType.STEP_UP_FOR_RETRY) == ["embeddings"]
        assert steps(instance, run, DagsterEventType.STEP_SUCCESS) == ["embeddings"]
    assert content(lake)["embeddings/sample.0"] == content(local)["embeddings/sample.0"]
