"""Start and stop what answering needs: engines, answerer, Dagster's UI.

Every process leads a session of its own, logs to ``<state>/logs`` and is recorded in
``<state>/stack.json`` with its start time. So ``rag down`` stops what ``rag up`` started, and never
another process that was given the same pid.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

import psutil

from rag_assets.errors import RagError
from rag_assets.files import NO_DOCUMENTS, replace_file
from rag_assets.installation.home import file_of
from rag_assets.lake.generations import generation_ids, live, load
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.endpoint import problem_of
from rag_assets.models.engines.command import engine_python, has_vllm
from rag_assets.models.engines.planning import card_memory, plan_serving
from rag_assets.models.engines.state import EARLIER, is_same_process, running_engines
from rag_assets.models.errors import ModelsError
from rag_assets.models.profile_files import profile_with_embedder
from rag_assets.models.profiles import ROLES, Profile, Role
from rag_assets.models.weights.pulling import is_pulled, pull
from rag_assets.progress import Tell
from rag_assets.serving.client import AnswererClient
from rag_assets.settings import Settings

GRACE_S = 60.0  # engines end within a few seconds; a question in flight may take longer


class StackError(RagError):
    """A part of the stack did not start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that we started."""

    name: str
    pid: int
    created: float  # seconds since the epoch; tells the process from a later one of its pid


def spawn(
    settings: Settings, name: str, command: Sequence[str], env: Mapping[str, str] | None = None
) -> Started:
    """Start a process in the background and write it down."""
    log = log_path(settings, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    (settings.state / NO_DOCUMENTS).touch()
    settings.home.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=settings.home,
            env={**(os.environ if env is None else env), "RAG_HOME": str(settings.home)},
        )
    started = Started(name, process.pid, psutil.Process(process.pid).create_time())
    _write(settings, [*(s for s in known(settings) if s.name != name), started])
    return started


def log_path(settings: Settings, name: str) -> Path:
    """Where a process of the stack logs."""
    return settings.state / "logs" / f"{name}.log"


def known(settings: Settings) -> list[Started]:
    """Processes of the stack that still run."""
    path = settings.state / "stack.json"
    if not path.is_file():
        return []
    return [s for s in (Started(**row) for row in json.loads(path.read_text())) if is_alive(s)]


def _write(settings: Settings, started: Sequence[Started]) -> None:
    replace_file(settings.state / "stack.json", json.dumps([asdict(s) for s in started]).encode())


def is_alive(started: Started) -> bool:
    """Whether it still runs (a zombie does not)."""
    return is_same_process(started.pid, started.created)


def stop(settings: Settings, started: Started) -> None:
    """Ask it to end, wait, and end it and its children by force if it does not."""
    family = []
    with suppress(psutil.NoSuchProcess):  # it may end by itself at any of these lines
        if is_alive(started):
            process = psutil.Process(started.pid)
            family = [process, *process.children(recursive=True)]
            process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=GRACE_S)
    for survivor in alive:
        with suppress(psutil.NoSuchProcess):
            survivor.kill()
    psutil.wait_procs(alive, timeout=10)
    _write(settings, [s for s in known(settings) if s.name != started.name])


def is_listening(port: int) -> bool:
    """Whether somebody listens on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def require_free_port(port: int, purpose: str, variable: str) -> None:
    """Refuse a port that somebody listens on: two servers would share its requests."""
    if is_listening(port):
        raise StackError(
            f"port {port}, meant for {purpose}, is in use by another program; stop it, or set "
            f"{variable} to a free port"
        )


def pull_weights(
    settings: Settings, profile: Profile, tell: Tell, roles: Sequence[Role] = ROLES
) -> None:
    """Pull what is missing of the roles' weights, telling each tenth of each step.

    A role that an endpoint or another model serves (``settings.models``) needs none.
    """
    told: dict[str, int] = {}
    began: dict[str, tuple[float, float]] = {}  # when, and what was there: a pull may go on

    def progress(step: str, share: float) -> None:
        now, tenth = time.monotonic(), int(share * 10)
        at, first = began.setdefault(step, (now, share))
        if told.get(step) != tenth:
            told[step] = tenth
            left = (now - at) * (1 - share) / (share - first) if share > first else 0.0
            tell(f"{step} {share:.0%}" + (f", about {left:.0f} s left" if left >= 1 else ""))

    pull(profile, settings.cache, own_engines(settings, profile, roles), progress=progress)


def own_engines(settings: Settings, profile: Profile, roles: Sequence[Role] = ROLES) -> list[Role]:
    """The engines that serve these roles: not where an endpoint or another model does."""
    return profile.engines_of(role for role in roles if role not in settings.models)


def start_engines(
    settings: Settings,
    profile: Profile,
    tell: Tell,
    roles: Sequence[Role] = ROLES,
    wait_for: Sequence[Role] | None = None,
    *,
    earlier: bool = False,
) -> Started | None:
    """Start the engines that do not run yet and wait until they answer; None if all run already.

    Weights that are missing are fetched first. A role that an endpoint or another model serves
    (``settings.models``) needs no engine, but the endpoint has to answer.

    With ``wait_for`` only these are waited for; :func:`wait_for_engines` waits for the others.
    Those of an ``earlier`` profile run beside those of the present one.

    Raises:
        StackError: an endpoint cannot be used, vLLM is missing, a port is taken, the engines do
            not fit this machine, or one did not come up.
        WeightsError: weights are missing and cannot be fetched.
    """
    state = settings.state / EARLIER if earlier else settings.state
    others = profile.endpoints_of(role for role in roles if role not in settings.models)
    if wrong := list(filter(None, map(problem_of, others))):
        raise StackError("\n".join(wrong))
    running = running_engines(state)
    needed = own_engines(settings, profile, roles)
    missing = [role for role in needed if role not in running]
    if not missing:
        return None
    if not has_vllm(engine_python()):
        raise StackError(f"{engine_python()} has no vLLM; install it with `rag engines install`")
    for role in missing:
        purpose = f"the {role} engine"
        require_free_port(profile.spec(role).port, purpose, "RAG_ENGINE_PORT_BASE")
    if not all(is_pulled(profile.spec(role), settings.cache) for role in missing):
        pull_weights(settings, profile, tell, missing)
    memory = psutil.virtual_memory()
    require_room(settings, profile, missing, memory.available if earlier else memory.total)
    options = {
        "--profile": str(profile.path or profile.name),
        "--state-dir": str(state),
        "--cache-dir": str(settings.cache),
        "--port-base": str(profile.port_base),
        "--roles": ",".join(missing),
    }
    command = [sys.executable, "-m", "rag_assets.models.engines.supervisor"]
    name = "earlier-engines" if earlier else "engines"
    supervisor = spawn(settings, name, [*command, *chain.from_iterable(options.items())])
    awaited = missing if wait_for is None else wait_for
    wait_for_engines(settings, profile, tell, supervisor, awaited, state)
    return supervisor


def start_earlier_embedder(settings: Settings, profile: Profile, tell: Tell) -> Started | None:
    """Start the embedder that a published generation was made with, if the profile has another one.

    Answers come from the live generation until one by the profile's embedder is published, and come
    from it again after a rollback. Upkeep lets generations expire; then the engine is not needed.
    """
    made_with = earlier_embedder(LakeStore(settings.lake_uri), profile)
    if made_with is None or "embedder" in settings.models:
        return None
    tell(f"a published generation was made with {made_with['model_id']}, which is started as well")
    try:
        other = profile_with_embedder(made_with, profile.port_base, settings.home)
        return start_engines(settings, other, tell, ["embedder"], earlier=True)
    except (ModelsError, StackError) as error:  # there may be no need: it may be for a rollback
        tell(f"it is not started: {error}")
        return None


def earlier_embedder(store: LakeStore, profile: Profile) -> Mapping[str, str] | None:
    """The embedder of the live generation, else of the newest one, that is not the profile's."""
    pointer, served = live(store), profile.served_by("embedder")
    names = [] if pointer is None else [pointer.generation_id, *reversed(generation_ids(store))]
    for name in names:
        made_with = load(store, name).models.get("embedder", {})
        own = (served.model_id, served.revision)
        if made_with and (made_with["model_id"], made_with["revision"]) != own:
            return made_with
    return None


def require_room(
    settings: Settings, profile: Profile, roles: Sequence[Role], memory: float
) -> None:
    """Raise StackError, with what to change, if the engines of ``roles`` do not fit into memory."""
    chosen = replace(profile, roles={role: profile.roles[role] for role in roles})
    plan = plan_serving(chosen, settings.cache, host=memory, card=card_memory())
    if not plan.fits:
        lines = [*plan.problems, *(f"to do: {text}" for text in plan.advice)]
        raise StackError("the engines do not fit this machine: " + "\n".join(lines))


def wait_for_engines(
    settings: Settings,
    profile: Profile,
    tell: Tell,
    supervisor: Started,
    roles: Sequence[Role],
    state: Path | None = None,
) -> None:
    """Wait until engines that were started answer; ``state`` is their folder, if a special one.

    Raises:
        StackError: an engine did not come up.
    """
    awaited = own_engines(settings, profile, roles)
    up: set[Role] = set()

    def are_up() -> bool:
        for role in running_engines(state or settings.state):
            if role in awaited and role not in up:
                took = f"{time.time() - supervisor.created:.0f} s"
                tell(f"{role}: {profile.spec(role).model_id} ready after {took}")
            up.add(role)
        return up.issuperset(awaited)

    _wait(are_up, settings, supervisor, "the engines")


def start_answerer(settings: Settings, tell: Tell) -> Started | None:
    """Start the answerer process and wait until it serves; None if one serves already.

    Raises:
        StackError: the port is taken by something else, or it did not come up.
    """
    client = AnswererClient(settings.answerer_url)
    if client.is_up():
        return None
    require_free_port(settings.answerer_port, "the answerer", "RAG_ANSWERER_PORT")
    answerer = spawn(settings, "answerer", [sys.executable, "-m", "rag_assets.serving"])
    took = _wait(client.is_up, settings, answerer, "the answerer")
    tell(f"answerer at {settings.answerer_url} after {took}")
    return answerer


def start_ui(settings: Settings, env: Mapping[str, str], tell: Tell) -> None:
    """Start Dagster's UI and daemon, unless ours run already, and wait until the UI answers.

    Raises:
        StackError: the port is taken, or it did not come up.
    """
    if any(s.name == "dagster" for s in known(settings)):
        return
    port = settings.ui_port
    require_free_port(port, "Dagster's UI", "RAG_UI_PORT")
    command = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port), "-w"]
    ui = spawn(settings, "dagster", [*command, str(file_of(settings.home, "workspace.yaml"))], env)
    took = _wait(lambda: is_listening(port), settings, ui, "Dagster's UI")
    tell(f"Dagster's UI at http://127.0.0.1:{port} after {took}")


def _wait(is_up: Callable[[], bool], settings: Settings, process: Started, what: str) -> str:
    """Wait until what a process serves is up; how long that took."""
    began = time.monotonic()
    while not is_up():
        if not is_alive(process):
            log = log_path(settings, process.name)
            lines = log.read_text(errors="replace").splitlines()[-12:] if log.is_file() else []
            raise StackError("\n".join([f"{what} did not start. The end of {log}:", *lines]))
        time.sleep(0.2)
    return f"{time.monotonic() - began:.0f} s"


def launch_job(settings: Settings, job: str) -> str:
    """Launch a job through the running UI, as its Launch button does; returns the run's id.

    Raises:
        StackError: the UI refuses.
    """
    # Not at the top: the answerer's commands need no Dagster.
    from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

    client = DagsterGraphQLClient("127.0.0.1", port_number=settings.ui_port)
    try:
        return str(client.submit_job_execution(job))
    except DagsterGraphQLClientError as error:
        raise StackError(f"Dagster's UI did not launch {job}: {error}") from error


def wait_for_answerer(settings: Settings, tell: Tell, timeout_s: float = 120.0) -> None:
    """Wait until the answerer, which is a run, serves.

    Raises:
        StackError: it did not within ``timeout_s``.
    """
    client = AnswererClient(settings.answerer_url)
    began = time.monotonic()
    while not client.is_up():
        if time.monotonic() - began > timeout_s:
            raise StackError(
                f"the answerer did not come up at {settings.answerer_url} within "
                f"{timeout_s:.0f} s; its run says why, see the UI at "
                f"http://127.0.0.1:{settings.ui_port}"
            )
        time.sleep(0.3)
    tell(f"answerer at {settings.answerer_url} after {time.monotonic() - began:.0f} s")


def stop_answerer(settings: Settings) -> list[str]:
    """Stop the answerer, no matter who started it; returns what was stopped.

    It ends on SIGTERM, after the answers in flight; a run of ``answerer_job`` ends with it.
    """
    path = settings.state / "answerer.json"
    if not path.is_file():
        return []
    pid = int(json.loads(path.read_text())["pid"])
    try:
        process = psutil.Process(pid)
        if "rag_assets.serving" in " ".join(process.cmdline()):
            process.send_signal(signal.SIGTERM)
            psutil.wait_procs([process], timeout=GRACE_S)
    except psutil.NoSuchProcess:
        return []
    return ["answerer"]


def hot_load(settings: Settings, tell: Tell) -> None:
    """Bring the live generation into the running answerer; nothing where none runs."""
    client = AnswererClient(settings.answerer_url)
    if live(LakeStore(settings.lake_uri)) is None or not client.is_up():
        return
    done = client.reload()
    if done["swapped"]:
        tell(f"answerer hot-loaded {done['generation_id']} in {done['ms']:.0f} ms")
