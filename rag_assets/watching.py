"""What those who keep processes running share: signs of life, pauses between starts, reports.

Nothing here depends on a clock that can be set, or on a disk that can be full.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from filelock import FileLock, Timeout

from rag_assets.files import replace_file, understood
from rag_assets.process_identity import ProcessId

FIRST_PAUSE_S = 1.0  # before a process is started again; doubles with each end within the window
LONGEST_PAUSE_S = 60.0  # it is never given up: what it lacks may come back
WINDOW_S = 600.0
STOPPED_S = 5.0  # a moment is left to whoever stopped a process on purpose
STALLED_S = 20.0  # processes that wait in a loop wake at least once a second

KEPT = "kept.json"  # the keeper's reports, in the folder of the state
# In the environment of all that the keeper starts, and so of their children: whose they are.
PART_OF, PART = "RAG_PART_OF", "RAG_PART"
KEEPER, STANDBY = "keeper", "standby"
KEEPER_COMMAND = (sys.executable, "-m", "rag_assets.orchestration.keeper")
KEEPER_LOCK = "keeper.lock"  # whoever has it keeps; in the folder of the state

Phase = Literal["up", "starting", "waiting"]


@dataclass(slots=True)
class Restarts:
    """How often something ended unasked, why it did the last time, and when it is started again."""

    total: int = 0
    last_error: str = ""
    due: float = 0.0  # as time.monotonic()
    ends: list[float] = field(default_factory=list)  # within the window

    def ended(self, why: str, now: float) -> None:
        """Count an end and set the pause before the next start."""
        self.ends = [*(at for at in self.ends if now - at < WINDOW_S), now]
        self.total += 1
        self.last_error = why
        self.due = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (len(self.ends) - 1))


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of one part that is kept running.

    Attributes:
        name: of the part.
        phase: ``waiting`` is the pause before the next start.
        process: as ``str(ProcessId)``; "" where none runs.
        restarts: since the keeper of it began.
        last_error: why it ended the last time; "" if it never did.
    """

    name: str
    phase: Phase
    process: str
    restarts: int = 0
    last_error: str = ""

    @classmethod
    def of(cls, name: str, process: ProcessId | None, restarts: Restarts, *, is_up: bool) -> Self:
        """Of a part that has this process, if any."""
        phase: Phase = "up" if is_up else "waiting" if process is None else "starting"
        running = "" if process is None else str(process)
        return cls(name, phase, running, restarts.total, restarts.last_error)

    def sentence(self) -> str:
        """What is wrong with it, for a person; "" if it is up."""
        if self.phase == "up":
            return ""
        doing = "is being started" if self.phase == "starting" else "is started again in a moment"
        why = f" (restart {self.restarts}: {self.last_error})" if self.restarts else ""
        return f"{self.name} {doing}{why}"


class ReportFile:
    """Reports in a file that others read. A full disk delays them and does no other harm."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: list[Report] | None = None

    def write(self, reports: Iterable[Report]) -> None:
        """Replace the file if anything changed; what could not be written is tried next time."""
        now = list(reports)
        if now == self._written and self.path.is_file():
            return
        try:
            replace_file(self.path, json.dumps([asdict(report) for report in now]).encode())
        except OSError:
            return
        self._written = now


def read_reports(path: Path) -> list[Report]:
    """What a report file says; nothing where there is none.

    Raises:
        DamagedFileError: it is not as ``ReportFile`` writes it.
    """
    try:
        with understood(path):
            return [Report(**row) for row in json.loads(path.read_bytes())]
    except FileNotFoundError:
        return []


def is_abandoned(state: Path, pause_s: float) -> bool:
    """Whether `rag up` runs and nobody keeps it: the keeper and its standby died together.

    That is so if two looks find it so: in the pause between them a standby takes over, or
    `rag down`, which ends both, takes the reports away.
    """
    if _is_unkept(state):
        time.sleep(pause_s)
        return _is_unkept(state)
    return False


def _is_unkept(state: Path) -> bool:
    if not (state / KEPT).is_file():
        return False
    try:
        with FileLock(state / KEEPER_LOCK, timeout=0):
            return True
    except (Timeout, OSError):
        return False


class Stopped:
    """How long processes have been stopped by a signal (or a debugger) and not continued."""

    def __init__(self) -> None:
        self._since: float | None = None

    def seconds(self, pids: Iterable[int]) -> float:
        """How long it has been so, for at least one of them, at each of these questions."""
        if not any(_is_stopped(pid) for pid in pids):
            self._since = None
            return 0.0
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        return now - self._since


def _is_stopped(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(b")") + 2 :][:1] in b"Tt"


class Stall:
    """Tells when the main thread of a process that waits in a loop no longer wakes.

    The kernel counts how often a thread gave up its processor; so the process need not do anything
    for this, such as writing to a disk.
    """

    def __init__(self, pid: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(f"/proc/{pid}/task/{pid}/status")
        self._clock = clock
        self._count = -1
        self._moved_at = clock()

    def seconds(self) -> float:
        """How long ago it was last seen to have moved."""
        count = self._switches()
        if count != self._count:
            self._count, self._moved_at = count, self._clock()
        return self._clock() - self._moved_at

    def _switches(self) -> int:
        try:
            lines = self._path.read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return -1
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
