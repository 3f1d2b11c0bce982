"""The gate: bounded, fair, and open again after any failure."""

import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from rag_assets.models.errors import GoneError
from rag_assets.serving.admission import BusyError, Gate


def test_no_more_than_admitted_run_at_once() -> None:
    gate, peak = Gate(3, 50, 10), []

    def work(_: int) -> None:
        with gate.admitted():
            peak.append(gate.running)
            time.sleep(0.005)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(40)))
    assert len(peak) == 40
    assert max(peak) <= 3
    assert (gate.running, gate.waiting) == (0, 0)


def test_a_full_queue_refuses_at_once() -> None:
    gate = Gate(1, 0, 10)
    with (
        gate.admitted(),
        pytest.raises(BusyError, match="1 questions are being answered and 0 wait"),
    ):
        gate.admitted().__enter__()
    with gate.admitted():
        assert gate.running == 1


def test_a_long_wait_ends() -> None:
    gate = Gate(1, 5, 0.05)
    with gate.admitted(), pytest.raises(BusyError, match="waited"):
        gate.admitted().__enter__()
    assert gate.waiting == 0


def test_who_leaves_gives_up_the_place() -> None:
    gate, gone = Gate(1, 1, 10), threading.Event()

    def ask() -> None:
        with gate.admitted(gone):
            raise AssertionError("its turn came though it was gone")

    with gate.admitted(), ThreadPoolExecutor() as pool:
        asked = pool.submit(ask)
        while not gate.waiting:
            time.sleep(0.001)
        gate.leave(gone)
        with pytest.raises(GoneError):
            asked.result(timeout=5)
        assert (gate.running, gate.waiting) == (1, 0)


def test_first_come_first_served() -> None:
    gate, order = Gate(1, 10, 10), []

    def work(n: int) -> None:
        with gate.admitted():
            order.append(n)

    threads = []
    with gate.admitted():
        for n in range(5):
            thread = threading.Thread(target=work, args=(n,))
            thread.start()
            threads.append(thread)
            while gate.waiting <= n:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


@pytest.fixture
def gate() -> Iterator["Held"]:
    held = Held(Gate(2, 4, 10))
    yield held
    held.close()


class Held:
    """Questions that run until they are let go."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.entered = gate, queue.Queue[str]()
        self._ends: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def ask(self, name: str, *, batch: bool = False) -> None:
        """Begin a question; it has entered, or it waits."""
        before = self.gate.running + self.gate.waiting
        end = self._ends[name] = threading.Event()

        def run() -> None:
            with self.gate.admitted(batch=batch):
                self.entered.put(name)
                end.wait(10)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()
        while self.gate.running + self.gate.waiting <= before:
            time.sleep(0.001)

    def end(self, name: str) -> None:
        self._ends[name].set()

    def next(self) -> str:
        return self.entered.get(timeout=5)

    def close(self) -> None:
        for end in self._ends.values():
            end.set()
        for thread in self._threads:
            thread.join()


def test_a_batch_takes_all_places_where_nobody_else_asks(gate: Held) -> None:
    for name in ("a", "b", "c"):
        gate.ask(name, batch=True)
    assert {gate.next(), gate.next()} == {"a", "b"}
    assert (gate.gate.running, gate.gate.waiting) == (2, 1)


def test_what_is_asked_by_hand_does_not_wait_for_a_batch(gate: Held) -> None:
    for name in ("a", "b", "c", "d"):
        gate.ask(name, batch=True)
    assert {gate.next(), gate.next()} == {"a", "b"}
    gate.ask("one")
    gate.ask("two")
    assert {gate.next(), gate.next()} == {"one", "two"}


def test_a_batch_comes_on_by_one_while_somebody_asks(gate: Held) -> None:
    gate.ask("one")
    assert gate.next() == "one"
    gate.ask("a", batch=True)
    gate.ask("b", batch=True)
    assert gate.next() == "a"
    assert gate.gate.waiting == 1
    gate.end("a")
    assert gate.next() == "b"


def test_a_batch_waits_while_somebody_waits(gate: Held) -> None:
    for name in ("one", "two", "three"):
        gate.ask(name)
    assert {gate.next(), gate.next()} == {"one", "two"}
    gate.ask("a", batch=True)
    gate.end("one")
    assert gate.next() == "three"
    gate.end("two")
    assert gate.next() == "a"


def test_a_batch_leaves_the_queue_to_those_who_ask_by_hand(gate: Held) -> None:
    for name in ("one", "two"):
        gate.ask(name)
    for name in ("a", "b", "c"):  # "a" runs
        gate.ask(name, batch=True)
    with pytest.raises(BusyError, match="try again"):
        gate.gate.admitted(batch=True).__enter__()
    for name in ("three", "four", "five", "six"):
        gate.ask(name)
    assert gate.gate.waiting == 6


def test_a_failure_inside_opens_the_gate() -> None:
    gate = Gate(1, 0, 1)
    with pytest.raises(KeyError), gate.admitted():
        raise KeyError("x")
    assert gate.running == 0


@pytest.mark.parametrize(("running", "waiting"), [(0, 1), (1, -1)])
def test_senseless_sizes_are_refused(running: int, waiting: int) -> None:
    with pytest.raises(ValueError, match="expected n_running >= 1"):
        Gate(running, waiting, 1)


def queued(gate: Gate, pool: ThreadPoolExecutor, who: str, told: list[str]) -> Future[None]:
    """A question that waits; when its turn comes, it says so."""
    waits = [one.who for one in gate.by_hand.waiting].count(who)

    def ask() -> None:
        with gate.admitted(who=who):
            told.append(who)

    asked = pool.submit(ask)
    while [one.who for one in list(gate.by_hand.waiting)].count(who) == waits:
        time.sleep(0.001)
    return asked


def test_callers_take_turns() -> None:
    gate, told = Gate(1, 50, 30), list[str]()
    with ThreadPoolExecutor(20) as pool, gate.admitted(who="ada"):
        for who in ["ada"] * 5 + ["eve"] * 2:
            queued(gate, pool, who, told)
    assert told == ["ada", "eve", "ada", "eve", "ada", "ada", "ada"]
    assert (gate.running, gate.waiting) == (0, 0)


def test_one_caller_cannot_hold_the_whole_queue() -> None:
    gate, told = Gate(1, 4, 30), list[str]()
    with ThreadPoolExecutor(20) as pool:
        with gate.admitted(who="ada"):
            asked = [queued(gate, pool, "ada", told) for _ in range(4)]
            with pytest.raises(BusyError, match="all the answerer takes"):
                gate.admitted(who="ada").__enter__()
            eves = [queued(gate, pool, "eve", told) for _ in range(2)]
            for out in asked[2:]:
                with pytest.raises(BusyError, match="gave its place"):
                    out.result(10)
            with pytest.raises(BusyError, match="all the answerer takes"):
                gate.admitted(who="eve").__enter__()  # two of each wait: that is fair
        for one in asked[:2] + eves:
            one.result(10)
    assert told == ["ada", "eve", "ada", "eve"]
