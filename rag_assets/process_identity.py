"""Which process it is: a process id is given again, and clocks are set.

A process is known by its id, its start in ticks since the machine's start, and that start's own
random id. None of these changes when the clock is set, unlike a time of day.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

_ENDED = frozenset("ZX")  # ended, and not yet asked for its result


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process; ``str`` and ``parse`` are the form in files and tags."""

    pid: int
    start_ticks: int
    boot_id: str

    def __str__(self) -> str:
        return f"{self.pid} {self.start_ticks} {self.boot_id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read back what ``str`` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            pid, start_ticks, boot_id = text.split()
            return cls(int(pid), int(start_ticks), boot_id)
        except ValueError:
            raise ValueError(f"expected a process as 'pid ticks boot', got {text!r}") from None


def identity(pid: int) -> ProcessId:
    """The process that has this id now.

    Raises:
        ProcessLookupError: none has.
    """
    found = _state_and_start(pid)
    if found is None:
        raise ProcessLookupError(f"no process has the id {pid}")
    return ProcessId(pid, found[1], _boot_id())


def is_alive(process: ProcessId) -> bool:
    """Whether it still runs on this machine (a zombie does not)."""
    found = _state_and_start(process.pid)
    return (
        found is not None
        and found[0] not in _ENDED
        and (found[1], _boot_id()) == (process.start_ticks, process.boot_id)
    )


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _state_and_start(pid: int) -> tuple[str, int] | None:
    """Fields 3 and 22 of ``/proc/<pid>/stat``; the second field, a name, may hold anything."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    return fields[0].decode(), int(fields[19])
