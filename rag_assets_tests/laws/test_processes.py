"""A few kills and rounds; the harnesses run by themselves do hundreds (their docstrings say how).

They run in a process of their own: one that forks must not have used LanceDB before.
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]


def harness(name: str, *options: str) -> str:
    command = [sys.executable, "-W", "ignore", "-m", f"rag_assets_tests.laws.{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    return done.stdout.splitlines()[-1]


def test_a_killed_refresh_run_again_ends_as_if_nobody_had_killed_it() -> None:
    said = harness("crashes", "--steps", "2", "--chains", "1", "--random", "1")
    assert said.endswith("0 broke the law")


def test_two_processes_at_once_lose_nothing() -> None:
    assert harness("races", "--rounds", "3") == "3 rounds of two processes, 0 failed"


def test_a_run_ends_also_if_everything_is_killed() -> None:
    """Sensors and schedules take a minute each to ask; the harness by itself waits for them."""
    rounds = ("killed_run", "killed_all")
    assert harness("runs", "--look-every", "2", *rounds) == "2 rounds, 0 failed"


@pytest.mark.engines  # their weights' tokenizers; in place of vLLM stands a small server
def test_whatever_is_killed_or_stopped_the_service_is_whole_again() -> None:
    said = harness("faults", "--rounds", "3")
    assert said == "3 rounds, 0 not whole, 0 callers let down"
