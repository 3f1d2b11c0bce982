"""Work in forked children of a parent that has imported everything and opened nothing.

A child starts in no time and may be killed at any instant. LanceDB begins anew in each; a parent
that had used it could leave a child with a lock that nobody will ever release.
"""

import os
import pickle
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 300.0  # of a child; a refresh takes two seconds


@dataclass(frozen=True, slots=True)
class Child:
    """A running child and where it leaves its result."""

    pid: int
    result: Path

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def is_running(self) -> bool:
        info = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return info is None

    def wait(self) -> int:
        """Its exit status, negative for a signal; one that hangs is killed and raises."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.is_running():
            if time.monotonic() > deadline:
                self.kill()
                os.waitpid(self.pid, 0)
                raise TimeoutError(f"child {self.pid} did not end in {TIMEOUT_S:.0f} s")
            time.sleep(0.005)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def fork(folder: Path, work: Callable[[], Any]) -> Child:
    """Start ``work`` in a child; what it returns is kept in ``folder`` until asked for."""
    result = folder / f"result-{time.monotonic_ns()}"
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LanceDB says that forking it is experimental
        pid = os.fork()
    if pid:
        return Child(pid, result)
    status = 1
    try:
        warnings.simplefilter("ignore")
        result.write_bytes(pickle.dumps(work()))
        status = 0
    except BaseException:  # noqa: BLE001 - the border of a process
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(status)


def value_of(child: Child) -> Any:  # noqa: ANN401 - whatever the child's work returns
    """What a child's work returned.

    Raises:
        RuntimeError: it failed; its traceback is on stderr.
    """
    status = child.wait()
    if status:
        raise RuntimeError(f"a child that should have ended well ended with {status}")
    value = pickle.loads(child.result.read_bytes())
    child.result.unlink()
    return value


def run(folder: Path, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - see ``value_of``
    """Run ``work`` in a child and return what it returns."""
    return value_of(fork(folder, work))


def run_at_once(folder: Path, works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all of these at the same time, each in its child."""
    children = [fork(folder, work) for work in works]
    return [value_of(child) for child in children]
