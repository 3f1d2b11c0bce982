"""The answers of a batch that is not finished, in a file beside that of its answers.

Each is one line, written before the next question is asked. The line names row and question: where
somebody changed the file of questions meanwhile, what was changed is asked again.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import BinaryIO

from rag_assets.batches.outcomes import Outcome
from rag_assets.batches.questions import BatchFileError, Row

ENDING = ".part"


class Kept:
    """The outcomes in an open file; one thread uses it."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._at: dict[Row, int] = {}  # where its line begins
        end = 0
        for line in file:
            if not line.endswith(b"\n"):  # a kill cut it off
                break
            outcome = _outcome(line)
            if outcome is not None:
                self._at[outcome.row] = end
            end += len(line)
        file.truncate(end)
        self._end = end

    def __contains__(self, row: Row) -> bool:
        """Whether a question has its outcome."""
        return row in self._at

    def outcome(self, row: Row) -> Outcome | None:
        """The outcome of a question, if it has one."""
        if row not in self._at:
            return None
        self._file.seek(self._at[row])
        return _outcome(self._file.readline())

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome.

        Raises:
            BatchFileError: the disk is full, or the like.
        """
        row = outcome.row
        said = {"error": outcome.error} if outcome.record is None else {"record": outcome.record}
        line = json.dumps({**asdict(row), **said}).encode() + b"\n"
        try:
            self._file.write(line)
            self._file.flush()  # it is the system's now, whatever becomes of this process
        except OSError as error:
            raise BatchFileError(f"{self._path} cannot be written: {error.strerror}") from error
        self._at[row] = self._end
        self._end += len(line)

    def done(self) -> None:
        """Forget all: the answers are where they belong."""
        self._path.unlink()


def _outcome(line: bytes) -> Outcome | None:
    try:
        kept = json.loads(line)
        row = Row(*(kept[field.name] for field in fields(Row)))
        return Outcome(row, kept.get("record"), kept.get("error", ""), kept=True)
    except (ValueError, KeyError, TypeError):  # a line that we have not written
        return None


@contextmanager
def keeping(out: Path) -> Iterator[Kept]:
    """What is kept of a batch.

    Args:
        out: the file of its answers.

    Raises:
        BatchFileError: ``out`` is there already, another batch is at work on it, or the folder
            cannot be written to.
    """
    path = out.with_name(out.name + ENDING)
    if out.exists() and not path.exists():
        raise BatchFileError(f"{out} is there already; name another file, or delete it")
    try:
        file = path.open("a+b")
    except OSError as error:
        raise BatchFileError(f"{path} cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BatchFileError(f"another batch is at work on {out}") from error
        file.seek(0)
        yield Kept(file, path)
