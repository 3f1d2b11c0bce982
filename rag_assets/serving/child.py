"""Run the answerer as a child process and pass its log lines on, until it or the caller stops."""

import subprocess
import sys
from collections.abc import Callable, Sequence

COMMAND = (sys.executable, "-m", "rag_assets.serving", "--with-parent")
STOP_S = 20.0  # longer than the answerer's own grace for answers in flight


def run_child(say: Callable[[str], None], command: Sequence[str] = COMMAND) -> int:
    """Run the command to its end; its exit code.

    Whatever interrupts the caller (a Dagster run that is terminated raises here) stops the child
    first: SIGTERM, time to finish its answers, then SIGKILL. If the caller is killed outright, the
    child notices that its parent is gone and stops by itself.

    Args:
        say: called with each line of the child's output.
        command: the process to run.
    """
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as child:
        try:
            if child.stdout is not None:
                for line in child.stdout:
                    say(line.rstrip())
            return child.wait()
        finally:
            _stop(child)


def _stop(child: subprocess.Popen[str]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
