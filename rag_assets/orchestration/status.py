"""What runs of ``rag up``: since when, in how much memory, how often it was started again."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from rag_assets.orchestration.own_processes import started
from rag_assets.orchestration.processes import reports
from rag_assets.process_identity import ProcessId, identity
from rag_assets.settings import Settings
from rag_assets.watching import KEEPER, KEPT, STANDBY, Report

ABANDONED = "nobody keeps the others running; if that lasts, run `rag up`"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the status.

    Attributes:
        part: its name.
        phase: ``up``, ``starting`` or ``waiting`` for its next start.
        pid: of its process; None where none runs.
        up_s: seconds since its process was started.
        memory_bytes: of it and its children, pages that they share counted once.
        restarts: since `rag up`.
        last_error: why it ended the last time.
    """

    part: str
    phase: str
    pid: int | None = None
    up_s: float | None = None
    memory_bytes: int | None = None
    restarts: int = 0
    last_error: str = ""


def status(settings: Settings) -> list[Row]:
    """A row for the keeper and for each part that it keeps; empty where nothing runs."""
    ours = started(settings)
    if not ours:
        return []
    said = reports(settings)
    known = {ProcessId.parse(one.process).pid for one in said if one.process}
    found = [*started(settings, KEEPER), *started(settings, STANDBY)]
    keepers = [
        Report(KEEPER, "up", str(identity(process.pid)))
        for process in found
        if process.pid not in known
    ]
    if not found and (settings.state / KEPT).is_file():
        keepers = [Report(KEEPER, "waiting", "", last_error=ABANDONED)]
    rows = [*keepers, *said]
    memory = _memory(ours, [ProcessId.parse(one.process).pid for one in rows if one.process])
    return [_row(one, memory) for one in rows]


def _row(said: Report, memory: dict[int, int]) -> Row:
    if not said.process:
        return Row(said.name, said.phase, restarts=said.restarts, last_error=said.last_error)
    process = ProcessId.parse(said.process)
    since_start = process.start_ticks / os.sysconf("SC_CLK_TCK")
    return Row(
        said.name,
        said.phase,
        process.pid,
        round(time.clock_gettime(time.CLOCK_BOOTTIME) - since_start, 1),
        memory.get(process.pid, 0),
        said.restarts,
        said.last_error,
    )


def _memory(processes: Iterable[psutil.Process], heads: Iterable[int]) -> dict[int, int]:
    """Head -> bytes of it and of what descends from it, down to the next head."""
    known, total = set(heads), defaultdict[int, int](int)
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            line = [process, *process.parents()]
            head = next((one.pid for one in line if one.pid in known), None)
            if head is not None:
                total[head] += process.memory_full_info().pss
    return total
