"""The gate: bounded, fair, and open again after any failure."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag_assets.serving.admission import BusyError, Gate, GoneError


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


def test_a_failure_inside_opens_the_gate() -> None:
    gate = Gate(1, 0, 1)
    with pytest.raises(KeyError), gate.admitted():
        raise KeyError("x")
    assert gate.running == 0


@pytest.mark.parametrize(("running", "waiting"), [(0, 1), (1, -1)])
def test_senseless_sizes_are_refused(running: int, waiting: int) -> None:
    with pytest.raises(ValueError, match="expected n_running >= 1"):
        Gate(running, waiting, 1)
