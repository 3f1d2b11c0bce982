"""Requests end when nobody waits for them, at whatever they wait themselves."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from rag_assets.models.clients.leaving import LOOK_S, acquired, sleep, waiting
from rag_assets.models.clients.server import Server
from rag_assets.models.errors import GoneError, ModelRequestError
from rag_assets_tests.engines import SilentEngine


@pytest.fixture
def engine() -> Iterator[SilentEngine]:
    with SilentEngine() as engine:
        yield engine


def set_in(seconds: float) -> threading.Event:
    gone = threading.Event()
    threading.Timer(seconds, gone.set).start()
    return gone


def test_a_request_ends_and_its_connection_closes(engine: SilentEngine) -> None:
    server = Server("role llm", f"{engine.url}/v1")
    gone = threading.Event()

    def leave() -> None:
        engine.asked.wait(60)
        gone.set()

    threading.Thread(target=leave).start()
    with pytest.raises(GoneError), waiting(gone):
        server.post("/chat/completions", {}, 120)
    assert engine.left.wait(5)


def test_others_wait_on(engine: SilentEngine) -> None:
    """The time of a request is its own, whether it may end early or not."""
    server = Server("role llm", f"{engine.url}/v1")
    for context in (nullcontext(), waiting(threading.Event())):
        started = time.monotonic()
        with pytest.raises(ModelRequestError, match="did not answer within 1 s"), context:
            server.post("/x", {}, 1.0)
        assert time.monotonic() - started >= 1.0


def test_an_answer_that_is_late_but_comes_is_read() -> None:
    with SilentEngine(silent_s=3 * LOOK_S) as engine, waiting(threading.Event()):
        assert Server("role llm", engine.url).post("/x", {}, 60) == {"late": True}


def test_who_is_gone_before_asks_nothing(engine: SilentEngine) -> None:
    gone = threading.Event()
    gone.set()
    with pytest.raises(GoneError), waiting(gone):
        raise AssertionError("the body must not run")
    assert not engine.asked.is_set()


def test_pauses_and_queues_end_early() -> None:
    gate = threading.BoundedSemaphore(1)
    assert acquired(gate, 0)
    assert not acquired(gate, 0.01)
    for wait in (lambda: sleep(120), lambda: acquired(gate, 120)):
        with waiting(set_in(0.05)), pytest.raises(GoneError):
            wait()
    gate.release()
    with waiting(threading.Event()):
        sleep(0.01)
        assert acquired(gate, 120)


def test_a_connection_that_was_left_is_not_used_again(engine: SilentEngine) -> None:
    server = Server("role llm", engine.url)
    for _ in range(2):
        with pytest.raises(GoneError), waiting(set_in(0.1)):
            server.post("/x", {}, 120)
    with socket.create_connection(("127.0.0.1", int(engine.url.rpartition(":")[2]))):
        pass
    assert engine.n_asked == 2
