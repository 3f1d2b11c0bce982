"""The child process: its lines, its code, its end."""

import os
import sys
import time
from pathlib import Path

import pytest

from rag_assets.serving.child import run_child


def test_lines_and_exit_code() -> None:
    lines: list[str] = []
    code = run_child(lines.append, [sys.executable, "-c", "print('one'); print('two'); exit(3)"])
    assert (lines, code) == (["one", "two"], 3)


def test_an_interrupted_caller_stops_the_child_first(tmp_path: Path) -> None:
    class Terminated(BaseException):
        pass

    def say(line: str) -> None:
        (tmp_path / "pid").write_text(line)
        raise Terminated

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    started = time.monotonic()
    with pytest.raises(Terminated):
        run_child(say, [sys.executable, "-c", code])
    assert time.monotonic() - started < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
