"""Refresh on a real Ray cluster of two nodes: equal to the local one, also if a node dies.

The nodes are processes of this machine, each with a raylet, agents and workers of its own, which
is what Ray calls a cluster; that they share a disk is why SQLite does for Dagster's storage here.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pytest

from rag_assets.instance import open_instance
from rag_assets.lake.generations import live_generation
from rag_assets.lake.store import LakeStore
from rag_assets.running import JobRun, refresh_partitions
from rag_assets.settings import CHECKOUT
from rag_assets_tests.embedding_server import embedding_server
from rag_assets_tests.tables import assert_equal_lakes

pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = pytest.mark.ray

N_PARTITIONS = 2
SOURCES = f"""
sources:
  - name: sample
    kind: folder
    where: {CHECKOUT}/data/sample/corpus
    include: ["vessels/**", "it/**", "harbours/**"]
    buckets: {N_PARTITIONS}
    enrich: false
"""
OBJECTS_BYTES = 100_000_000  # of Ray's object store, which jobs never use
# A dead node is seen after two seconds; by default after half a minute.
HEALTH = {"period_ms": "500", "failure_threshold": "4", "initial_delay_ms": "1000"}


@dataclass
class Clustered:
    """A cluster and what its nodes were started with."""

    home: Path
    gate: Event
    worker: Any  # Ray's Node
    address: str
    told: list[str] = field(default_factory=list)

    def refresh(self, patch: pytest.MonkeyPatch, lake: str, launcher: str) -> list[JobRun]:
        patch.setenv("RAG_LAKE", str(self.home / lake))
        patch.setenv("RAG_RUN_LAUNCHER", launcher)
        partitions = [f"sample.{n}" for n in range(N_PARTITIONS)]
        with open_instance() as instance:
            return refresh_partitions(instance, partitions, self.told.append)

    def store(self, lake: str) -> LakeStore:
        return LakeStore(str(self.home / lake))

    def nodes_used(self) -> set[str]:
        from ray.job_submission import JobSubmissionClient

        return {job.driver_node_id or "" for job in JobSubmissionClient(self.address).list_jobs()}

    def kill_worker(self) -> None:
        """As if its plug were pulled: every process of the node at once, none asked."""
        own = [info.process.pid for infos in self.worker.all_processes.values() for info in infos]
        family = [psutil.Process(pid) for pid in own]
        family += [child for process in family for child in process.children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=10)


def patiently(start: Callable[[], Any]) -> Any:  # noqa: ANN401 - Ray's Cluster, or its Node
    """Ray gives a node 30 s to start, too few on a busy machine; what it left ends with us."""
    for _ in range(3):
        try:
            return start()
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    return start()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    from ray.cluster_utils import Cluster

    home = tmp_path_factory.mktemp("ray-home")
    (home / "sources.yaml").write_text(SOURCES)
    with pytest.MonkeyPatch.context() as patch, embedding_server(home / "run") as gate:
        for name, value in HEALTH.items():
            patch.setenv(f"RAY_health_check_{name}", value)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAG_HOME", str(home))
        patch.setenv("RAG_PROFILE", "cpu")
        patch.setenv("RAG_RUNS_AT_ONCE", "2")
        patch.setenv("DAGSTER_HOME", "")  # restored after the test, whatever sets it
        for name in ("RAG_POSTGRES_URL", "RAG_STATE"):
            patch.delenv(name, raising=False)
        size = {"num_cpus": 1, "object_store_memory": OBJECTS_BYTES}
        head = {**size, "include_dashboard": True, "dashboard_port": 0}  # its job server; any port
        nodes = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        try:
            address = f"http://{nodes.head_node.webui_url}"
            patch.setenv("RAG_RAY_ADDRESS", address)
            yield Clustered(home, gate, patiently(lambda: nodes.add_node(**size)), address)
        finally:
            nodes.shutdown()


@pytest.fixture(scope="module")
def local(cluster: Clustered) -> LakeStore:
    with pytest.MonkeyPatch.context() as patch:
        runs = cluster.refresh(patch, "local", "default")
    assert all(run.succeeded for run in runs), [run.errors for run in runs]
    return cluster.store("local")


def test_two_nodes_make_what_one_process_makes(
    cluster: Clustered, local: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = cluster.refresh(monkeypatch, "cluster", "ray")
    assert [run.errors for run in runs] == [[]] * (N_PARTITIONS + 1)
    assert [run.what for run in runs][-1] == "refresh_job"  # one run indexes and publishes
    assert len(cluster.nodes_used()) == 2
    assert_equal_lakes(cluster.store("cluster"), local)
    published, expected = live_generation(cluster.store("cluster")), live_generation(local)
    assert published is not None
    assert expected is not None
    assert published.data_version == expected.data_version


def test_a_node_killed_in_mid_run_costs_nothing_but_time(
    cluster: Clustered, local: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both nodes are amid a partition when one of them goes; runs after the test above."""
    lake = cluster.store("survivor")
    cluster.gate.clear()  # every run stops where it asks for its first vectors

    def pull_the_plug() -> None:
        while len(lake.partitions("chunks")) < 2:
            time.sleep(0.1)
        cluster.kill_worker()
        cluster.gate.set()

    killer = Thread(target=pull_the_plug, daemon=True)
    killer.start()
    cluster.told.clear()
    runs = cluster.refresh(monkeypatch, "survivor", "ray")
    killer.join(10)
    deaths = [line for line in cluster.told if "its worker died" in line]
    assert len(deaths) == 1, deaths
    assert [run.errors for run in runs] == [[]] * (N_PARTITIONS + 1)
    assert_equal_lakes(lake, local)
    with open_instance() as instance:
        dead = [run for run in instance.get_runs() if run.is_failure]
        again = [run for run in instance.get_runs() if run.parent_run_id]
    assert [run.parent_run_id for run in again] == [run.run_id for run in dead]
    assert len(again) == 1
