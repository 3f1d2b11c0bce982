"""Measurements of many hours, in steps: what is done is kept, so that they go on another day.

They can be left between two steps. A step that was cut off in its midst has done some of its work
unmeasured, so all has to begin anew.
"""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from rag_assets.files import replace_file
from rag_assets_tests.benchmarks.findings import Say

Result = TypeVar("Result")


class Steps:
    """Steps of one measurement, by name.

    Args:
        path: the file in which their results are kept.
        say: told when the measurement will stop.

    Attributes:
        cut_off: the step that began and did not end; None if there is none.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self._path = path
        self._say = say
        kept = json.loads(path.read_text()) if path.is_file() else {"begun": None, "done": {}}
        self.cut_off: str | None = kept["begun"]
        self._done: dict[str, Any] = kept["done"]

    @property
    def n_done(self) -> int:
        """How many steps have their results kept."""
        return len(self._done)

    def run(self, name: str, work: Callable[[], Result]) -> Result:
        """The result of ``work``, which JSON can hold; where it is kept, nothing is done.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed meanwhile; the step is done and kept, unless it
                was pressed twice.
        """
        if name in self._done:
            result: Result = self._done[name]
            return result
        with _interrupts_wait(self._say):
            self._keep(begun=name)
            self._done[name] = result = work()
            self._keep(begun=None)
        return result

    def _keep(self, begun: str | None) -> None:
        replace_file(self._path, json.dumps({"begun": begun, "done": self._done}).encode())


@contextmanager
def _interrupts_wait(say: Say) -> Iterator[None]:
    is_asked = False

    def wait(_signum: int, _frame: FrameType | None) -> None:
        nonlocal is_asked
        if is_asked:
            raise KeyboardInterrupt
        is_asked = True
        say("stopping after this step, the same command will go on; Ctrl-C again stops at once")

    before = signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if is_asked:
        raise KeyboardInterrupt
