"""A real Ray cluster of two nodes, as processes of this machine.

Each has a raylet, agents and workers of its own, which is what Ray calls a cluster; they share this
machine's cores, its disk and its loopback.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

OBJECTS_BYTES = 100_000_000  # of Ray's object store, which jobs never use
SIZE = {"num_cpus": 1, "object_store_memory": OBJECTS_BYTES}
# A dead node is seen after two seconds; by default after half a minute.
HEALTH = {"period_ms": "500", "failure_threshold": "4", "initial_delay_ms": "1000"}
HEAD_ONLY = {"node:__internal_head__": 0.001}  # Ray's own name of a resource of the head node


def patiently(start: Callable[[], Any]) -> Any:  # noqa: ANN401 - Ray's Cluster, or its Node
    """Ray gives a node 30 s to start, too few on a busy machine; what it left ends with us."""
    for _ in range(3):
        try:
            return start()
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    return start()


@dataclass
class TwoNodes:
    """The head and a worker, each with one core to give."""

    nodes: Any  # Ray's Cluster
    worker: Any  # Ray's Node; None after it was killed
    address: str  # of the job server

    def jobs(self) -> Any:  # noqa: ANN401 - Ray's client
        """A client of the job server."""
        from ray.job_submission import JobSubmissionClient

        return JobSubmissionClient(self.address)

    def nodes_used(self) -> set[str]:
        """Ids of the nodes that ran a job so far."""
        return {job.driver_node_id or "" for job in self.jobs().list_jobs()}

    def kill_worker(self) -> None:
        """As if its plug were pulled: every process of the node at once, none asked."""
        own = [info.process.pid for infos in self.worker.all_processes.values() for info in infos]
        family = [psutil.Process(pid) for pid in own]
        family += [child for process in family for child in process.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):  # workers end when their raylet does
                process.kill()
        psutil.wait_procs(family, timeout=10)
        self.worker = None

    def replace_worker(self) -> None:
        """A new one in the place of one that was killed; nothing where none was."""
        if self.worker is None:
            self.worker = patiently(lambda: self.nodes.add_node(**SIZE))


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """Start the cluster; its nodes get this process's environment, its jobs' address follows."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in HEALTH.items():
            patch.setenv(f"RAY_health_check_{name}", value)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {**SIZE, "include_dashboard": True, "dashboard_port": 0}  # its job server; any port
        nodes = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        try:
            address = f"http://{nodes.head_node.webui_url}"
            patch.setenv("RAG_RAY_ADDRESS", address)
            cluster = TwoNodes(nodes, None, address)
            cluster.replace_worker()
            yield cluster
        finally:
            nodes.shutdown()
