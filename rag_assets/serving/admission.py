"""Bounded concurrency: a few questions run, some wait, the rest are told to come back."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rag_assets.errors import RagError


class BusyError(RagError):
    """More questions wait than the queue holds, or one waited too long."""


class GoneError(RagError):
    """Who asked is gone; nobody reads the answer."""


class Gate:
    """Admits ``n_running`` at a time and lets ``n_waiting`` more wait, first come first served.

    Without it every request of a burst would sit in the engines' queues until all time out.

    Args:
        n_running: questions answered at once.
        n_waiting: questions that may wait.
        wait_s: longest wait in seconds.
    """

    def __init__(self, n_running: int, n_waiting: int, wait_s: float) -> None:
        if n_running < 1 or n_waiting < 0:
            raise ValueError(
                f"expected n_running >= 1, n_waiting >= 0; got {n_running}, {n_waiting}"
            )
        self.n_running = n_running
        self.n_waiting = n_waiting
        self._wait_s = wait_s
        self._free = n_running
        self._queue: list[object] = []
        self._changed = threading.Condition()

    @property
    def running(self) -> int:
        """Questions being answered now."""
        return self.n_running - self._free

    @property
    def waiting(self) -> int:
        """Questions that wait now."""
        return len(self._queue)

    def leave(self, gone: threading.Event) -> None:
        """Give up the place of the caller that waits with this event."""
        with self._changed:
            gone.set()
            self._changed.notify_all()

    @contextmanager
    def admitted(self, gone: threading.Event | None = None) -> Iterator[None]:
        """Run the body when it is this caller's turn.

        Args:
            gone: ``leave`` sets it when nobody reads the answer any more.

        Raises:
            BusyError: the queue is full, or the wait too long.
            GoneError: the caller left.
        """
        self._enter(gone or threading.Event())
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _enter(self, gone: threading.Event) -> None:
        ticket = object()
        deadline = time.monotonic() + self._wait_s
        with self._changed:
            if not (self._free and not self._queue) and len(self._queue) >= self.n_waiting:
                raise BusyError(
                    f"{self.running} questions are being answered and {self.waiting} wait, which "
                    "is all the answerer takes; try again in a few seconds"
                )
            self._queue.append(ticket)
            try:
                while not (self._free and self._queue[0] is ticket) and not gone.is_set():
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise BusyError(
                            f"the question waited {self._wait_s:g} s behind {self.running} others; "
                            "try again later"
                        )
                    self._changed.wait(left)
                if gone.is_set():
                    raise GoneError("who asked is gone")
                self._free -= 1
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()
