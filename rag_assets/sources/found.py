"""What every kind of source returns: the files found, their states, and their bytes."""

import fnmatch
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from errno import EINVAL
from stat import S_ISREG
from typing import IO, Protocol

from rag_assets.errors import RagError
from rag_assets.sources.declaration import Source

MAX_FILE_BYTES = 200_000_000  # above this a file is rejected unread; no sample of it is useful


Keep = Callable[[str, bytes], None]  # takes the hash of bytes, and the bytes


class UnreadableError(RagError):
    """This one file cannot be read; the message is its row's ``problem``."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as its source shows it.

    Attributes:
        uri: ``<source>:<place below the source's root>``; unique within the source.
        path: where its bytes are read, for a person.
        size: in bytes; 0 if only reading tells.
        mtime_ns: when it was last modified, in ns since 1970; 0 where the source does not say.
        state: changes when the file may have changed (an ETag, say); costs no reading.
        problem: why it cannot be read; None: it can.
        etag: as the server named this state of it, for its next conditional request.
        last_modified: likewise.
        raw_hash: of bytes that the lake keeps already; "" if they are still to be read.
    """

    uri: str
    path: str
    size: int
    mtime_ns: int
    state: str
    problem: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    raw_hash: str = ""


class Listing(Protocol):
    """One look at a source; what is listed, examined and read belongs together."""

    @property
    def notices(self) -> Sequence[str]:
        """What a person should hear that is in no row, e.g. pages kept as they were."""

    def files(self) -> Sequence[FoundFile]:
        """Every file of the source, without reading any.

        Raises:
            SourceError: it cannot be listed whole. Nothing is known then about what it holds, so
                nothing may be deleted.
        """

    def examine(
        self, files: Sequence[FoundFile], known: Mapping[str, FoundFile]
    ) -> Iterable[FoundFile]:
        """The files with what only asking for each one tells; those that are gone left out.

        Args:
            files: some of the listed ones.
            known: what is stored of them, by uri.

        Raises:
            SourceError: too many could not be asked for.
        """

    def read(self, file: FoundFile) -> bytes:
        """The bytes of an examined file without a problem and without a ``raw_hash``.

        Raises:
            UnreadableError: this file cannot be read.
            SourceError: the source cannot be read any more.
        """


class WholeListing:
    """A listing that tells all that there is to tell of its files: stats, CRCs or ETags."""

    notices: Sequence[str] = ()

    def examine(
        self, files: Sequence[FoundFile], known: Mapping[str, FoundFile]
    ) -> Sequence[FoundFile]:
        """The files as listed."""
        return files


def is_wanted(relative: str, source: Source) -> bool:
    """Whether the source's patterns take a path below its root."""

    # fnmatch's "*" crosses slashes; a leading "**/" must match where there is no folder, too.
    def matches(patterns: tuple[str, ...]) -> bool:
        return any(
            fnmatch.fnmatchcase(relative, p) or fnmatch.fnmatchcase(relative, p.removeprefix("**/"))
            for p in patterns
        )

    return matches(source.include) and not matches(source.exclude)


def is_hidden(relative: str) -> bool:
    """Whether the file or a folder above it is hidden (``.name``); "." and ".." are not."""
    return any(part.startswith(".") and part.strip(".") for part in relative.split("/"))


def size_problem(size: int) -> str | None:
    """Why a file of so many bytes is not read, or None."""
    if size <= MAX_FILE_BYTES:
        return None
    return f"has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read"


def since_1970_ns(seconds: float) -> int | None:
    """A time stamp as the lake holds it; None for what is no time, or see ``storable_ns``."""
    try:
        return storable_ns(int(seconds * 1e9)) or None
    except (OverflowError, TypeError, ValueError):
        return None


def storable_ns(ns: int) -> int:
    """A time stamp as the lake holds it; 0 before 1970 and after 2262, where it has no room.

    Who knows no date gives such ones: the year 1 is .NET's and Go's zero.
    """
    return ns if 0 <= ns < 2**63 else 0


def open_regular(path: str) -> IO[bytes]:
    """A regular file, opened. To open a pipe would wait for its writer, for ever.

    Raises:
        OSError: it is no regular file, or cannot be opened.
    """

    def without_waiting(name: str, flags: int) -> int:
        number = os.open(name, flags | os.O_NONBLOCK)
        if S_ISREG(os.fstat(number).st_mode):
            return number
        os.close(number)
        raise OSError(EINVAL, "is not a regular file", name)

    return open(path, "rb", opener=without_waiting)


def read_capped(stream: IO[bytes]) -> bytes:
    """All that is in a stream, whatever its size was said to be.

    Raises:
        UnreadableError: it holds more than ``MAX_FILE_BYTES``.
    """
    data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableError(f"has more than the {MAX_FILE_BYTES:,} bytes that are read")
    return data
