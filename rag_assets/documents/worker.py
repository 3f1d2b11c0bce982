"""Parsing in a process of its own: a crash, an endless loop or a bomb costs one document.

One worker is kept and fed; it is replaced when it dies, exceeds its time or its memory.
"""

import multiprocessing
import resource
import signal
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from rag_assets.documents.blocks import RejectedError
from rag_assets.documents.reading import Document, read_document

TIMEOUT_S = 120.0  # for one document
MEMORY_BYTES = 4 * 2**30  # address space of the worker


class ParsingWorker:
    """Reads documents in a child process; use as a context manager."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S, memory_bytes: int = MEMORY_BYTES) -> None:
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        # spawn, not fork: Lance and Arrow run threads, and a forked copy of their locks hangs
        self._context = multiprocessing.get_context("spawn")
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, data: bytes, name: str) -> Document:
        """Like ``read_document``, and as bad as the bytes may be, this process lives on.

        Raises:
            RejectedError: also ``timeout`` and ``crash`` for what happened to the worker.
        """
        pipe = self._started()
        try:
            pipe.send((data, name))
            if not pipe.poll(self._timeout_s):
                self.close()
                raise RejectedError(
                    "timeout", f"reading took longer than {self._timeout_s:.0f} s and was stopped"
                )
            result: Document | tuple[str, str] = pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            code = self.close()
            raise RejectedError(
                "crash", f"the reader died on this document ({_death(code)})"
            ) from error
        if isinstance(result, tuple):
            if result[0] == "memory":
                self.close()  # what it still holds would be counted against the next document
            raise RejectedError(*result)
        return result

    def close(self) -> int | None:
        """Stop the worker; returns its exit code if it ran."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is None:
            return None
        self._process.join(0.5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode
        self._process = None
        return code

    def _started(self) -> Connection:
        if self._pipe is None or self._process is None or not self._process.is_alive():
            self.close()
            self._pipe, theirs = self._context.Pipe()
            self._process = self._context.Process(
                target=_serve, args=(theirs, self._memory_bytes), daemon=True
            )
            self._process.start()
            theirs.close()
        return self._pipe


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _serve(pipe: Connection, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    while True:
        try:
            data, name = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(read_document(data, name))
        except RejectedError as error:
            pipe.send((error.reason, error.detail))
        except MemoryError:
            pipe.send(("memory", f"reading needs more than {memory_bytes / 2**30:.0f} GiB"))
        # Process border: whatever a parser raises on hostile bytes is that document's reason.
        except Exception as error:  # noqa: BLE001
            pipe.send(("corrupt", f"the reader failed: {type(error).__name__}: {error}"[:500]))
