"""Where a run is: on this machine or on a cluster."""

from rag_assets.settings import load_settings

# These talk to the answerer of this machine, or are it.
AT_HOME = frozenset({"answerer_job", "hot_load_job", "ask_job", "evaluate_job"})


def is_clustered() -> bool:
    """Whether runs go to a cluster."""
    return load_settings().run_launcher != "default"
