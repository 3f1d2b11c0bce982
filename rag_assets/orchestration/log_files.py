"""Logs of bounded size. Their writers, engines among them, hold them open and know nothing of this.

A log is copied and then emptied in place; its writers append, and so go on at the new beginning.
What is written between the two is lost, a few lines at most. A pipe to a rotating helper would lose
more: when the helper dies, its writers die with it.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

MAX_BYTES = 16_000_000
N_KEPT = 3


def rotate(folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Put aside each log of a folder that has grown too long; on a full disk it is only emptied."""
    for log in folder.glob("*.log"):
        with suppress(FileNotFoundError):
            if log.stat().st_size <= max_bytes:
                continue
            for number in range(N_KEPT - 1, 0, -1):
                with suppress(FileNotFoundError):
                    os.replace(f"{log}.{number}", f"{log}.{number + 1}")
            try:
                shutil.copyfile(log, f"{log}.1")
            except OSError:
                Path(f"{log}.1").unlink(missing_ok=True)
            os.truncate(log, 0)


def emptied(folder: Path) -> int:
    """Empty each log of a folder, and delete those that were put aside; how many there were."""
    logs, aside = list(folder.glob("*.log")), list(folder.glob("*.log.*"))
    for log in logs:
        with suppress(FileNotFoundError):
            os.truncate(log, 0)
    for log in aside:
        log.unlink(missing_ok=True)
    return len(logs) + len(aside)
