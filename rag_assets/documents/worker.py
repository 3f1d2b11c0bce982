"""Read files in worker processes: a crash, an endless loop or a bomb costs one document.

Workers are kept for many files. A worker that dies, exceeds its time or has grown is replaced. If a
worker died on a document, a fresh one tries the document once more: the cause may have been an
earlier document or something outside (the kernel short of memory, an operator), and a rejection
lasts until the file changes. A worker out of memory is tried again only if it had read other
documents before. A document that took too long is not tried again.

A worker needs 2 s of a core before it has read its first page. A caller that knows that files will
have to be read starts workers with ``started_ahead`` and does something else meanwhile.
"""

import io
import multiprocessing
import os
import pickle
import resource
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, Self

import psutil

from rag_assets.documents.cleaning import Edit
from rag_assets.documents.readers import ocr
from rag_assets.documents.readers.blocks import RejectedError, Span
from rag_assets.documents.readers.registry import Reader
from rag_assets.documents.reading import Document, read_document
from rag_assets.errors import RagError

TIMEOUT_S = 120.0  # for one document
OCR_TIMEOUT_S = 1800.0  # where scans are read, at up to 20 s a page
START_S = 120.0  # for a worker to start
ORPHAN_S = 10.0  # after which a worker that nobody has stopped in time ends by itself
MEMORY_BYTES = 4 * 2**30  # address space of a worker
GROWN_BYTES = 2**30  # resident; a worker that has grown so far is replaced after its document
MAX_TEXT_CHARS = 50_000_000  # of a document: 100 long novels; more is a bomb or a dump
MAX_WORKERS = 8  # more wait for the one process that writes

Answer = Document | tuple[str, str]  # or the reason and the detail of a rejection
MAX_ANSWER_BYTES = 2**31  # of a pickled document
# An array is made of its type, its shape and bytes.
_OF_A_DOCUMENT = {
    *((kind.__module__, kind.__qualname__) for kind in (Document, Edit, Span)),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
}
NO_READERS = pickle.dumps(())
_NO_LIBRARY = "no library"  # in place of a reason: no file is to blame


class ParsingError(RagError):
    """No file can be read here: a worker does not start, or a reader's library is missing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost."""

    timeout_s: float = field(
        default_factory=lambda: OCR_TIMEOUT_S if ocr.is_available() else TIMEOUT_S
    )
    memory_bytes: int = MEMORY_BYTES
    grown_bytes: int = GROWN_BYTES
    max_text_chars: int = MAX_TEXT_CHARS


class ParsingWorker:
    """Reads documents in a child process, one at a time; use as a context manager."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._is_used = False  # whether the process that runs now has read anything
        self._is_stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, data: bytes, name: str, readers: bytes = NO_READERS) -> Document:
        """Like ``read_document``, but the readers are pickled, and whatever happens is survived.

        Raises:
            RejectedError: also ``timeout``, ``memory``, ``too large`` and ``crash`` for what
                happened to the worker.
            ParsingError: nothing can be read here, whatever the bytes.
        """
        if self._is_stopped:
            raise RejectedError("crash", "the reader was stopped")
        used_before = self._is_used
        try:
            return self._read_once(data, name, readers)
        except RejectedError as error:
            is_retried = error.reason == "crash" or (used_before and error.reason == "memory")
            if self._is_stopped or not is_retried:
                raise
        return self._read_once(data, name, readers)

    def _read_once(self, data: bytes, name: str, readers: bytes) -> Document:
        pipe = self._started()
        self._is_used = True
        try:
            pipe.send((data, name, readers))
            if not pipe.poll(self._limits.timeout_s):
                raise RejectedError(
                    "timeout",
                    f"reading took longer than {self._limits.timeout_s:.0f} s and was stopped",
                )
            answer: Answer
            answer, resident = _received(pipe)
        except (EOFError, OSError, pickle.UnpicklingError) as error:  # also half-way in its answer
            code = self.close()
            raise RejectedError(
                "crash", f"the reader died on this document ({_death(code)})"
            ) from error
        except BaseException:
            self.close()  # its answer would be taken for that to the next document
            raise
        if resident > self._limits.grown_bytes:
            self.close()  # what it still holds would be counted against the next document
        if isinstance(answer, tuple):
            if answer[0] == "memory":
                self.close()
            if answer[0] == _NO_LIBRARY:
                raise ParsingError(answer[1])
            raise RejectedError(*answer)
        return answer

    def stop(self) -> None:
        """Give up what is being read, asked by another thread; then ``read`` is of no use."""
        self._is_stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> int | None:
        """Stop the worker; returns its exit code if it ran."""
        self._is_used = False
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        process, self._process = self._process, None  # another thread may close it, too
        if process is None:
            return None
        process.join(0.5)
        if process.is_alive():
            process.kill()
            process.join()
        return process.exitcode

    def _started(self) -> Connection:
        if self._pipe is None or self._process is None or not self._process.is_alive():
            self.close()
            taken = _taken(self._limits)
            self._process, self._pipe = taken or _launched(self._limits)
            # It says that it is ready; one started ahead answers to its first page, too.
            self._wait_until_ready(self._pipe, 2 if taken else 1)
        return self._pipe

    def _wait_until_ready(self, pipe: Connection, n_answers: int) -> None:
        try:
            while pipe.poll(START_S):
                _received(pipe)
                n_answers -= 1
                if not n_answers:
                    return
            why = f"did not start in {START_S:.0f} s"
        except (EOFError, OSError, pickle.UnpicklingError):
            why = (
                f"ended before it began ({_death(self.close())}); it imports the script that is "
                'run, whose work has to stand below `if __name__ == "__main__":`'
            )
        self.close()
        raise ParsingError(f"the process that reads files {why}; its own message is in the log")


class ParsingPool:
    """As many workers as cores, started when there is work for them; a context manager."""

    def __init__(self, n_workers: int | None = None, limits: Limits | None = None) -> None:
        n_workers = n_workers or _most_workers()
        self._workers = [ParsingWorker(limits) for _ in range(n_workers)]
        self._idle: SimpleQueue[ParsingWorker] = SimpleQueue()
        for worker in reversed(self._workers):
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(n_workers, thread_name_prefix="parsing")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # an interrupt does not wait for what is being read
            for worker in self._workers:
                worker.stop()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def read_all(
        self, files: Sequence[tuple[Callable[[], bytes], str]], readers: Sequence[Reader] = ()
    ) -> Iterator[Document | RejectedError]:
        """Read files at the same time; what became of each, in their order.

        A file is what gives its bytes, asked when its turn has come, and its name.
        """
        try:
            pickled = pickle.dumps(tuple(readers))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ParsingError(
                f"a reader cannot be sent to the processes that read files: {error}; make it of "
                "what a module defines"
            ) from error
        yield from self._threads.map(lambda file: self._read(file[0], file[1], pickled), files)

    def _read(
        self, load: Callable[[], bytes], name: str, readers: bytes
    ) -> Document | RejectedError:
        worker = self._idle.get()
        try:
            return worker.read(load(), name, readers)
        except RejectedError as error:
            return error
        finally:
            self._idle.put(worker)


_ahead: dict[Limits, deque[tuple[BaseProcess, Connection]]] = {}
# Makes a worker load trafilatura and what tells languages; readers of other formats load faster.
_FIRST_PAGE = b"<!doctype html><title>First</title><main><p>" + b"A page to begin with. " * 10


@contextmanager
def started_ahead(n_files: int, limits: Limits | None = None) -> Iterator[None]:
    """As many workers as ``n_files`` want, for the pools of the body; it does not wait for them.

    Those that nobody took end with the body.
    """
    limits = limits or Limits()
    for _ in range(min(n_files, _most_workers())):
        process, pipe = _launched(limits)
        pipe.send((_FIRST_PAGE, "first.html", NO_READERS))
        _ahead.setdefault(limits, deque()).append((process, pipe))
    try:
        yield
    finally:
        for process, pipe in _ahead.pop(limits, ()):
            pipe.close()
            process.kill()
            process.join()


class _Unpickler(pickle.Unpickler):
    """Takes an answer and nothing else: a file may have taken over the process that read it."""

    def find_class(self, module: str, name: str) -> object:
        """Only what a document is made of."""
        if (module, name) not in _OF_A_DOCUMENT:
            raise pickle.UnpicklingError(f"expected a document, got {module}.{name}")
        return super().find_class(module, name)


def _received(pipe: Connection) -> Any:  # noqa: ANN401 - what a worker sends
    return _Unpickler(io.BytesIO(pipe.recv_bytes(MAX_ANSWER_BYTES))).load()


def _taken(limits: Limits) -> tuple[BaseProcess, Connection] | None:
    """A worker that was started ahead and lives; None if there is none (any more)."""
    waiting = _ahead.get(limits, deque())
    with suppress(IndexError):  # it is empty, or another thread took the last one
        while True:
            process, pipe = waiting.popleft()
            if process.is_alive():
                return process, pipe
            pipe.close()
    return None


def _launched(limits: Limits) -> tuple[BaseProcess, Connection]:
    # spawn, not fork: Lance and Arrow run threads, and a forked copy of their locks hangs
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, limits), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _most_workers() -> int:
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _serve(pipe: Connection, limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump of the memory helps nobody here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, in an endless loop of C, too
    pipe.send("ready")
    while True:
        try:
            data, name, readers = pipe.recv()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, limits.timeout_s + ORPHAN_S)
        answer = _answer(data, name, readers, limits)
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            pipe.send((answer, _resident_bytes()))
        except MemoryError:
            pipe.send((_memory(limits), _resident_bytes()))


@cache
def _unpickled(readers: bytes) -> Sequence[Reader]:
    found: Sequence[Reader] = pickle.loads(readers)  # of the process that started this one
    return found


def _answer(data: bytes, name: str, pickled: bytes, limits: Limits) -> Answer:
    try:
        readers = _unpickled(pickled)
    # Process border: a module of somebody else's may raise anything when it is imported.
    except Exception as error:  # noqa: BLE001
        return _NO_LIBRARY, (
            f"a reader cannot be had in the process that reads files: {type(error).__name__}: "
            f"{error}; define it in a module that can be imported there"
        )
    try:
        document = read_document(data, name, readers)
    except RejectedError as error:
        return error.reason, error.detail
    except MemoryError:
        return _memory(limits)
    except ImportError as error:
        return _NO_LIBRARY, (
            f"a reader's library is missing: {error}; install what requirements-*.lock names"
        )
    # Process border: whatever a parser raises on hostile bytes is that document's reason.
    except Exception as error:  # noqa: BLE001
        return "corrupt", f"the reader failed: {type(error).__name__}: {error}"[:500]
    if len(document.text) > limits.max_text_chars:
        return "too large", (
            f"expected at most {limits.max_text_chars:,} characters of text in a document, got "
            f"{len(document.text):,}; split it"
        )
    return document


def _memory(limits: Limits) -> tuple[str, str]:
    return "memory", f"reading needs more than {limits.memory_bytes / 2**30:.0f} GiB"


def _resident_bytes() -> int:
    return psutil.Process().memory_info().rss
