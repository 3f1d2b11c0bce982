"""Runs and steps on a Ray cluster, through dagster-ray; the only module that imports it.

A node needs what this machine has: the package, and an environment with ``RAG_HOME`` (which holds
``sources.yaml``), ``RAG_POSTGRES_URL`` and the object store's credentials. Nodes get these when
they start, because Ray shows a job's environment to everybody who can see its dashboard. A job
carries only the variables that say what to work on and how (``forwarded``): two hosts with
different values would write two lakes. A run, or a step with the executor ``ray``, uses the engines
of the node on which it runs. If it waits for a core longer than ``RAY_JOB_START_TIMEOUT_SECONDS``
of the head node (15 minutes by default), Ray lets it fail.
"""

import shlex

import dagster as dg
from dagster_ray import RayRunLauncher
from dagster_ray.core.executor import RayStepHandler
from ray.job_submission import JobSubmissionClient

from rag_assets.orchestration.dagster_private import (
    CheckRunHealthResult,
    ConfigurableClassData,
    InProcessExecutor,
    IStepContext,
    KnownExecutionState,
    LaunchRunContext,
    RetryMode,
    SerializableErrorInfo,
    StepDelegatingExecutor,
    StepRetryData,
)
from rag_assets.orchestration.places import AT_HOME
from rag_assets.orchestration.run_processes import PROCESS, LocalLauncher
from rag_assets.settings import Settings, load_settings

# Readers of documents are processes of their own, so a run, or a step, can use more than one core;
# it never holds more than two.
CPUS_A_JOB = 1
HEALTH_S = 5  # between two looks at a step's job, one request each
STEP_LAUNCHES = 3  # a third dead node is no accident; as many as a run gets


def forwarded(settings: Settings) -> list[str]:
    """What a job takes along of the environment: names, or names with their values."""
    return ["RAG_LAKE", "RAG_PROFILE", f"RAG_EXECUTOR={settings.executor}"]


class RayLauncher(RayRunLauncher):
    """Ray for runs that may be anywhere; this machine for those bound to its answerer."""

    def __init__(self, settings: Settings, inst_data: ConfigurableClassData | None) -> None:
        super().__init__(
            address=settings.ray_address,
            env_vars=forwarded(settings),
            # A run that only waits for its steps asks for nothing and Ray puts it on the head node:
            # with a core of its own, runs at once would hold all cores and no step could begin.
            num_cpus=None if settings.executor == "ray" else CPUS_A_JOB,
            inst_data=inst_data,
        )
        self._home = LocalLauncher()  # type: ignore[no-untyped-call]

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
            return self._home.terminate(run_id)
        return bool(super().terminate(run_id))

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """What Ray says of the run's job; of a run that is a process, what its machine says."""
        if PROCESS in run.tags or run.job_name in AT_HOME:
            return self._home.check_run_worker_health(run)
        health: CheckRunHealthResult = super().check_run_worker_health(run)
        return health


class StepsOnRay(StepDelegatingExecutor):
    """Each step as a Ray job of its own; one whose node died begins again."""

    def __init__(self, settings: Settings) -> None:
        handler = RayStepHandler(
            # Within a Ray job the client goes to the cluster of that job, whatever the address.
            client=JobSubmissionClient(settings.ray_address),
            env_vars=forwarded(settings),
            runtime_env=None,
            num_cpus=CPUS_A_JOB,
            num_gpus=None,
            memory=None,
            resources=None,
        )
        super().__init__(
            handler,
            retries=RetryMode.ENABLED,
            check_step_health_interval_seconds=HEALTH_S,
            should_verify_step=True,
        )

    def log_failure_or_retry_event_after_error(
        self,
        step_context: IStepContext,
        err_info: SerializableErrorInfo,
        known_state: KnownExecutionState,
    ) -> dg.DagsterEvent:
        """Again, up to ``STEP_LAUNCHES`` in all: Dagster asks only of steps whose job is gone."""
        attempts = known_state.get_retry_state().get_attempt_count(step_context.step.key)
        if attempts + 1 < STEP_LAUNCHES:
            data = StepRetryData(err_info)  # type: ignore[no-untyped-call]
            return dg.DagsterEvent.step_retry_event(step_context, data)
        return super().log_failure_or_retry_event_after_error(step_context, err_info, known_state)


@dg.executor(name="ray", requirements=dg.multiple_process_executor_requirements())
def step_executor(context: dg.InitExecutorContext) -> dg.Executor:
    """Ray for steps that may be anywhere; the run's own process for those bound to the answerer."""
    if context.job.get_definition().name in AT_HOME:
        return InProcessExecutor(retries=RetryMode.ENABLED)
    return StepsOnRay(load_settings())
