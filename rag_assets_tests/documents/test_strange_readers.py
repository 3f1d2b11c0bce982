"""Readers of somebody else's that misbehave: what they cost, and what is said of them."""

import signal
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from rag_assets.documents.readers.blocks import Block, Extracted, RejectedError
from rag_assets.documents.reading import Document, read_document
from rag_assets.documents.worker import Limits, ParsingPool

LOG = "text/x-log"
PNG = b"\x89PNG\r\n\x1a\n\x00"


@dataclass(frozen=True)
class LogReader:
    """Reads ``.log`` files, and is a base for readers that do not."""

    media_types: Sequence[str] = (LOG,)
    version: str = "1"

    def recognise(self, data: bytes, name: str) -> Any:  # noqa: ANN401
        return LOG if name.endswith(".log") else None

    def read(self, data: bytes) -> Any:  # noqa: ANN401
        return Extracted(LOG, [Block("code", data.decode())], language="en")  # which loads no model


class Raising(LogReader):
    def recognise(self, data: bytes, name: str) -> str | None:
        raise KeyError(name)  # another message for each file


class Rejecting(LogReader):
    def recognise(self, data: bytes, name: str) -> str | None:
        raise RejectedError("unsupported", "not mine")


class Confused(LogReader):
    def recognise(self, data: bytes, name: str) -> list[str]:
        return [LOG]


class Hanging(LogReader):
    def read(self, data: bytes) -> Extracted:
        if data != b"hang":
            return super().read(data)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        while True:
            time.sleep(600)


@dataclass(frozen=True)
class Returning(LogReader):
    what: Any = None

    def read(self, data: bytes) -> Any:  # noqa: ANN401
        return self.what


@pytest.mark.parametrize("reader", [Raising(), Rejecting(), Confused()])
def test_a_reader_that_fails_at_recognising_leaves_files_to_the_others(reader: LogReader) -> None:
    said = rf"{type(reader).__name__} .*check_reader"
    with pytest.warns(UserWarning, match=said):
        assert read_document(b"some text", "a.txt", [reader]).media_type == "text/plain"
    with pytest.warns(UserWarning, match=said):
        assert read_document(b"some text", "a.log", [reader, LogReader()]).media_type == LOG
    with pytest.warns(UserWarning, match=said), pytest.raises(RejectedError, match="image/png"):
        read_document(PNG, "a.png", [reader])


def test_one_warning_is_given_however_many_the_files() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for name in ("a.txt", "b.txt", "c.txt"):
            read_document(b"some text", name, [Raising()])
    assert len(seen) == 1


@pytest.mark.parametrize("missing", [MemoryError, ImportError])
def test_what_is_no_fault_of_recognising_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, missing: type[Exception]
) -> None:
    def fail(self: LogReader, data: bytes, name: str) -> None:
        raise missing

    monkeypatch.setattr(LogReader, "recognise", fail)
    with pytest.raises(missing):
        read_document(b"some text", "a.txt", [LogReader()])


@pytest.mark.parametrize(
    "what",
    [
        None,
        "some text",
        Extracted(LOG, None),  # type: ignore[arg-type]
        Extracted(LOG, ["some text"]),  # type: ignore[list-item]
        Extracted(LOG, [Block("code", b"some text")]),  # type: ignore[arg-type]
        Extracted(LOG, [Block("code", "some text")], title=None),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_answer_of_a_reader_is_told(what: object) -> None:
    with pytest.raises(RejectedError, match=r"Extracted .* from read\(\) of the reader Returning"):
        read_document(b"some text", "a.log", [Returning(what=what)])


def test_a_reader_that_hangs_costs_its_file_and_no_other() -> None:
    files = {"a.log": b"some text", "b.log": b"hang", "c.log": b"some text", "d.log": b"some text"}
    waiting = [(partial(bytes, data), name) for name, data in files.items()]
    began = time.monotonic()
    with ParsingPool(1, Limits(timeout_s=15)) as pool:
        found = list(pool.read_all(waiting, [Hanging()]))
    assert time.monotonic() - began < 120
    assert [f.title if isinstance(f, Document) else f.detail for f in found] == [
        "a.log",
        "reading took longer than 15 s and was stopped",
        "c.log",
        "d.log",
    ]
