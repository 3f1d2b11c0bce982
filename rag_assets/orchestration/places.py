"""Where a run is: on this machine or on a cluster; where Dagster is. Without Dagster itself."""

import os

from rag_assets.files import NO_DOCUMENTS, ensure_file
from rag_assets.installation.home import file_of
from rag_assets.settings import load_settings

RUN = "RAG_RUN"  # in the environment of a run's process and of all that it starts
# These talk to the answerer of this machine, or are it.
AT_HOME = frozenset({"answerer_job", "hot_load_job", "ask_job", "evaluate_job"})


def is_clustered() -> bool:
    """Whether runs go to a cluster."""
    return load_settings().run_launcher != "default"


def dagster_environment() -> dict[str, str]:
    """The environment for Dagster's processes, its home made ready.

    The home holds logs of runs; its ``dagster.yaml`` is a copy.
    """
    settings = load_settings()
    home = settings.dagster_home
    home.mkdir(0o700, parents=True, exist_ok=True)
    (home / NO_DOCUMENTS).touch()
    ensure_file(home / "dagster.yaml", file_of(settings.home, "dagster.yaml").read_bytes())
    return {**os.environ, "DAGSTER_HOME": str(home)}
