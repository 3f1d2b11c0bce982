"""Where things are, by the environment.

The room ``models``, which knows nobody, reads its own variables by itself, RAG_CACHE among them.

===================== ========================================== ================================
variable              meaning                                    default
===================== ========================================== ================================
RAG_HOME              folder with ``sources.yaml`` and the state this folder, if ``rag init``
                                                                 made it a home; else ``data/`` of
                                                                 the checkout, if there is one
RAG_STATE             state and logs of running processes        ``<home>/run``
RAG_LAKE              folder or object-store URI of the lake     ``<home>/lake``
RAG_CACHE             model weights                              ``~/.cache/rag_assets``
RAG_PROFILE           model profile; read by ``models``          ``cpu``
RAG_ENGINE_PYTHON     interpreter that has vLLM; read by         that of ``rag``
                      ``models``
RAG_POSTGRES_URL      Dagster's storage; unset means SQLite      unset
RAG_ANSWERER_PORT     HTTP port of the answerer, loopback        8460
RAG_HOST              IPv4 address that the answerer listens on  ``127.0.0.1``
RAG_ALLOWED_HOSTS     names, comma between them, by which other  none
                      machines reach the answerer
RAG_ENGINE_PORT_BASE  first of three engine ports, loopback;     8461
                      read by ``models``
RAG_UI_PORT           port of Dagster's UI, loopback             3000
RAG_UI_TOKEN          what Dagster's UI asks whoever opens it    unset: it asks nobody
RAG_UI_HOSTS          names under which a proxy serves that UI,  unset
                      with commas between them
RAG_KEY               key of ``access.yaml`` that `rag ask`      this home's own, which reads
                      comes with                                 everything
RAG_EVAL_DATA         folder of evaluation sets, for a team's    unset
                      suites of questions
RAG_RUN_LAUNCHER      where runs go: ``default`` (here), ``ray`` ``default``
RAG_EXECUTOR          where a run's steps go: ``in-process``,    ``in-process``
                      ``multiprocess``, ``ray``; `rag refresh`
                      without a cluster is always in-process
RAG_RAY_ADDRESS       Ray's job server (its dashboard)           ``http://127.0.0.1:8265``
RAG_DEFINITIONS       ``module:name`` of Dagster's definitions,  this package's own
                      where a team has its own
RAG_EMBEDDER          serves this role instead of an engine: an  unset
                      installed entry point's name, or
                      ``module:attribute``
RAG_SLM               likewise                                   unset
RAG_LLM               likewise                                   unset
RAG_RUNS_AT_ONCE      runs that `rag refresh` keeps on a         4
                      cluster; as many as it has cores
RAG_JOURNAL_DAYS      days for which answers are kept in the     90
                      table ``answers``; 0: none is kept
===================== ========================================== ================================

``OTEL_EXPORTER_OTLP_ENDPOINT`` and its kind are OpenTelemetry's: they say where traces go.

What the environment lacks, ``rag`` takes from the file ``.env`` of the home.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from dotenv import load_dotenv

from rag_assets.errors import RagError

CHECKOUT = Path(__file__).resolve().parent.parent
EXECUTORS = ("in-process", "multiprocess", "ray")
LAUNCHERS = ("default", "ray")
LOOPBACK = "127.0.0.1"
_HOST_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
DEFINITIONS = "rag_assets.definitions:defs"
TOKEN_CHARS = 20  # fewer could be tried out
MODELS = {"embedder": "RAG_EMBEDDER", "slm": "RAG_SLM", "llm": "RAG_LLM"}


class SettingsError(RagError):
    """A variable means nothing, or there is no home; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The places and choices of one installation; see the module's table."""

    home: Path
    state: Path
    lake_uri: str
    cache: Path
    postgres_url: str | None
    answerer_port: int
    ui_port: int
    eval_data: Path | None = None
    run_launcher: str = "default"
    executor: str = "in-process"
    ray_address: str = "http://127.0.0.1:8265"
    runs_at_once: int = 4
    journal_days: int = 90
    key: str = field(default="", repr=False)
    ui_token: str = field(default="", repr=False)
    ui_hosts: tuple[str, ...] = ()
    definitions: tuple[str, str] = ("rag_assets.definitions", "defs")
    models: Mapping[str, str] = field(default_factory=dict)  # role -> what serves it, by name
    host: str = LOOPBACK
    allowed_hosts: tuple[str, ...] = ()

    @property
    def is_exposed(self) -> bool:
        """Whether other machines may reach the answerer."""
        return not IPv4Address(self.host).is_loopback or bool(self.allowed_hosts)

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
    def hosts(self) -> tuple[str, ...]:
        """Names by which callers reach the answerer, beside the loopback's."""
        own = () if IPv4Address(self.host).is_unspecified else (self.host,)
        return (*own, *self.allowed_hosts)

    @property
    def ui_url(self) -> str:
        """Address of Dagster's UI."""
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def ui_headers(self) -> dict[str, str]:
        """What our own requests to Dagster's UI come with."""
        return {"Authorization": f"Bearer {self.ui_token}"} if self.ui_token else {}

    @property
    def answerer_url(self) -> str:
        """Address of the answerer."""
        host = LOOPBACK if IPv4Address(self.host).is_unspecified else self.host
        return f"http://{host}:{self.answerer_port}"


def find_home() -> Path | None:
    """The home that the environment and the current folder name; None if they name none."""
    if given := os.environ.get("RAG_HOME"):
        return Path(given).absolute()
    for folder in (Path.cwd(), CHECKOUT / "data"):
        if (folder / "sources.yaml").is_file():
            return folder
    return None


def read_env_file() -> None:
    """Take from the home's ``.env`` what the environment lacks."""
    home = find_home()
    if home is not None:
        load_dotenv(home / ".env")


def load_settings() -> Settings:
    """Settings from the environment, with the defaults of the module's table.

    Raises:
        SettingsError: a variable has a value that means nothing, or there is no home.
    """
    env = os.environ
    home = find_home()
    if home is None:
        raise SettingsError(
            f"expected a home: a folder with sources.yaml; {Path.cwd()} has none. Make it one with "
            "`rag init`, go to one, or name one in RAG_HOME"
        )
    return Settings(
        home=home,
        state=Path(env.get("RAG_STATE") or home / "run").absolute(),
        lake_uri=env.get("RAG_LAKE") or str(home / "lake"),
        cache=Path(env.get("RAG_CACHE") or Path.home() / ".cache" / "rag_assets"),
        postgres_url=env.get("RAG_POSTGRES_URL") or None,
        answerer_port=_whole(env, "RAG_ANSWERER_PORT", 8460, least=0),
        ui_port=_whole(env, "RAG_UI_PORT", 3000, least=0),
        eval_data=Path(data).absolute() if (data := env.get("RAG_EVAL_DATA")) else None,
        run_launcher=_one_of(env, "RAG_RUN_LAUNCHER", LAUNCHERS),
        executor=_one_of(env, "RAG_EXECUTOR", EXECUTORS),
        ray_address=env.get("RAG_RAY_ADDRESS") or "http://127.0.0.1:8265",
        runs_at_once=_whole(env, "RAG_RUNS_AT_ONCE", 4, least=1),
        journal_days=_whole(env, "RAG_JOURNAL_DAYS", 90, least=0),
        key=env.get("RAG_KEY", ""),
        ui_token=_secret(env, "RAG_UI_TOKEN"),
        ui_hosts=_host_names(env, "RAG_UI_HOSTS"),
        definitions=_place(env, "RAG_DEFINITIONS", DEFINITIONS),
        models=named_models(),
        host=_address(env, "RAG_HOST"),
        allowed_hosts=_host_names(env, "RAG_ALLOWED_HOSTS"),
    )


def named_models() -> dict[str, str]:
    """Role -> the name of what serves it instead of an engine; no home is needed to read it."""
    return {role: name for role, of in MODELS.items() if (name := os.environ.get(of))}


def names_collector() -> bool:
    """Whether OpenTelemetry's own variables say where traces go."""
    named = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return any(os.environ.get(name) for name in named)


def _whole(env: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    given = env.get(name) or str(default)
    if not given.isdecimal() or int(given) < least:
        raise SettingsError(f"expected {name} to be a whole number from {least} on; got {given!r}")
    return int(given)


def _address(env: Mapping[str, str], name: str) -> str:
    given = env.get(name) or LOOPBACK
    try:
        return str(IPv4Address(given))
    except ValueError as error:
        raise SettingsError(
            f"expected {name} to be an IPv4 address of this machine, or 0.0.0.0 for all of them; "
            f"got {given!r}"
        ) from error


def _host_names(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    names = tuple(filter(None, (one.strip() for one in (env.get(name) or "").split(","))))
    for one in names:
        if not _HOST_NAME.fullmatch(one):
            raise SettingsError(
                f"expected {name} to be names such as rag.example.org, without port and with a "
                f"comma between them; got {one!r}"
            )
    return names


def _secret(env: Mapping[str, str], name: str) -> str:
    given = env.get(name, "")
    if given and (len(given) < TOKEN_CHARS or not given.isascii() or not given.isprintable()):
        raise SettingsError(
            f"expected {name} to be {TOKEN_CHARS} or more printable ASCII characters, as "
            "`openssl rand -hex 16` prints them; got fewer, or others"
        )
    return given


def _place(env: Mapping[str, str], name: str, default: str) -> tuple[str, str]:
    given = env.get(name) or default
    module, _, attribute = given.partition(":")
    if not module or not attribute:
        raise SettingsError(
            f"expected {name} to be module:name, for example {default}; got {given!r}"
        )
    return module, attribute


def _one_of(env: Mapping[str, str], name: str, known: Sequence[str]) -> str:
    given = env.get(name) or known[0]
    if given not in known:
        raise SettingsError(f"expected {name} to be one of {', '.join(known)}; got {given!r}")
    return given
