"""Runs and steps on a Ray cluster, through dagster-ray; the only module that imports it.

A node needs what this machine has: the package, and an environment with ``RAG_HOME`` (that holds
``sources.yaml``), ``RAG_POSTGRES_URL`` and the object store's credentials. Those are given to nodes
when they start, because Ray shows a job's environment to all who can see its dashboard. With the
job go only the variables that say what to work on (``FORWARDED``): two hosts that differ in them
would write two lakes. A run uses the engines of the node that it is on.
"""

import shlex

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._serdes import ConfigurableClassData
from dagster_ray import RayRunLauncher
from dagster_ray.core.executor import ray_executor

from rag_assets.execution import PROCESS
from rag_assets.settings import Settings, load_settings

FORWARDED = ["RAG_LAKE", "RAG_PROFILE"]
# A job that asks for nothing is put on the head node, whatever else there is. Readers of documents
# are processes of their own, so a run can use more than one core; it never holds more than two.
CPUS_A_RUN = 1
# These talk to the answerer of this machine, or are it.
AT_HOME = {"answerer_job", "hot_load_job", "ask_job", "evaluate_job"}


class RayLauncher(RayRunLauncher):
    """Ray for runs that may be anywhere; this machine for those bound to its answerer."""

    def __init__(self, settings: Settings, inst_data: ConfigurableClassData | None) -> None:
        super().__init__(
            address=settings.ray_address,
            env_vars=FORWARDED,
            num_cpus=CPUS_A_RUN,
            inst_data=inst_data,
        )
        self._home = DefaultRunLauncher()

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Both launchers write to the instance's log."""
        super().register_instance(instance)
        self._home.register_instance(instance)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run where it belongs."""
        if context.dagster_run.job_name in AT_HOME:
            self._home.launch_run(context)
        else:
            super().launch_run(context)

    def _launch_ray_job(self, submission_id: str, entrypoint: str, run: dg.DagsterRun) -> None:
        # dagster-ray 0.4.8 puts the last argument, JSON, between apostrophes as it is; ours holds
        # some (the storage's own YAML), and the shell would end it there.
        command, _, argument = entrypoint.partition(" '")
        quoted = shlex.quote(argument.removesuffix("'"))
        super()._launch_ray_job(submission_id, f"{command} {quoted}", run)

    def terminate(self, run_id: str) -> bool:
        """Stop the run where it is; whether there was something to stop."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and run.job_name in AT_HOME:
            return bool(self._home.terminate(run_id))  # type: ignore[no-untyped-call]
        return bool(super().terminate(run_id))

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """What Ray says of the run's job; runs that it knows nothing of are taken to be well."""
        if PROCESS in run.tags or run.job_name in AT_HOME:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        health: CheckRunHealthResult = super().check_run_worker_health(run)
        return health


def step_executor() -> dg.ExecutorDefinition:
    """Each step as a Ray job of its own."""
    ray = {
        "address": load_settings().ray_address,
        "num_cpus": CPUS_A_RUN,
        "env_vars": FORWARDED,
        # the address above also holds where runs are not launched on Ray
        "inherit_job_submission_client_from_ray_run_launcher": False,
    }
    return ray_executor.configured({"ray": ray}, name="ray")
