"""Which process it is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rag_assets.process_identity import ProcessId, identity, is_alive

NAMED = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b'a) Z 1 (b'); print(flush=True); input()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose name looks like the fields that follow it."""
    command = [sys.executable, "-c", NAMED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_a_process_is_itself_and_reads_back(child: subprocess.Popen[bytes]) -> None:
    found = identity(child.pid)
    assert is_alive(found)
    assert ProcessId.parse(str(found)) == found
    assert found.start_ticks > identity(os.getppid()).start_ticks


def test_another_of_its_id_or_of_another_start_of_the_machine_is_not(
    child: subprocess.Popen[bytes],
) -> None:
    found = identity(child.pid)
    assert not is_alive(replace(found, start_ticks=found.start_ticks - 1))
    assert not is_alive(replace(found, boot_id="another"))


def test_a_zombie_is_dead_and_so_is_what_is_gone(child: subprocess.Popen[bytes]) -> None:
    found = identity(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended; its result is not taken
    assert not is_alive(found)
    child.wait()
    assert not is_alive(found)
    with pytest.raises(ProcessLookupError, match=str(child.pid)):
        identity(child.pid)


def test_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'pid ticks boot', got '1 2\.5'"):
        ProcessId.parse("1 2.5")
