"""The keeper: one small process that keeps running what ``rag up`` started.

``python -m rag_assets.orchestration.keeper``. A part is started, watched and started again after a
pause: when it ended, when its main thread no longer wakes, or when it answers no probe for a while.
The keeper holds a lock; a second one, its standby, waits for the lock, ends a keeper that stands
still, and takes over the parts as they run. Either starts the other again; should both die at the
same moment, the door starts a keeper.

A part knows nothing of the keeper. All that descend from it carry its name in their environment, so
what is left of a part is found without any file.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import yaml
from filelock import FileLock, Timeout

from rag_assets.files import ensure_file, sweep_parts
from rag_assets.installation.home import file_of
from rag_assets.models.engines.state import running_engines
from rag_assets.models.weights.choosing import active_profile
from rag_assets.orchestration import own_processes as own
from rag_assets.orchestration import processes as stack
from rag_assets.orchestration.log_files import rotate
from rag_assets.orchestration.places import RUN, dagster_environment
from rag_assets.process_identity import ProcessId, identity, is_alive
from rag_assets.serving.client import DOOR_PATH
from rag_assets.serving.listening import answerer_address, running_answerer
from rag_assets.settings import Settings, load_settings
from rag_assets.watching import (
    KEEPER_COMMAND,
    KEEPER_LOCK,
    KEPT,
    STALLED_S,
    STANDBY,
    STOPPED_S,
    Report,
    ReportFile,
    Restarts,
    Stall,
    Stopped,
    read_reports,
)

log = logging.getLogger(__name__)
TICK_S = 0.5
UPKEEP_EVERY_S = 10.0
PROBE_EVERY_S = 2.0
PROBE_S = 5.0
HUNG_S = 30.0  # without an answer to a probe
START_S = 180.0  # until the first one
RUN_S = 300.0  # from the launch of a run to the process that it starts


@dataclass(slots=True)
class Part:
    """One part: how it is started and probed, and what is known of it now.

    Attributes:
        name: also of its log.
        command: starts it.
        answers: the probe; None where being awake is all that can be seen.
        found: where it is, if it is not the process that ``command`` starts.
        ready: whether it can be started now.
    """

    name: str
    command: Sequence[str]
    answers: Callable[[], bool] | None = None
    found: Callable[[], ProcessId | None] | None = None
    ready: Callable[[], bool] = lambda: True
    process: ProcessId | None = None
    is_up: bool = False
    began: float = 0.0
    answered: float = 0.0
    restarts: Restarts = field(default_factory=Restarts)
    stall: Stall | None = None
    stopped: Stopped = field(default_factory=Stopped)

    def pids(self) -> list[int]:
        """Of its process, and of the Dagster run that has it as a child, if one does."""
        if self.process is None:
            return []
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            parent = psutil.Process(self.process.pid).parent()
            if self.found is not None and parent is not None and RUN in parent.environ():
                return [self.process.pid, parent.pid]
        return [self.process.pid]

    def report(self) -> Report:
        """What is known of it."""
        return Report.of(self.name, self.process, self.restarts, is_up=self.is_up)


class Keeper:
    """Keeps parts running; :meth:`tick` does all there is to do now.

    Args:
        settings: where they are.
        parts: what to keep.
        env: of each part.
    """

    def __init__(self, settings: Settings, parts: Sequence[Part], env: Mapping[str, str]) -> None:
        self._settings = settings
        self.parts = parts
        self._env = env
        self._reports = ReportFile(settings.state / KEPT)
        self._exits: dict[int, int] = {}
        running = {one.name: one.process for one in own.known(settings)}
        before = {one.name: one for one in read_reports(settings.state / KEPT)}
        for part in parts:
            found = running.get(part.name) if part.found is None else part.found()
            if found is not None and found.pid != os.getpid():
                self._take(part, found)
            if (said := before.get(part.name)) is not None:
                part.restarts = Restarts(said.restarts, said.last_error)
            if part.answers is not None:
                threading.Thread(target=_probe, args=(part,), daemon=True).start()

    def adopt(self, name: str) -> None:
        """From now on keep also this part, which a command started; nothing if there is none."""
        for one in own.known(self._settings):
            if one.name == name and name not in {part.name for part in self.parts}:
                with suppress(psutil.NoSuchProcess):
                    part = Part(name, psutil.Process(one.process.pid).cmdline())
                    self._take(part, one.process)
                    self.parts = [*self.parts, part]

    def tick(self) -> None:
        """See to each part once."""
        self._exits |= own.reap()
        for part in self.parts:
            try:
                self._see_to(part)
            except OSError as error:  # a full disk, no memory for another process
                self._ended(part, f"could not be started: {error}")
        self._reports.write(part.report() for part in self.parts)

    def _see_to(self, part: Part) -> None:
        now = time.monotonic()
        if part.found is not None and (found := part.found()) not in (None, part.process):
            self._take(part, found)
        if part.process is None:
            if now >= part.restarts.due and part.ready():
                self._start(part)
        elif not is_alive(part.process):
            launched = part.found is not None and self._exits.get(part.process.pid) == 0
            if part.is_up or not launched:
                self._ended(part, self._how(part, part.process))
            elif stack.run_is_over(self._settings, own.log_end(self._settings, part.name, 1)):
                self._ended(part, "its run ended before it was up; see it in Dagster's UI")
            elif now - part.began > RUN_S:
                self._ended(part, f"its run did not bring it up within {RUN_S:.0f} s")
        elif why := self._trouble(part, now):
            for pid in part.pids():
                _kill(pid)
            self._ended(part, why)
        elif not part.is_up:
            part.is_up = part.answered > part.began if part.answers else now - part.began > 1.0

    def _trouble(self, part: Part, now: float) -> str:
        if part.process is None or part.stall is None:
            return ""
        if part.stopped.seconds(part.pids()) > STOPPED_S:
            return "was stopped by a signal and not continued"
        if part.stall.seconds() > STALLED_S:
            return f"did not wake for {STALLED_S:.0f} s"
        if part.answers is not None:
            limit = HUNG_S if part.is_up else START_S
            if now - max(part.answered, part.began) > limit:
                return f"gave no answer for {limit:.0f} s"
        return ""

    def _start(self, part: Part) -> None:
        if part.found is None:
            sweep(self._settings, part.name)
        started = own.spawn(self._settings, part.name, part.command, self._env)
        self._take(part, started.process)

    def _take(self, part: Part, process: ProcessId | None) -> None:
        part.process, part.is_up = process, False
        part.began = time.monotonic()
        part.stall = None if process is None else Stall(process.pid)
        part.stopped = Stopped()

    def _ended(self, part: Part, why: str) -> None:
        log.warning("%s %s", part.name, why)  # the report keeps the last one alone
        part.restarts.ended(why, time.monotonic())
        part.process, part.is_up = None, False

    def _how(self, part: Part, process: ProcessId) -> str:
        """How a process ended, as far as this one can know: it may not be its parent."""
        code = self._exits.get(process.pid, 0)
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return "ended; the last line of its log: " + (
            own.log_end(self._settings, part.name, 1) or "none"
        )


def _probe(part: Part) -> None:
    while True:
        if part.answers is not None and part.answers():
            part.answered = time.monotonic()
        time.sleep(PROBE_EVERY_S)


def _http(url: str) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            return httpx.get(url, timeout=PROBE_S, trust_env=False).status_code < 500
        except httpx.TransportError:
            return False

    return answers


def _grpc(address: str) -> Callable[[], bool]:
    def answers() -> bool:
        import grpc  # some 20 MB; the door and the engines' keeper do without
        from grpc_health.v1 import health_pb2, health_pb2_grpc

        with grpc.insecure_channel(address) as channel:
            request = health_pb2.HealthCheckRequest(service="DagsterApi")
            try:
                health_pb2_grpc.HealthStub(channel).Check(request, timeout=PROBE_S)
            except grpc.RpcError:
                return False
        return True

    return answers


def parts_of(settings: Settings) -> list[Part]:
    """What ``rag up`` runs: engines, Dagster's processes, the door and the answerer behind it."""
    profile, python = active_profile(), sys.executable
    roles = stack.own_engines(settings, profile)
    parts = []
    if roles:
        parts.append(Part("engines", stack.engines_command(settings, profile, roles)))
    codes, workspace = _code_servers(settings)
    web = Part(
        "webserver",
        [python, "-m", "rag_assets.orchestration.webserver", "-w", str(workspace)],
        _http(f"{settings.ui_url}/server_info"),
        ready=lambda: all(code.is_up for code in codes),
    )
    daemon = Part(
        "daemon",
        [python, "-m", "dagster._daemon", "run", "-w", str(workspace)],
        ready=lambda: web.is_up,  # two that make the storage at once leave a broken one
    )
    door = Part(
        "door",
        [python, "-m", "rag_assets.serving.door"],
        _http(f"{settings.answerer_url}{DOOR_PATH}"),
    )
    parts += [*codes, web, daemon, door]
    needed = [part for part in parts if part.name != "daemon"]

    def can_launch() -> bool:
        return all(part.is_up for part in needed) and set(roles) <= {
            *running_engines(settings.state)
        }

    launch = "from rag_assets.orchestration import processes as p; p.launch_job('answerer_job')"
    parts.append(
        Part(
            "answerer",
            [python, "-c", launch],
            lambda: _http(f"{answerer_address(settings.state)}/healthz")(),
            found=lambda: running_answerer(settings.state),
            ready=can_launch,
        )
    )
    return parts


_NAMES = {
    "python_module": "module_name", "python_package": "package_name",
    "python_file": "relative_path",
}  # fmt: skip
_FLAGS = {
    "module_name": "-m", "package_name": "--package-name", "relative_path": "-f",
    "attribute": "-a", "working_directory": "-d", "location_name": "--location-name",
}  # fmt: skip


def _code_servers(settings: Settings) -> tuple[list[Part], Path]:
    """A code server for each module of the home's workspace, and the workspace that names them.

    ``dagster dev`` would start them itself, and end all of Dagster when one process ends.
    """
    file = file_of(settings.home, "workspace.yaml")
    declared = yaml.safe_load(file.read_text())
    parts, entries = [], []
    for number, entry in enumerate(declared["load_from"]):
        ((kind, fields),) = entry.items()
        if kind == "grpc_server":
            entries.append(entry)
            continue
        fields = {_NAMES[kind]: fields} if isinstance(fields, str) else dict(fields)
        for name in {"working_directory", "relative_path"} & fields.keys():
            fields[name] = str(file.parent / fields[name])
        python = fields.pop("executable_path", sys.executable)
        options = [text for name, value in fields.items() for text in (_FLAGS[name], str(value))]
        socket = stack.socket_path(settings, number)
        command = [python, "-m", "dagster", "api", "grpc", "-s", str(socket), *options]
        name = "code" if number == 0 else f"code{number}"
        parts.append(Part(name, command, _grpc(f"unix:{socket}")))
        location = fields.get("location_name") or fields.get("module_name") or name
        served = {"socket": str(socket), "location_name": location}
        entries.append({"grpc_server": served})
    path = settings.state / "workspace.yaml"
    ensure_file(path, yaml.safe_dump({"load_from": entries}).encode())
    return parts, path


def sweep(settings: Settings, part: str) -> None:
    """End by force what is left of a part; runs that it launched go on, as the answerer's does."""
    for process in own.started(settings, part):
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == process.pid and RUN not in process.environ():
                _kill_group(process.pid)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def main(before: str = "") -> None:
    """Wait for the lock as the standby of the keeper ``before``, then keep until killed."""
    settings = load_settings()
    settings.state.mkdir(0o700, parents=True, exist_ok=True)
    lock = FileLock(settings.state / KEEPER_LOCK)
    _wait_for(lock, ProcessId.parse(before) if before else None)
    me = str(identity(os.getpid()))
    standby = Part(STANDBY, [*KEEPER_COMMAND, me])
    parts = [*parts_of(settings), standby]
    keeper = Keeper(settings, parts, dagster_environment())
    tended = 0.0
    while True:
        keeper.tick()
        if time.monotonic() - tended > UPKEEP_EVERY_S:
            tended = time.monotonic()
            rotate(settings.state / "logs")
            for folder in (settings.state, settings.home, settings.dagster_home):
                sweep_parts(folder)
            keeper.adopt(stack.EARLIER_ENGINES)
        time.sleep(TICK_S)


def _wait_for(lock: FileLock, before: ProcessId | None) -> None:
    """Return with the lock; the keeper that has it now is ended if it stands still."""
    stall, stopped = None if before is None else Stall(before.pid), Stopped()
    while True:
        with suppress(Timeout):
            lock.acquire(timeout=0)
            return
        if before is not None and stall is not None:
            is_stopped = stopped.seconds([before.pid]) > STOPPED_S
            if is_alive(before) and (is_stopped or stall.seconds() > STALLED_S):
                _kill(before.pid)
        time.sleep(TICK_S)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    main(*sys.argv[1:])
