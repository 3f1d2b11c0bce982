"""Start and stop what answering needs: engines, answerer, Dagster's UI.

``rag up`` starts the keeper (``keeper.py``), which starts the rest and keeps it running.
"""

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import xxhash

from rag_assets.errors import RagError
from rag_assets.models.engines.command import engine_python, has_vllm
from rag_assets.models.engines.planning import card_memory, plan_serving
from rag_assets.models.engines.state import EARLIER, REPORTS, running_engines
from rag_assets.models.errors import ModelsError
from rag_assets.models.profile_files import profile_with_embedder
from rag_assets.models.profiles import ROLES, Profile, Role
from rag_assets.models.weights.pulling import is_pulled, pull
from rag_assets.orchestration.own_processes import (
    Started,
    end,
    known,
    leads_session,
    log_end,
    log_path,
    spawn,
    started,
    stop,
)
from rag_assets.orchestration.places import dagster_environment
from rag_assets.process_identity import ProcessId, is_alive
from rag_assets.progress import Tell
from rag_assets.serving.client import AnswererClient
from rag_assets.serving.listening import running_answerer
from rag_assets.settings import Settings, load_settings
from rag_assets.watching import (
    KEEPER,
    KEEPER_COMMAND,
    KEPT,
    PART,
    STANDBY,
    Report,
    read_reports,
)

EARLIER_ENGINES = "earlier-engines"  # a part of its own
ANSWERS_S = 11.0  # for answers in flight when all is stopped
END_S = 8.0  # for all others then
UP_S = 1200.0  # for all that `rag up` starts
PARTS = ("code", "webserver", "daemon", "door", "answerer")  # what the keeper reports, but engines

if TYPE_CHECKING:
    from rag_assets.lake.store import LakeStore


class StackError(RagError):
    """A part of the stack did not start; the message says why and what to do."""


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
) -> Profile:
    """Pull what is missing of the roles' weights, telling each tenth of each step.

    A role that an endpoint or another model serves (``settings.models``) needs none. Returns the
    profile with the weights that are here now.
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

    needed = own_engines(settings, profile, roles)
    return pull(profile, settings.cache, needed, progress=progress, tell=tell)


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
    require_endpoints(settings, profile, roles)
    running = running_engines(state)
    needed = own_engines(settings, profile, roles)
    missing = [role for role in needed if role not in running]
    if not missing:
        return None
    if kept(settings) and not earlier:  # `rag up` runs, and one of them is being started again
        wait_for_parts(settings, profile, tell, needed)
        return None
    memory = psutil.virtual_memory()
    prepare_engines(settings, profile, tell, missing, memory.available if earlier else memory.total)
    (state / REPORTS).unlink(missing_ok=True)  # of an earlier life
    name = EARLIER_ENGINES if earlier else "engines"
    supervisor = spawn(settings, name, engines_command(settings, profile, missing, state))
    awaited = missing if wait_for is None else wait_for
    wait_for_engines(settings, profile, tell, supervisor, awaited, state)
    return supervisor


def require_endpoints(settings: Settings, profile: Profile, roles: Sequence[Role] = ROLES) -> None:
    """Raise StackError if an endpoint that serves one of the roles cannot be used."""
    from rag_assets.models.clients.endpoint import problem_of  # not at the top: the keeper is small

    others = profile.endpoints_of(role for role in roles if role not in settings.models)
    if wrong := list(filter(None, map(problem_of, others))):
        raise StackError("\n".join(wrong))


def prepare_engines(
    settings: Settings, profile: Profile, tell: Tell, missing: Sequence[Role], memory: float
) -> None:
    """Make sure that engines can be started: vLLM, ports, weights, room in ``memory``.

    Raises:
        StackError: something is not there, or the engines do not fit this machine.
        WeightsError: weights are missing and cannot be fetched.
    """
    if not has_vllm(engine_python()):
        raise StackError(f"{engine_python()} has no vLLM; install it with `rag engines install`")
    for role in missing:
        purpose = f"the {role} engine"
        require_free_port(profile.spec(role).port, purpose, "RAG_ENGINE_PORT_BASE")
    if not all(is_pulled(profile.spec(role), settings.cache) for role in missing):
        profile = pull_weights(settings, profile, tell, missing)
    require_room(settings, profile, missing, memory)


def engines_command(
    settings: Settings, profile: Profile, roles: Sequence[Role], state: Path | None = None
) -> list[str]:
    """The command line of the engines' supervisor."""
    options = {
        "--profile": str(profile.path or profile.name),
        "--prefer": profile.prefer,
        "--state-dir": str(state or settings.state),
        "--cache-dir": str(settings.cache),
        "--port-base": str(profile.port_base),
        "--roles": ",".join(roles),
    }
    command = [sys.executable, "-m", "rag_assets.models.engines.supervisor"]
    return [*command, *chain.from_iterable(options.items())]


def start_earlier_embedder(settings: Settings, profile: Profile, tell: Tell) -> Started | None:
    """Start the embedder that a published generation was made with, if the profile has another one.

    Answers come from the live generation until one by the profile's embedder is published, and come
    from it again after a rollback. Upkeep lets generations expire; then the engine is not needed.
    """
    from rag_assets.lake.store import LakeStore  # not at the top: the keeper stays small

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


def earlier_embedder(store: "LakeStore", profile: Profile) -> Mapping[str, str] | None:
    """The embedder of the live generation, else of the newest one, that is not the profile's."""
    from rag_assets.lake.generations import generation_ids, live, load

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
    began = time.monotonic()

    def are_up() -> bool:
        for report in read_reports((state or settings.state) / REPORTS):
            if report.name in awaited and report.restarts and report.name not in up:
                said = log_end(settings, report.name, 12)
                stop(settings, supervisor)
                raise StackError(f"{report.last_error}. The end of its log:\n{said}")
        for role in running_engines(state or settings.state):
            if role in awaited and role not in up:
                took = f"{time.monotonic() - began:.0f} s"
                tell(f"{role}: {profile.spec(role).model_id} ready after {took}")
            up.add(role)
        return up.issuperset(awaited)

    _wait(are_up, settings, supervisor, "the engines")


def start_answerer(settings: Settings, tell: Tell) -> Started | None:
    """Start the answerer process and wait until it serves; None if one serves already.

    Raises:
        StackError: the port is taken by something else, or it did not come up.
    """
    client = AnswererClient.of(settings)
    if client.is_up():
        return None
    require_free_port(settings.answerer_port, "the answerer", "RAG_ANSWERER_PORT")
    answerer = spawn(settings, "answerer", [sys.executable, "-m", "rag_assets.serving"])
    took = _wait(client.is_up, settings, answerer, "the answerer")
    tell(f"answerer at {settings.answerer_url} after {took}")
    return answerer


def _wait(is_up: Callable[[], bool], settings: Settings, process: Started, what: str) -> str:
    """Wait until what a process serves is up; how long that took."""
    began = time.monotonic()
    while not is_up():
        if not is_alive(process.process):
            log = log_path(settings, process.name)
            lines = log.read_text(errors="replace").splitlines()[-12:] if log.is_file() else []
            raise StackError("\n".join([f"{what} did not start. The end of {log}:", *lines]))
        time.sleep(0.2)
    return f"{time.monotonic() - began:.0f} s"


def launch_job(job: str) -> None:
    """Launch a job through the running UI, as its Launch button does.

    Raises:
        StackError: the UI refuses.
    """
    # Not at the top: the answerer's commands need no Dagster.
    from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

    settings = load_settings()
    client = DagsterGraphQLClient(
        "127.0.0.1", port_number=settings.ui_port, headers=settings.ui_headers
    )
    try:
        print(client.submit_job_execution(job))  # noqa: T201 - the keeper reads it in the log
    except DagsterGraphQLClientError as error:
        raise StackError(f"Dagster's UI did not launch {job}: {error}") from error


def run_is_over(settings: Settings, run_id: str) -> bool:
    """Whether Dagster's UI says that a run has ended, in whatever way."""
    query = f'{{runOrError(runId: "{run_id}") {{... on Run {{status}}}}}}'
    try:
        answer = httpx.post(
            f"{settings.ui_url}/graphql",
            json={"query": query},
            headers=settings.ui_headers,
            timeout=2.0,
            trust_env=False,
        ).json()
        status = answer["data"]["runOrError"].get("status")
    except (httpx.TransportError, ValueError, KeyError, TypeError):
        return False
    return status in ("SUCCESS", "FAILURE", "CANCELED")


def kept(settings: Settings) -> bool:
    """Whether a keeper runs."""
    keepers = (KEEPER, STANDBY)  # one that was started just now has no environment to read yet
    written = any(one.name in keepers for one in known(settings))
    return written or any(started(settings, name) for name in keepers)


def up(settings: Settings, profile: Profile, tell: Tell) -> None:
    """Start the keeper, unless one runs, and wait until all that it keeps is up.

    Raises:
        StackError: something is missing, or a part did not start; then nothing is left running.
        WeightsError: weights are missing and cannot be fetched.
    """
    require_endpoints(settings, profile)
    roles = own_engines(settings, profile)
    is_new = not kept(settings)
    if is_new:
        missing = [role for role in roles if role not in running_engines(settings.state)]
        if missing:
            for one in known(settings):
                if one.name == "engines":  # of a command cut off, or not all of them
                    stop(settings, one)
            prepare_engines(settings, profile, tell, roles, psutil.virtual_memory().total)
        running = {one.name for one in known(settings)}
        for name, port, purpose, variable in (
            ("webserver", settings.ui_port, "Dagster's UI", "RAG_UI_PORT"),
            ("door", settings.answerer_port, "the answerer", "RAG_ANSWERER_PORT"),
        ):
            if name not in running:
                require_free_port(port, purpose, variable)
        for file in (KEPT, REPORTS):  # of an earlier life
            (settings.state / file).unlink(missing_ok=True)
        spawn(settings, KEEPER, KEEPER_COMMAND, dagster_environment())
    try:
        wait_for_parts(settings, profile, tell, roles, PARTS, is_new=is_new)
    except StackError:
        if is_new:
            down(settings)
        raise


def wait_for_parts(
    settings: Settings,
    profile: Profile,
    tell: Tell,
    roles: Sequence[Role],
    parts: Sequence[str] = (),
    *,
    is_new: bool = False,
) -> None:
    """Wait until the keeper has engines and parts up, telling each.

    Raises:
        StackError: one ended while it was waited for; with ``is_new`` also if it did before.
    """
    began, told = time.monotonic(), set[str]()
    before: dict[str, int] = {}
    while not told.issuperset({*roles, *parts}):
        for report in reports(settings):
            if report.name in told or report.name not in {*roles, *parts}:
                continue
            took = f"after {time.monotonic() - began:.0f} s"
            if report.phase == "up":
                model = f": {profile.roles[report.name].model_id}" if report.name in roles else ""  # type: ignore[index] # a role
                tell(f"{report.name}{model} up {took}")
                told.add(report.name)
            elif report.restarts > before.setdefault(report.name, 0 if is_new else report.restarts):
                log = log_path(settings, report.name)
                said = log_end(settings, report.name, 12)
                raise StackError(f"{report.name}: {report.last_error}. The end of {log}:\n{said}")
        if not kept(settings):
            said = log_end(settings, KEEPER, 12)
            raise StackError(f"the keeper ended. The end of its log:\n{said}")
        if time.monotonic() - began > UP_S:
            missing = {*roles, *parts} - told
            raise StackError(
                f"{', '.join(sorted(missing))} did not come up within {UP_S:.0f} s; "
                "`rag status` says what runs"
            )
        time.sleep(0.3)


def reports(settings: Settings) -> list[Report]:
    """What the keeper and the engines' supervisor say of each part, where it is still true."""
    said = [*read_reports(settings.state / KEPT), *read_reports(settings.state / REPORTS)]
    return [
        one
        if not one.process or is_alive(ProcessId.parse(one.process))
        else replace(one, phase="waiting", process="")
        for one in said
    ]


def down(settings: Settings) -> list[str]:
    """Stop all that ``rag up``, or a command cut off, started; the names of what was stopped.

    Whatever is stopped by a signal is continued first. The answerer may finish its answers; then
    all others are asked to end, and what is left after a few seconds is ended by force.
    """
    names = set()
    for process in started(settings):
        with suppress(psutil.NoSuchProcess):
            name = process.environ()[PART]
            names.add(KEEPER if name == STANDBY else name)
    for name in (STANDBY, KEEPER, STANDBY, KEEPER):  # each starts the other again
        for process in started(settings, name):
            process.kill()
    (settings.state / KEPT).unlink(missing_ok=True)  # or the door would start the keeper again
    answerer = running_answerer(settings.state)
    if answerer is not None:
        names.add("answerer")
        with suppress(psutil.NoSuchProcess):
            end([psutil.Process(answerer.pid)], ANSWERS_S)
    # not their children: Dagster's and vLLM's servers end those themselves
    end([one for one in started(settings) if leads_session(one.pid)], END_S)
    for process in started(settings):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for file in ("started.json", REPORTS):
        (settings.state / file).unlink(missing_ok=True)
    return sorted(names)


def socket_path(settings: Settings, number: int) -> Path:
    """Where a code server listens: short, as a socket's path must be, and only this home's."""
    state = xxhash.xxh3_64_hexdigest(str(settings.state).encode())
    return Path(tempfile.gettempdir()) / f"rag-{os.getuid()}-{state}-{number}.sock"
