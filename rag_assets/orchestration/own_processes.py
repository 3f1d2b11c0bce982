"""The processes that this home has started: start, write down, find and end them.

Every process leads a session of its own, logs to ``<state>/logs``, is recorded in
``<state>/started.json`` and carries in its environment whose it is, as do all that descend from it.
"""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from rag_assets.files import NO_DOCUMENTS, replace_file, understood
from rag_assets.process_identity import ProcessId, identity, is_alive
from rag_assets.settings import Settings
from rag_assets.watching import PART, PART_OF

GRACE_S = 20.0  # for what one command started; engines end within a few seconds


@dataclass(frozen=True, slots=True)
class Started:
    """A process that we started."""

    name: str
    process: ProcessId


def spawn(
    settings: Settings, name: str, command: Sequence[str], env: Mapping[str, str] | None = None
) -> Started:
    """Start a process in the background and write it down."""
    log = log_path(settings, name)
    settings.state.mkdir(0o700, parents=True, exist_ok=True)
    log.parent.mkdir(exist_ok=True)
    (settings.state / NO_DOCUMENTS).touch()
    settings.home.mkdir(parents=True, exist_ok=True)
    with open_log(log) as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=settings.home,
            env={
                **(os.environ if env is None else env),
                "RAG_HOME": str(settings.home),
                PART_OF: str(settings.state),
                PART: name,
            },
        )
    _children.append(process)
    started = Started(name, identity(process.pid))
    with suppress(OSError):  # a full disk: then it is found by its environment
        _write(settings, [*(s for s in known(settings) if s.name != name), started])
    return started


_children: list[subprocess.Popen[bytes]] = []


def reap() -> dict[int, int]:
    """The processes started here that have ended since: their ids, and how they ended."""
    ended = {child.pid: child.returncode for child in _children if child.poll() is not None}
    _children[:] = [child for child in _children if child.pid not in ended]
    return ended


def started(settings: Settings, part: str | None = None) -> list[psutil.Process]:
    """All processes that carry in their environment that they are of this home's stack.

    Args:
        settings: the home's.
        part: only this one's.
    """
    found = []
    for process in psutil.process_iter():
        try:
            env = process.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
        is_ours = env.get(PART_OF) == str(settings.state) and part in (None, env.get(PART))
        if is_ours and process.pid != os.getpid():
            found.append(process)
    return found


def open_log(path: Path) -> IO[bytes]:
    """The log to append to; nothing is kept where the disk is too full to make it."""
    try:
        return path.open("ab")
    except OSError:
        return open(os.devnull, "ab")


def log_end(settings: Settings, name: str, n_lines: int) -> str:
    """The last lines of a log."""
    try:
        text = log_path(settings, name).read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-n_lines:])


def log_path(settings: Settings, name: str) -> Path:
    """Where a process of the stack logs."""
    return settings.state / "logs" / f"{name}.log"


def known(settings: Settings) -> list[Started]:
    """Processes of the stack that still run.

    Raises:
        DamagedFileError: ``started.json`` is not as we write it.
    """
    path = settings.state / "started.json"
    if not path.is_file():
        return []
    with understood(path):
        written: dict[str, str] = json.loads(path.read_bytes())
        started = [Started(name, ProcessId.parse(process)) for name, process in written.items()]
    return [one for one in started if is_alive(one.process)]


def _write(settings: Settings, started: Sequence[Started]) -> None:
    written = {one.name: str(one.process) for one in started}
    replace_file(settings.state / "started.json", json.dumps(written).encode())


def stop(settings: Settings, started: Started) -> None:
    """Ask it to end, wait, and end it and its children by force if it does not."""
    family = []
    with suppress(psutil.NoSuchProcess):  # it may end by itself at any of these lines
        if is_alive(started.process):
            process = psutil.Process(started.process.pid)
            family = [process, *process.children(recursive=True)]
            process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=GRACE_S)
    for survivor in alive:
        with suppress(psutil.NoSuchProcess):
            survivor.kill()
    psutil.wait_procs(alive, timeout=10)
    _write(settings, [s for s in known(settings) if s.name != started.name])


def leads_session(pid: int) -> bool:
    """Whether a process leads its session, as each that is started here does."""
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def end(family: Sequence[psutil.Process], grace_s: float) -> None:
    """Ask processes to end, also those that a signal stopped; then end by force what is left."""
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
            process.resume()
    _, alive = psutil.wait_procs(family, timeout=grace_s)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
