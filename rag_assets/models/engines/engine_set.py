"""EngineSet: starts the vLLM engines of a profile, keeps them alive, stops them.

Engines start one after another. On a GPU each measures the memory that is free before and after it
has loaded, and takes what another one takes meanwhile for its own. On a CPU it takes no longer than
all at once (figures in launcher.py), and the first ones are ready much earlier.
"""

import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import psutil
from filelock import FileLock, Timeout

from rag_assets.models.engines import launcher
from rag_assets.models.engines.command import engine_command, engine_environment, engine_python
from rag_assets.models.engines.state import (
    EngineState,
    is_healthy,
    is_same_process,
    listens,
    write_states,
)
from rag_assets.models.errors import EngineError, PortTakenError
from rag_assets.models.profiles import ROLES, Launch, ModelSpec, Profile, Role
from rag_assets.models.weights.pulling import is_pulled, require_pulled

START_ORDER: tuple[Role, ...] = ("embedder", "slm", "llm")  # the quickest first: others may go on
START_TIMEOUT_S = 900.0  # 14 B of weights from a slow disk
MAX_RESTARTS = 3  # of one role within the window below; then it is broken, not unlucky
RESTART_WINDOW_S = 600.0
_BACKOFF_S = 2.0  # before the second restart in the window; doubles with each further one

Progress = Callable[[Role, str, float], None]


def _ignore(role: Role, phase: str, seconds: float) -> None:
    """The progress callback of those who do not care."""


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
        self._states: dict[Role, EngineState] = {}
        self._restarts: dict[Role, list[float]] = {role: [] for role in ROLES}

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
        """The engines that were started and became healthy."""
        return dict(self._states)

    def start(self, roles: Sequence[Role] = ROLES) -> None:
        """Start the engines of ``roles``, one after another, and wait until each is healthy.

        Raises:
            NotPulledError: weights are missing; nothing was started.
            PortTakenError: a port is in use; nothing was started.
            EngineError: another process owns ``state_dir``, or an engine died or stayed unhealthy.
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
            self._start_one(spec, folders[spec.role])

    def check(self) -> None:
        """Restart engines that died; call it about once a second.

        Raises:
            EngineError: an engine died more than MAX_RESTARTS times within RESTART_WINDOW_S.
        """
        for role, state in list(self._states.items()):
            if is_same_process(state.pid, state.started_at):
                continue
            now = time.monotonic()
            recent = [at for at in self._restarts[role] if now - at < RESTART_WINDOW_S]
            if len(recent) >= MAX_RESTARTS:
                raise EngineError(
                    f"the engine of {role} died {len(recent) + 1} times within "
                    f"{RESTART_WINDOW_S / 60:.0f} minutes; the end of its log:\n{self._tail(role)}"
                )
            self._restarts[role] = [*recent, now]
            del self._states[role]
            write_states(self.state_dir, self._states.values())
            _kill_group(state.pgid)  # its core may outlive the server
            if recent:
                time.sleep(_BACKOFF_S * 2 ** (len(recent) - 1))
            spec = self.profile.spec(role)
            require_free_port(spec)
            self._start_one(spec, require_pulled(spec, self.cache_dir))

    def stop(self) -> None:
        """Stop every engine and wait until all its processes are gone; safe to call twice."""
        process, self._launcher = self._launcher, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()  # the launcher's sign to stop its engines
            try:
                process.wait(timeout=launcher.GRACE_S + 5)
            except subprocess.TimeoutExpired:
                process.kill()  # the kernel then kills the engines
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for state in self._states.values():
            _kill_group(state.pgid)
        self._states.clear()
        if self._lock.is_locked:
            write_states(self.state_dir, [])
            self._lock.release()

    def _start_one(self, spec: ModelSpec, folder: Path) -> None:
        started = time.monotonic()
        self._progress(spec.role, "launch", 0.0)
        (self.state_dir / "logs" / f"{spec.role}.log").unlink(missing_ok=True)
        pid = self._request(spec, folder)
        try:
            started_at = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            started_at = 0.0  # so short-lived that the wait below reports it with its log
        self._wait_healthy(spec, pid, started_at, started)
        self._states[spec.role] = EngineState(
            role=spec.role,
            pid=pid,
            pgid=pid,  # the launcher makes every engine the leader of its own group
            port=spec.port,
            url=spec.url,
            model_id=spec.model_id,
            served_name=spec.served_name,
            revision=spec.revision,
            profile=self.profile.name,
            started_at=started_at,
        )
        write_states(self.state_dir, self._states.values())
        self._progress(spec.role, "ready", time.monotonic() - started)

    def _wait_healthy(self, spec: ModelSpec, pid: int, started_at: float, started: float) -> None:
        next_report = 1.0
        while not is_healthy(spec.url):
            waited = time.monotonic() - started
            if not is_same_process(pid, started_at):
                self._give_up(spec, pid, "ended while it started")
            if waited > self._start_timeout_s:
                self._give_up(spec, pid, f"was not healthy after {waited:.0f} s")
            if waited >= next_report:
                self._progress(spec.role, "load", waited)
                next_report = waited + 1.0
            time.sleep(0.1)
        if not listens(pid, spec.port):
            if not is_same_process(pid, started_at):
                self._give_up(spec, pid, "ended while it started")
            _kill_group(pid)
            raise _taken(spec)

    def _give_up(self, spec: ModelSpec, pid: int, why: str) -> NoReturn:
        _kill_group(pid)
        raise EngineError(
            f"the engine of {spec.role} {why}; the end of its log:\n{self._tail(spec.role)}"
        )

    def _request(self, spec: ModelSpec, folder: Path) -> int:
        """Ask the launcher for one engine; returns its process id."""
        environment = engine_environment(spec, os.environ)
        if self._launcher is None or self._launcher.poll() is not None:
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
            # the answer waits for the import of vLLM in a fresh launcher
            ready, _, _ = select.select([process.stdout], [], [], self._start_timeout_s)
            answer = process.stdout.readline() if ready else b""
            return int(json.loads(answer)["pid"])
        except (BrokenPipeError, ValueError) as error:
            raise EngineError(
                f"the launcher of the engines failed; the end of its log:\n{self._tail('launcher')}"
            ) from error

    def _start_launcher(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with (self.state_dir / "logs" / "launcher.log").open("wb") as log:
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


def _kill_group(pgid: int) -> None:
    try:
        os.killpg(pgid, signal.SIGKILL)
    except ProcessLookupError:
        return
