"""Dagster's instance: PostgreSQL where a URL is set, SQLite in the home where none is.

``dagster.yaml`` names ``EnvironmentStorage`` and ``EnvironmentRunLauncher``. So ``dagster dev`` in
a home, which keeps its temporary home elsewhere, sees the same runs as the command line does.
"""

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

from rag_assets.orchestration.dagster_private import (
    ConfigurableClass,
    ConfigurableClassData,
    DagsterSqliteStorage,
    DagsterStorage,
    RunLauncher,
)
from rag_assets.orchestration.places import dagster_environment, is_clustered
from rag_assets.orchestration.run_processes import LocalLauncher
from rag_assets.settings import load_settings

# The partitions of a run's range have an event each, and PostgreSQL takes so many in one statement:
# source_files of 64 partitions took 7.6 s instead of 19. SQLite has no such statement.
EVENT_BATCH = 1000


class EnvironmentStorage(DagsterStorage, ConfigurableClass):
    """Run, event and schedule storage, chosen by ``RAG_POSTGRES_URL``."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No configuration: the environment decides."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - not an instance of this class, as the base has it, but the choice
        """The storage, with nothing between Dagster and it."""
        settings = load_settings()
        if settings.postgres_url is None:
            settings.dagster_home.mkdir(0o700, parents=True, exist_ok=True)
            return DagsterSqliteStorage(str(settings.dagster_home), inst_data)
        from dagster_postgres import DagsterPostgresStorage

        # Every process that opens the instance comes here, runs that Dagster launched as well.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENT_BATCH))
        return DagsterPostgresStorage(settings.postgres_url, inst_data=inst_data)


class EnvironmentRunLauncher(RunLauncher, ConfigurableClass):
    """Where runs go, chosen by ``RAG_RUN_LAUNCHER``."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No configuration: the environment decides."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - not an instance of this class, as the base has it, but the choice
        """The launcher, with nothing between Dagster and it."""
        if not is_clustered():
            return LocalLauncher()  # type: ignore[no-untyped-call]
        from rag_assets.orchestration.on_ray import RayLauncher  # Ray comes with the extra "ray"

        return RayLauncher(load_settings(), inst_data)


def open_instance() -> dg.DagsterInstance:
    """The instance that ``rag`` records its runs in; the one that the UI shows."""
    os.environ["DAGSTER_HOME"] = dagster_environment()["DAGSTER_HOME"]
    return dg.DagsterInstance.get()
