"""Where things are: the only module that reads the environment.

===================== ========================================== ================================
variable              meaning                                    default
===================== ========================================== ================================
RAG_HOME              folder with ``sources.yaml`` and the state ``data/`` of the checkout
RAG_STATE             state and logs of running processes        ``<home>/run``
RAG_LAKE              folder or object-store URI of the lake     ``<home>/lake``
RAG_CACHE             model weights                              ``~/.cache/rag_assets``
RAG_PROFILE           model profile                              ``cpu``
RAG_POSTGRES_URL      Dagster's storage; unset means SQLite      unset
RAG_ANSWERER_PORT     HTTP port of the answerer, loopback        8460
RAG_ENGINE_PORT_BASE  first of three engine ports, loopback    8461 (``models.profiles`` reads it)
RAG_UI_PORT           port of Dagster's UI, loopback             3000
RAG_EVAL_DATA         public evaluation sets, not of the project ``../shared/data`` beside it
RAG_RUN_LAUNCHER      where runs go: ``default`` (here), ``ray`` ``default``
RAG_EXECUTOR          where a run's steps go: ``in-process``,    ``in-process``
                      ``multiprocess``, ``ray``; `rag refresh`
                      without a cluster is always in-process
RAG_RAY_ADDRESS       Ray's job server (its dashboard)           ``http://127.0.0.1:8265``
RAG_RUNS_AT_ONCE      runs that `rag refresh` keeps on a         4
                      cluster; as many as it has cores
===================== ========================================== ================================
"""

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


class SettingsError(Exception):
    """A variable has a value that means nothing; the message names those that do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The places and choices of one installation; see the module's table."""

    home: Path
    state: Path
    lake_uri: str
    cache: Path
    profile: str
    postgres_url: str | None
    answerer_port: int
    ui_port: int
    eval_data: Path
    run_launcher: str = "default"
    executor: str = "in-process"
    ray_address: str = "http://127.0.0.1:8265"
    runs_at_once: int = 4

    @property
    def sources_file(self) -> Path:
        """Where sources are declared."""
        return self.home / "sources.yaml"

    @property
    def evaluations(self) -> Path:
        """Corpora, completions and reports of evaluations."""
        return self.home / "evaluations"

    @property
    def dagster_home(self) -> Path:
        """Dagster's SQLite storage and the logs of its runs."""
        return self.home / "dagster"

    @property
    def answerer_url(self) -> str:
        """Address of the answerer."""
        return f"http://127.0.0.1:{self.answerer_port}"


def load_settings() -> Settings:
    """Settings from the environment, with the defaults of the module's table."""
    env = os.environ
    home = Path(env.get("RAG_HOME") or CHECKOUT / "data").absolute()
    return Settings(
        home=home,
        state=Path(env.get("RAG_STATE") or home / "run").absolute(),
        lake_uri=env.get("RAG_LAKE") or str(home / "lake"),
        cache=Path(env.get("RAG_CACHE") or Path.home() / ".cache" / "rag_assets"),
        profile=env.get("RAG_PROFILE") or "cpu",
        postgres_url=env.get("RAG_POSTGRES_URL") or None,
        answerer_port=int(env.get("RAG_ANSWERER_PORT") or 8460),
        ui_port=int(env.get("RAG_UI_PORT") or 3000),
        eval_data=Path(env.get("RAG_EVAL_DATA") or CHECKOUT.parent / "shared" / "data").absolute(),
        run_launcher=env.get("RAG_RUN_LAUNCHER") or "default",
        executor=env.get("RAG_EXECUTOR") or "in-process",
        ray_address=env.get("RAG_RAY_ADDRESS") or "http://127.0.0.1:8265",
        runs_at_once=int(env.get("RAG_RUNS_AT_ONCE") or 4),
    )
