import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from rag_assets.documents import worker
from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.registry import Reader
from rag_assets.documents.reading import Document, read_document
from rag_assets.documents.worker import Limits, ParsingError, ParsingPool, ParsingWorker
from rag_assets.pipeline.stages import DOCUMENTS
from rag_assets_tests.world import Facts


def strange_read(data: bytes, name: str, readers: Sequence[Reader] = ()) -> Document:
    """A reader on which bytes have the effects that they are named after."""
    if data == b"exit":
        os._exit(3)
    if data == b"segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == b"sleep":
        time.sleep(600)
    if data == b"memory":
        bytearray(2**36)
    if data == b"recursion":
        return strange_read(data, name)
    if data == b"import":
        raise ModuleNotFoundError("No module named 'calamine'")
    if data == b"reject":
        raise RejectedError("empty", "nothing there")
    if data == b"second":  # fails where something was read before, as leaks make it
        if KEPT:
            os._exit(4)
        return document(str(os.getpid()))
    if data.startswith(b"taken over "):
        return document("text", title=Order(Path(data.decode().split()[2])))  # type: ignore[arg-type] # what it is about
    if data.startswith(b"wait "):
        with open(data.decode().split()[1], "ab") as begun:
            begun.write(b"x")
        time.sleep(600)
    if data.startswith(b"killed "):  # from outside, as many times as this says
        _, times, place = data.decode().split()
        deaths = Path(place)
        n_deaths = deaths.stat().st_size if deaths.exists() else 0
        if n_deaths < int(times):
            deaths.write_bytes(bytes(n_deaths + 1))
            os.kill(os.getpid(), signal.SIGKILL)
    KEPT.append(b"\x01" * 2**29 if data == b"leak" else b"")
    return document("x" * 1000 if data == b"long" else str(os.getpid()), title=name)


KEPT: list[bytes] = []


class Order:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mknod, (str(self.path),)


def document(text: str, title: str = "") -> Document:
    return replace(read_document(b"some text", "a.txt"), text=text, title=title)


def serve_strangely(pipe: Connection, limits: Limits) -> None:
    vars(worker)["read_document"] = strange_read  # in the child only, where nothing else is patched
    worker._serve(pipe, limits)


def serve_half_an_answer(pipe: Connection, limits: Limits) -> None:
    pipe.send("ready")
    pipe.recv()
    os.write(pipe.fileno(), b"\x00\x00\x10\x00half")  # of 4096 bytes that are announced
    os._exit(5)


def serve_impatiently(pipe: Connection, limits: Limits) -> None:
    vars(worker)["ORPHAN_S"] = 0.1
    serve_strangely(pipe, limits)


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_serve", serve_strangely)


@pytest.fixture
def reader(strange: None) -> Iterator[ParsingWorker]:
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


def test_a_worker_killed_from_outside_costs_no_document(
    reader: ParsingWorker, tmp_path: Path
) -> None:
    first = reader.read(f"killed 1 {tmp_path}/first".encode(), "a").text  # by its first document
    assert reader.read(b"x", "a").text == first
    assert reader.read(f"killed 1 {tmp_path}/later".encode(), "a").text != first


def test_a_document_on_which_two_workers_die_is_rejected(
    reader: ParsingWorker, tmp_path: Path
) -> None:
    error = reason_of(reader, f"killed 9 {tmp_path}/deaths".encode())
    assert (error.reason, "signal SIGKILL" in error.detail) == ("crash", True)
    assert (tmp_path / "deaths").stat().st_size == 2


def test_a_stopped_worker_does_not_try_again(reader: ParsingWorker, tmp_path: Path) -> None:
    reader.read(b"x", "a")
    begun = tmp_path / "begun"
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(reason_of, reader, f"wait {begun}".encode())
        while not (begun.exists() or reading.done()):
            time.sleep(0.01)
        reader.stop()
        assert reading.result(30).reason == "crash"
    assert begun.stat().st_size == 1


def test_memory_is_bounded_and_the_next_document_gets_a_fresh_worker(
    reader: ParsingWorker,
) -> None:
    before = reader.read(b"x", "a").text
    error = reason_of(reader, b"memory")
    assert (error.reason, error.detail) == ("memory", "reading needs more than 4 GiB")
    assert reader.read(b"x", "a").text != before


def test_a_worker_that_was_taken_over_gives_no_orders(
    reader: ParsingWorker, tmp_path: Path
) -> None:
    with pytest.raises(RejectedError, match="the reader died on this document"):
        reader.read(f"taken over {tmp_path / 'made'}".encode(), "a")
    assert not (tmp_path / "made").exists()
    assert reader.read(b"fine", "b")


def test_endless_reading_is_stopped(strange: None) -> None:
    with ParsingWorker(Limits(timeout_s=3)) as reader:
        before = reader.read(b"x", "a").text
        assert reason_of(reader, b"sleep").reason == "timeout"
        assert reader.read(b"x", "a").text != before


def test_a_grown_worker_is_replaced(strange: None) -> None:
    with ParsingWorker(Limits(grown_bytes=2**29)) as reader:
        before = reader.read(b"x", "a").text
        assert reader.read(b"leak", "a").text == before
        assert reader.read(b"x", "a").text != before


def test_a_missing_library_is_no_fault_of_the_file(reader: ParsingWorker) -> None:
    with pytest.raises(ParsingError, match="No module named 'calamine'; install what"):
        reader.read(b"import", "a.xlsx")


def die_at_once(pipe: Connection, limits: Limits) -> None:
    os._exit(5)


def test_a_worker_that_does_not_start_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_serve", die_at_once)
    with ParsingPool(1) as pool, pytest.raises(ParsingError, match=r"began \(exit code 5\)"):
        list(pool.read_all([(lambda: b"text", "a.txt")]))


def test_scans_are_given_more_time_where_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_assets.documents.readers.ocr.is_available", lambda: False)
    without = Limits().timeout_s, DOCUMENTS.fingerprint(Facts())
    monkeypatch.setattr("rag_assets.documents.readers.ocr.is_available", lambda: True)
    assert Limits().timeout_s > without[0]
    assert DOCUMENTS.fingerprint(Facts()) != without[1]


def test_too_much_text_is_refused(strange: None) -> None:
    with ParsingWorker(Limits(max_text_chars=999)) as reader:
        error = reason_of(reader, b"long")
        assert error.reason == "too large"
        assert "999" in error.detail


def test_what_others_left_behind_costs_no_document(reader: ParsingWorker) -> None:
    before = reader.read(b"x", "a").text
    assert reader.read(b"second", "a").text != before


def test_pool_keeps_the_order_and_reads_at_the_same_time(strange: None) -> None:
    names = ["a", "b", "c", "d", "e"]
    load = {name: partial(bytes, name.encode()) for name in names} | {"c": lambda: b"exit"}
    with ParsingPool(2) as pool:
        results = list(pool.read_all([(load[name], name) for name in names]))
        again = list(pool.read_all([(lambda: b"x", "f")]))
    titles = [r.title if isinstance(r, Document) else r.reason for r in results]
    assert titles == ["a", "b", "crash", "d", "e"]
    pids = {r.text for r in results if isinstance(r, Document)}
    assert 1 <= len(pids) <= 3
    assert isinstance(again[0], Document)
    assert again[0].text in pids  # workers are kept


def test_death_half_way_in_an_answer_costs_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_serve", serve_half_an_answer)
    with ParsingWorker() as reader:
        error = reason_of(reader, b"x")
    assert (error.reason, "exit code 5" in error.detail) == ("crash", True)


def test_a_worker_whose_parent_is_gone_ends_in_the_midst_of_a_document() -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_impatiently, args=(theirs, Limits(timeout_s=0.1)))
    process.start()
    theirs.close()
    ours.send((b"sleep", "a", pickle.dumps(())))
    process.join(30)
    ended = process.exitcode
    process.kill()
    assert ended == -signal.SIGALRM


def test_an_interrupt_does_not_wait_for_what_is_being_read(strange: None) -> None:
    def interrupted() -> None:
        with ParsingPool(2, Limits(timeout_s=100_000)) as pool:  # which this would have to wait for
            results = pool.read_all([(partial(bytes, b"x"), "a"), (partial(bytes, b"sleep"), "b")])
            assert isinstance(next(results), Document)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_a_file_that_cannot_be_loaded_is_an_error_of_the_caller(strange: None) -> None:
    def gone() -> bytes:
        raise OSError("blob is missing")

    with ParsingPool(1) as pool, pytest.raises(OSError, match="blob is missing"):
        list(pool.read_all([(gone, "a")]))


def test_workers_started_ahead_are_taken_by_the_next_who_want_some(strange: None) -> None:
    mine = Limits(timeout_s=50)
    with (
        worker.started_ahead(1, mine),
        ParsingWorker() as other,
        ParsingWorker(mine) as first,
        ParsingWorker(mine) as second,
    ):
        ((process, _),) = worker._ahead[mine]
        assert other.read(b"pid", "a").text != str(process.pid)  # its limits are others
        assert first.read(b"pid", "a").text == str(process.pid)
        assert second.read(b"pid", "a").text != str(process.pid)
    assert not process.is_alive()


def test_workers_that_nobody_took_are_ended(strange: None) -> None:
    with worker.started_ahead(1):
        ((process, _),) = worker._ahead[Limits()]
        assert process.is_alive()
    assert not process.is_alive()
    assert not worker._ahead


def test_a_worker_that_died_waiting_is_passed_over(strange: None) -> None:
    with worker.started_ahead(1), ParsingWorker() as reader:
        ((process, _),) = worker._ahead[Limits()]
        process.kill()
        process.join()
        assert reader.read(b"pid", "a").text.isdecimal()


def test_no_more_workers_are_started_ahead_than_there_are_files_or_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launched: list[Limits] = []
    ours, theirs = multiprocessing.Pipe()

    def launch(limits: Limits) -> tuple[BaseProcess, Connection]:
        launched.append(limits)
        process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
        process.start()
        return process, ours

    monkeypatch.setattr(worker, "MAX_WORKERS", 1)
    monkeypatch.setattr(worker, "_launched", launch)
    monkeypatch.setattr(worker, "_ahead", {})
    with worker.started_ahead(0):
        assert launched == []
    with worker.started_ahead(5):
        assert launched == [Limits()]
    assert theirs.poll()  # it has been given a page


def test_real_reader_behind_the_real_worker() -> None:
    with ParsingWorker() as reader:
        document = reader.read(b"# Title\n\n" + b"some text " * 300_000, "a.md")
    assert document.title == "Title"
    assert document.text[document.blocks[0].start : document.blocks[0].end] == "Title"
    assert reader.close() is None
