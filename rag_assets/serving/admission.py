"""Bounded concurrency: a few questions run, some wait, the rest are told to come back."""

import threading
import time
from bisect import insort
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rag_assets.errors import RagError
from rag_assets.models.errors import GoneError
from rag_assets.telemetry import span


class BusyError(RagError):
    """More questions wait than the queue holds, or one waited too long."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A question that waits.

    Attributes:
        who: asks it.
        round: its turn; a caller has one question in each.
        is_out: another caller has got its place.
    """

    who: str
    round: int
    is_out: bool = False


@dataclass(slots=True)
class Line:
    """The questions of one kind: how many run, and which wait, the first first.

    Callers take turns: what one asks at once stands in one round after another, so that a
    newcomer waits for one question of each, not for all of them.
    """

    running: int = 0
    round: int = 0  # of who was let in last
    waiting: list[Ticket] = field(default_factory=list)

    def enter(self, who: str, most: int) -> Ticket | None:
        """A place; where ``most`` wait, that of a caller with two more than this one; or None."""
        own = [one.round for one in self.waiting if one.who == who]
        if len(self.waiting) >= most:
            waits = Counter(one.who for one in self.waiting)
            greedy, n = max(waits.items(), key=lambda item: item[1], default=("", 0))
            if n < len(own) + 2:
                return None
            last = [one for one in self.waiting if one.who == greedy][-1]
            last.is_out = True
            self.waiting.remove(last)
        ticket = Ticket(who, max(own) + 1 if own else self.round)
        insort(self.waiting, ticket, key=lambda one: one.round)
        return ticket


class Gate:
    """Admits ``n_running`` at a time and lets ``n_waiting`` more wait; callers take turns.

    One caller's questions are answered in the order in which they came. One caller may have all
    places, until another one comes to a full queue: then the last of who has most is put out.
    Without it every request of a burst would sit in the engines' queues until all time out.

    What is asked by hand is admitted as if there were no batches. The questions of a batch wait
    while one asked by hand does; while one is answered, they are answered one after another, so
    that they come on all the same.

    Args:
        n_running: questions answered at once.
        n_waiting: questions that may wait; of batches half as many.
        wait_s: longest wait in seconds.

    ``by_hand`` and ``batch`` are the two kinds.
    """

    def __init__(self, n_running: int, n_waiting: int, wait_s: float) -> None:
        if n_running < 1 or n_waiting < 0:
            raise ValueError(
                f"expected n_running >= 1, n_waiting >= 0; got {n_running}, {n_waiting}"
            )
        self.n_running = n_running
        self.n_waiting = n_waiting
        self._wait_s = wait_s
        self.by_hand, self.batch = Line(), Line()
        self._changed = threading.Condition()

    @property
    def running(self) -> int:
        """Questions being answered now."""
        return self.by_hand.running + self.batch.running

    @property
    def waiting(self) -> int:
        """Questions that wait now."""
        return len(self.by_hand.waiting) + len(self.batch.waiting)

    def leave(self, gone: threading.Event) -> None:
        """Give up the place of the caller that waits with this event."""
        with self._changed:
            gone.set()
            self._changed.notify_all()

    @contextmanager
    def admitted(
        self, gone: threading.Event | None = None, *, batch: bool = False, who: str = ""
    ) -> Iterator[None]:
        """Run the body when it is this caller's turn.

        Args:
            gone: ``leave`` sets it when nobody reads the answer any more.
            batch: whether the question is one of a batch.
            who: asks; each gets as many turns as any other.

        Raises:
            BusyError: the queue is full, the wait too long, or the place another caller's.
            GoneError: the caller left.
        """
        line = self.batch if batch else self.by_hand
        with span("wait"):
            self._enter(line, gone or threading.Event(), who)
        try:
            yield
        finally:
            with self._changed:
                line.running -= 1
                self._changed.notify_all()

    def _free(self, line: Line) -> bool:
        if line is self.by_hand:
            return line.running < self.n_running
        most = 1 if self.by_hand.running else self.n_running
        return line.running < most and not self.by_hand.waiting

    def _enter(self, line: Line, gone: threading.Event, who: str) -> None:
        deadline = time.monotonic() + self._wait_s
        most = self.n_waiting if line is self.by_hand else self.n_waiting // 2
        with self._changed:
            is_free = self._free(line) and not line.waiting
            ticket = line.enter(who, max(most, 1) if is_free else most)
            if ticket is None:
                raise BusyError(
                    f"{self.running} questions are being answered and {self.waiting} wait, which "
                    "is all the answerer takes; try again in a few seconds"
                )
            self._changed.notify_all()  # one that was put out, or is not the first any more
            try:
                self._wait_for_turn(line, ticket, gone, deadline)
                line.running += 1
                line.round = ticket.round
            finally:
                if not ticket.is_out:
                    line.waiting.remove(ticket)
                self._changed.notify_all()

    def _wait_for_turn(
        self, line: Line, ticket: Ticket, gone: threading.Event, deadline: float
    ) -> None:
        while not gone.is_set():
            if ticket.is_out:
                raise BusyError(
                    "the question gave its place to another caller, as many of this one's wait; "
                    "try again in a few seconds"
                )
            if self._free(line) and line.waiting[0] is ticket:
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise BusyError(
                    f"the question waited {self._wait_s:g} s behind {self.running} others; "
                    "try again later"
                )
            self._changed.wait(left)
        raise GoneError
