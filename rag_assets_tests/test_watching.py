import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_assets import watching
from rag_assets.watching import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    WINDOW_S,
    Report,
    ReportFile,
    Restarts,
    Stall,
    Stopped,
    read_reports,
)

TICKS = "import time\nprint(1, flush=True)\nwhile True: time.sleep(0.01)"


@pytest.fixture
def ticking() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", TICKS], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_pauses_double_and_never_end() -> None:
    restarts = Restarts()
    pauses = []
    for _ in range(12):
        restarts.ended("fell over", 100.0)
        pauses.append(restarts.due - 100.0)
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert (restarts.total, restarts.last_error) == (12, "fell over")
    restarts.ended("again, much later", 100.0 + 2 * WINDOW_S)
    assert restarts.due == 100.0 + 2 * WINDOW_S + FIRST_PAUSE_S
    assert restarts.total == 13


def test_reports_are_read_back_and_a_full_disk_only_delays_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ReportFile(tmp_path / "reports.json")
    assert read_reports(file.path) == []
    up, waiting = Report("a", "up", "1 2 x"), Report("b", "waiting", "", 3, "no memory")
    file.write([up])
    with monkeypatch.context() as full:

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        full.setattr(watching, "replace_file", refuse)
        file.write([up, waiting])
        assert read_reports(file.path) == [up]
    file.write([up, waiting])
    assert read_reports(file.path) == [up, waiting]
    assert up.sentence() == ""
    assert waiting.sentence() == "b is started again in a moment (restart 3: no memory)"


def test_a_stopped_process_is_seen_and_a_continued_one_is_not(
    ticking: subprocess.Popen[bytes],
) -> None:
    stopped = Stopped()
    assert stopped.seconds([ticking.pid]) == 0
    ticking.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, ticking.pid, os.WSTOPPED)
    stopped.seconds([os.getpid(), ticking.pid])
    time.sleep(0.05)
    assert stopped.seconds([os.getpid(), ticking.pid]) > 0
    ticking.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, ticking.pid, os.WCONTINUED)
    assert stopped.seconds([ticking.pid]) == 0
    assert stopped.seconds([2**30]) == 0  # there is none


def wakings(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return [line for line in lines if "ctxt_switches" in line]


def test_a_process_that_wakes_in_its_loop_is_not_stalled(ticking: subprocess.Popen[bytes]) -> None:
    now = 0.0
    stall = Stall(ticking.pid, clock=lambda: now)
    for _ in range(3):
        before = wakings(ticking.pid)
        assert stall.seconds() < 1
        now += 10.0
        while wakings(ticking.pid) == before:  # on a busy machine it wakes late
            time.sleep(0.01)
        assert stall.seconds() == 0
    ticking.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, ticking.pid, os.WSTOPPED)
    for _ in range(100):
        now += 10.0
        if stall.seconds() == 10.0:
            return
        time.sleep(0.1)  # it was on its way to sleep
    pytest.fail("a process that is stopped was not seen as stalled")
