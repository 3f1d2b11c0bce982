"""Where runs and their steps execute, chosen by environment (see ``settings``), not by code.

``RAG_RUN_LAUNCHER`` says where a **run** goes: ``default`` is a process of this machine, ``ray`` a
Ray job on the cluster at ``RAG_RAY_ADDRESS``. ``RAG_EXECUTOR`` says where the **steps** of a run
go: into its own process, into processes beside it, or each into a Ray job of its own.

The unit of distribution is a run over one or more partitions: launcher ``ray`` with executor
``in-process`` is one Ray job a run, its stages in one process. A Ray job costs seconds to start,
and a step of an unchanged partition less than one, so the executor ``ray`` pays only for partitions
of hours. What talks to the answerer stays on the answerer's machine, whatever is chosen.
"""

import dagster as dg

from rag_assets.settings import load_settings

PROCESS = "rag/process"  # tag of a run in the command's own process: its pid, and when that began


def chosen_executor() -> dg.ExecutorDefinition:
    """The executor that ``RAG_EXECUTOR`` names."""
    chosen = load_settings().executor
    if chosen == "ray":
        from rag_assets.orchestration.on_ray import step_executor  # Ray comes with the extra "ray"

        return step_executor
    return dg.multiprocess_executor if chosen == "multiprocess" else dg.in_process_executor


def is_clustered() -> bool:
    """Whether runs go to a cluster."""
    return load_settings().run_launcher != "default"
