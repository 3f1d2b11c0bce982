"""What engines have computed: their own processes and those that these started."""

import subprocess
import sys
from pathlib import Path

from rag_assets.models.engines.cores import core_seconds
from rag_assets.models.engines.state import EngineState, write_states
from rag_assets.process_identity import identity

BUSY = """
import subprocess, sys, time
burn = "import time\\nwhile time.process_time() < 0.3: pass\\nprint(1, flush=True)\\ntime.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", burn], stdout=subprocess.PIPE)
child.stdout.readline()
print("burnt", flush=True)
sys.stdin.readline()
child.kill()
"""


def state(pid: int) -> EngineState:
    return EngineState("llm", identity(pid), 1, "http://127.0.0.1:1", "m", "m", "1", "cpu")


def test_what_a_child_computes_counts(tmp_path: Path) -> None:
    assert core_seconds(tmp_path) == {}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", BUSY], **pipes) as engine:  # type: ignore[call-overload]
        write_states(tmp_path, [state(engine.pid)])
        assert engine.stdout.readline() == b"burnt\n"
        assert core_seconds(tmp_path)["llm"] >= 0.3
        engine.stdin.close()
    assert core_seconds(tmp_path) == {}
