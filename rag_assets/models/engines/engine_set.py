"""EngineSet: starts the vLLM engines of a profile, keeps each of them alive, stops them.

Engines start one after another. On a GPU each measures the memory that is free before and after it
has loaded, and takes what another one takes meanwhile for its own. On a CPU it takes no longer than
all at once (figures in launcher.py), and the first ones are ready much earlier.
"""

import json
import logging
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from filelock import FileLock, Timeout

from rag_assets.models.engines import launcher
from rag_assets.models.engines.command import engine_command, engine_environment, engine_python
from rag_assets.models.engines.pulse import STOPPED, Pulse
from rag_assets.models.engines.state import (
    REPORTS,
    EngineState,
    family,
    is_healthy,
    listens,
    write_states,
)
from rag_assets.models.errors import EngineError, PortTakenError
from rag_assets.models.profiles import ROLES, Launch, ModelSpec, Profile, Role
from rag_assets.models.weights.pulling import is_pulled, require_pulled
from rag_assets.process_identity import ProcessId, identity, is_alive
from rag_assets.watching import STOPPED_S, Report, ReportFile, Restarts, Stopped

START_ORDER: tuple[Role, ...] = ("embedder", "slm", "llm")  # the quickest first: others may go on
START_TIMEOUT_S = 900.0  # 14 B of weights from a slow disk
GONE_S = 3.0  # for the kernel to free a killed engine's memory
LAUNCHER_S = 180.0  # in which a launcher that imports vLLM first must answer

log = logging.getLogger(__name__)
Progress = Callable[[Role, str, float], None]


def _ignore(role: Role, phase: str, seconds: float) -> None:
    """The progress callback of those who do not care."""


@dataclass(slots=True)
class _Engine:
    """One engine that is to run: ``process`` while one does, ``state`` once it was healthy."""

    spec: ModelSpec
    folder: Path
    restarts: Restarts
    process: ProcessId | None = None
    state: EngineState | None = None
    pulse: Pulse | None = None
    stopped: Stopped = field(default_factory=Stopped)  # while it starts
    began: float = 0.0
    fault: EngineError | None = None
    told: float = 0.0  # seconds after ``began`` at which its loading was last reported

    def report(self) -> Report:
        """What is known of it."""
        return Report.of(self.spec.role, self.process, self.restarts, is_up=bool(self.state))


class EngineSet:
    """The engines of one profile, owned by this process; a context manager that stops them.

    Only one owner a ``state_dir`` at a time. Logs go to ``state_dir/logs/<role>.log``, the state
    that other processes read to ``state_dir/engines.json``. Not for use from several threads.

    Args:
        profile: names models, flags and ports.
        cache_dir: where :func:`rag_assets.models.weights.pulling.pull` put the weights.
        state_dir: made if missing.
        progress: called with (role, phase, seconds since its start); phases are ``launch``,
            ``load`` (about once a second) and ``ready``.
        command: the command line of an engine; replaced in tests.
        launch: how processes are started; None means as the profile says.
    """

    def __init__(
        self,
        profile: Profile,
        cache_dir: Path,
        state_dir: Path,
        *,
        progress: Progress = _ignore,
        command: Callable[[ModelSpec, Path], list[str]] = engine_command,
        launch: Launch | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self.profile = profile
        self.cache_dir = cache_dir
        self.state_dir = state_dir
        self._progress = progress
        self._command = command
        self._launch: Launch = launch or profile.launch
        self._start_timeout_s = start_timeout_s
        self._lock = FileLock(state_dir / "engines.lock")
        self._launcher: subprocess.Popen[bytes] | None = None
        self._stopped = Stopped()  # the launcher
        self._engines: dict[Role, _Engine] = {}
        self._reports = ReportFile(state_dir / REPORTS)
        self._written: list[EngineState] | None = None

    def __enter__(self) -> Self:
        """Itself; engines start with :meth:`start`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop every engine, whatever happened."""
        self.stop()

    @property
    def states(self) -> Mapping[Role, EngineState]:
        """The engines that were started, became healthy and were not found dead since."""
        return {role: one.state for role, one in self._engines.items() if one.state is not None}

    def keep(self, roles: Sequence[Role] = ROLES) -> None:
        """From now on :meth:`check` starts the engines of ``roles`` and keeps them running.

        Raises:
            NotPulledError: weights are missing; nothing was started.
            PortTakenError: a port is in use; nothing was started.
            EngineError: another process owns ``state_dir``.
        """
        specs = [self.profile.spec(role) for role in START_ORDER if role in roles]
        folders = {spec.role: require_pulled(spec, self.cache_dir) for spec in specs}
        for spec in specs:
            require_free_port(spec)
        (self.state_dir / "logs").mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise EngineError(
                f"another process already runs the engines of {self.state_dir}; "
                "use them, or stop them with `rag down`"
            ) from error
        for spec in specs:
            self._engines[spec.role] = _Engine(spec, folders[spec.role], Restarts())

    def start(self, roles: Sequence[Role] = ROLES) -> None:
        """:meth:`keep`, then wait until each is healthy.

        Raises:
            NotPulledError, PortTakenError: nothing was started.
            EngineError: another process owns ``state_dir``, or an engine ended while it started, or
                stayed unhealthy; it is given up.
        """
        self.keep(roles)
        while waiting := [one for one in self._engines.values() if one.state is None]:
            self.check()
            for engine in waiting:
                if engine.fault is not None:
                    del self._engines[engine.spec.role]
                    raise engine.fault
            time.sleep(0.1)

    def check(self) -> None:
        """See to every engine once: end what hangs, start again what ended; about once a second.

        An engine that cannot be started is tried again after a pause, which doubles up to
        LONGEST_PAUSE_S. The others are served meanwhile. At most one loads at a time.
        """
        self._check_launcher()
        for engine in self._engines.values():
            try:
                if engine.process is not None:
                    self._check_one(engine)
            except EngineError as error:
                self._end(engine, error)
        if not any(one.process is not None and one.state is None for one in self._engines.values()):
            now = time.monotonic()
            waiting = [one for one in self._engines.values() if one.process is None]
            for engine in sorted(waiting, key=lambda one: one.restarts.due)[:1]:
                if engine.restarts.due <= now:
                    try:
                        self._launch_one(engine)
                    except EngineError as error:
                        self._end(engine, error)
        self._publish()

    def stop(self) -> None:
        """Stop every engine and wait until all its processes are gone; safe to call twice."""
        process, self._launcher = self._launcher, None
        if process is not None:
            _continue(process.pid)
            if process.stdin is not None:
                process.stdin.close()  # the launcher's sign to stop its engines
            for engine in self._engines.values():
                if engine.process is not None:
                    _continue_group(engine.process)
            try:
                process.wait(timeout=launcher.GRACE_S + 5)
            except subprocess.TimeoutExpired:
                process.kill()  # the kernel then kills the engines
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for engine in self._engines.values():
            self._kill(engine)
        self._engines.clear()
        if self._lock.is_locked:
            self._publish()
            self._lock.release()

    def _check_launcher(self) -> None:
        """A launcher that stands still is ended, and its engines with it: it could start none."""
        if self._launcher and self._stopped.seconds([self._launcher.pid]) > STOPPED_S:
            self._launcher.kill()

    def _check_one(self, engine: _Engine) -> None:
        """Raise EngineError if a started engine ended, hangs, or takes too long to start."""
        spec, process = engine.spec, engine.process
        if process is None:
            return
        if not is_alive(process):
            raise self._failed(spec, "ended" if engine.state else "ended while it started")
        if engine.pulse is not None and (why := engine.pulse.trouble()):
            raise self._failed(spec, why)
        if engine.state is not None:
            return
        waited = time.monotonic() - engine.began
        if is_healthy(spec.url):
            self._now_up(engine, process)
        elif waited > self._start_timeout_s:
            raise self._failed(spec, f"was not healthy after {waited:.0f} s")
        elif engine.stopped.seconds(one.pid for one in family(process.pid)) > STOPPED_S:
            raise self._failed(spec, STOPPED)
        elif waited >= engine.told + 1.0:
            self._progress(spec.role, "load", waited)
            engine.told = waited

    def _now_up(self, engine: _Engine, process: ProcessId) -> None:
        spec = engine.spec
        if not listens(process.pid, spec.port):
            if is_alive(process):
                raise _taken(spec)
            raise self._failed(spec, "ended while it started")
        engine.state = EngineState(
            role=spec.role,
            process=process,
            port=spec.port,
            url=spec.url,
            model_id=spec.model_id,
            served_name=spec.served_name,
            revision=spec.revision,
            profile=self.profile.name,
        )
        engine.pulse = Pulse(engine.state)
        self._publish()
        self._progress(spec.role, "ready", time.monotonic() - engine.began)

    def _launch_one(self, engine: _Engine) -> None:
        spec = engine.spec
        require_free_port(spec)
        require_pulled(spec, self.cache_dir)
        engine.began, engine.told = time.monotonic(), 0.0
        self._progress(spec.role, "launch", 0.0)
        pid = self._request(spec, engine.folder)
        try:
            engine.process = identity(pid)
        except ProcessLookupError:
            raise self._failed(spec, "ended while it started") from None

    def _end(self, engine: _Engine, error: EngineError) -> None:
        """End what is left of an engine that failed, and note why."""
        engine.fault = error
        log.warning("%s", str(error).partition(";")[0])  # the report keeps the last one alone
        engine.restarts.ended(str(error).partition(";")[0], time.monotonic())
        self._kill(engine)

    def _kill(self, engine: _Engine) -> None:
        if engine.process is not None:
            _kill_group(engine.process.pid)  # its core may outlive the server
        if engine.pulse is not None:
            engine.pulse.close()
        engine.process = engine.state = engine.pulse = None

    def _publish(self) -> None:
        """Let others know which engines run; a full disk only delays that."""
        states = list(self.states.values())
        if states != self._written:
            try:
                write_states(self.state_dir, states)
                self._written = states
            except OSError:
                self._written = None
        self._reports.write(engine.report() for engine in self._engines.values())

    def _failed(self, spec: ModelSpec, why: str) -> EngineError:
        return EngineError(
            f"the engine of {spec.role} {why}; the end of its log:\n{self._tail(spec.role)}"
        )

    def _request(self, spec: ModelSpec, folder: Path) -> int:
        """Ask the launcher for one engine; returns its process id."""
        environment = engine_environment(spec, os.environ)
        if self._launcher is not None and self._launcher.poll() is not None:
            for pipe in (self._launcher.stdin, self._launcher.stdout):
                if pipe is not None:
                    pipe.close()
            self._launcher = None
        if self._launcher is None:
            self._launcher = self._start_launcher(environment)
        process = self._launcher
        if process.stdin is None or process.stdout is None:
            raise EngineError("the launcher was started without pipes")
        request = {
            "role": spec.role,
            "argv": self._command(spec, folder),
            "environment": environment,
            "log": str(self.state_dir / "logs" / f"{spec.role}.log"),
        }
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline() if _is_readable(process.stdout) else b""
            return int(json.loads(answer)["pid"])
        except (BrokenPipeError, ValueError) as error:
            process.kill()  # it may stand still; the kernel kills its engines, too
            raise EngineError(
                f"the launcher of the engines failed; the end of its log:\n{self._tail('launcher')}"
            ) from error

    def _start_launcher(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with (self.state_dir / "logs" / "launcher.log").open("ab") as log:
            return subprocess.Popen(
                # By its file: an environment of the engines' own need not hold this package. Its
                # folder is not searched for modules (-P).
                [str(engine_python()), "-P", launcher.__file__, self._launch],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal must not kill engines uncleanly
            )

    def _tail(self, name: str, n_lines: int = 20) -> str:
        path = self.state_dir / "logs" / f"{name}.log"
        if not path.is_file():
            return "(no log)"
        return "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-n_lines:])


@contextmanager
def imported_ahead(profile: Profile, cache_dir: Path) -> Iterator[None]:
    """Import vLLM once beside a first pull of weights, for the bytecode that this leaves.

    A new environment has none, and compiling it takes the first engine 13 s. Nothing where no
    weights are missing: then engines have run before.
    """
    if all(is_pulled(spec, cache_dir) for spec in profile.roles.values()):
        yield
        return
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [str(engine_python()), "-P", launcher.__file__, "import"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # an engine that cannot be imported says so when it is started
    )
    try:
        yield
    finally:
        process.terminate()  # what it has not come to, the first engine compiles
        process.wait()


def require_free_port(spec: ModelSpec) -> None:
    """Raise PortTakenError if anything listens on the engine's port.

    Another engine that has the port but loads its weights yet is not seen: vLLM takes the port long
    before it listens, and in a way that lets a second one take it, too (SO_REUSEPORT). So who
    answers in the end is looked at as well, see :func:`listens`.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is not in use
        try:
            probe.bind(("127.0.0.1", spec.port))
        except OSError as error:
            raise _taken(spec) from error


def _taken(spec: ModelSpec) -> PortTakenError:
    return PortTakenError(
        f"port {spec.port}, meant for the engine of {spec.role}, is in use; stop what listens "
        "there (`rag down`), or set RAG_ENGINE_PORT_BASE to another range"
    )


def _is_readable(pipe: IO[bytes]) -> bool:
    """Wait for the launcher's answer, which in a fresh one comes after the import of vLLM.

    In short waits: who sleeps for minutes is taken for hung by the keeper.
    """
    deadline = time.monotonic() + LAUNCHER_S
    while time.monotonic() < deadline:
        ready, _, _ = select.select([pipe], [], [], 0.5)
        if ready:
            return True
    return False


def _kill_group(pgid: int) -> None:
    """Kill a group and wait until it is gone: only then is its port free."""
    deadline = time.monotonic() + GONE_S
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(pgid, signal.SIGKILL)
            time.sleep(0.05)


def _continue(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _continue_group(process: ProcessId) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)
