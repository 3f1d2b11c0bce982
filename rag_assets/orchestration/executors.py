"""Where runs and their steps execute: the environment decides (see ``settings``), not the code.

``RAG_RUN_LAUNCHER`` says where a **run** goes: ``default`` is a process of this machine, ``ray`` a
Ray job on the cluster at ``RAG_RAY_ADDRESS``. ``RAG_EXECUTOR`` says where the **steps** of a run
go: into the run's own process, into processes beside it, or each into a Ray job of its own.

The unit of distribution is a run over one or more partitions: launcher ``ray`` with executor
``in-process`` is one Ray job for a run, with all its stages in one process. A Ray job costs seconds
to start, and a step of an unchanged partition takes less than one second, so the executor ``ray``
pays only for partitions that take hours. Jobs that talk to the answerer always stay on the
answerer's machine.
"""

import dagster as dg

from rag_assets.settings import load_settings


def chosen_executor() -> dg.ExecutorDefinition:
    """The executor that ``RAG_EXECUTOR`` names."""
    chosen = load_settings().executor
    if chosen == "ray":
        from rag_assets.orchestration.on_ray import step_executor  # Ray comes with the extra "ray"

        return step_executor
    return dg.multiprocess_executor if chosen == "multiprocess" else dg.in_process_executor
