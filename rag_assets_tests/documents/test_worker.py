import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from rag_assets.documents import worker
from rag_assets.documents.blocks import RejectedError
from rag_assets.documents.reading import Document
from rag_assets.documents.worker import ParsingWorker


def strange_read(data: bytes, name: str) -> Document:
    """A reader on which bytes have the effects that they are named after."""
    if data == b"exit":
        os._exit(3)
    if data == b"segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == b"sleep":
        time.sleep(60)
    if data == b"memory":
        bytearray(2**36)
    if data == b"recursion":
        return strange_read(data, name)
    if data == b"reject":
        raise RejectedError("empty", "nothing there")
    return Document("text/plain", None, name, "en", str(os.getpid()), [])


def serve_strangely(pipe: Connection, memory_bytes: int) -> None:
    vars(worker)["read_document"] = strange_read  # in the child only, where nothing else is patched
    worker._serve(pipe, memory_bytes)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[ParsingWorker]:
    monkeypatch.setattr(worker, "_serve", serve_strangely)
    with ParsingWorker() as made:
        yield made


def reason_of(reader: ParsingWorker, data: bytes) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        reader.read(data, "a")
    return caught.value


def test_worker_is_kept_and_is_another_process(reader: ParsingWorker) -> None:
    pids = {reader.read(b"x", "a").text for _ in range(3)}
    assert len(pids) == 1
    assert pids != {str(os.getpid())}


def test_errors_of_a_reader_leave_the_worker_alive(reader: ParsingWorker) -> None:
    before = reader.read(b"x", "a").text
    assert reason_of(reader, b"reject").reason == "empty"
    assert reason_of(reader, b"recursion").reason == "corrupt"
    assert reader.read(b"x", "a").text == before


@pytest.mark.parametrize(
    ("data", "death"), [(b"exit", "exit code 3"), (b"segfault", "signal SIGSEGV")]
)
def test_death_costs_one_document(reader: ParsingWorker, data: bytes, death: str) -> None:
    before = reader.read(b"x", "a").text
    error = reason_of(reader, data)
    assert (error.reason, death in error.detail) == ("crash", True)
    assert reader.read(b"x", "a").text != before


def test_memory_is_bounded_and_the_next_document_gets_a_fresh_worker(
    reader: ParsingWorker,
) -> None:
    before = reader.read(b"x", "a").text
    error = reason_of(reader, b"memory")
    assert (error.reason, error.detail) == ("memory", "reading needs more than 4 GiB")
    assert reader.read(b"x", "a").text != before


def test_endless_reading_is_stopped(reader: ParsingWorker) -> None:
    before = reader.read(b"x", "a").text
    reader._timeout_s = 0.2
    assert reason_of(reader, b"sleep").reason == "timeout"
    reader._timeout_s = 60
    assert reader.read(b"x", "a").text != before


def test_real_reader_behind_the_real_worker() -> None:
    with ParsingWorker() as reader:
        document = reader.read(b"# Title\n\n" + b"some text " * 300_000, "a.md")
    assert document.title == "Title"
    assert document.text[document.blocks[0].start : document.blocks[0].end] == "Title"
    assert reader.close() is None
