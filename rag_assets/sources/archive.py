"""List and read a zip archive. Members are read in memory; nothing is unpacked to disk.

Zip rather than WARC: its directory lists every member with its CRC, so a refresh finds what changed
without reading any member, and the standard library reads the format.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import IO, cast

from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.found import (
    FoundFile,
    UnreadableError,
    WholeListing,
    is_hidden,
    is_wanted,
    open_regular,
    read_capped,
    size_problem,
)
from rag_assets.sources.object_store import connect, unreachable

# Text deflates by 3 to 20; a million zeros by 1,000. Little can do no harm.
MAX_RATIO = 200
RATIO_MATTERS_BYTES = 1_000_000  # of a member
MAX_UNPACKED_BYTES = 100_000_000  # of all members; more has to be within the ratio, too
MAX_MEMBERS = 200_000
MAX_DIRECTORY_BYTES = 64_000_000  # zipfile holds some 12 bytes of memory for each
# The standard library unpacks the others without a bound on what comes of a piece.
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
ENCRYPTED = 0x1
# What comes of a member that is damaged; RuntimeError: of a password, and of unknown methods.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, RuntimeError)


class ArchiveListing(WholeListing):
    """The members of a zip archive; a state is CRC and size from the central directory."""

    def __init__(self, source: Source, open_files: ExitStack) -> None:
        self._source = source
        self._open_files = open_files  # closes the archive
        self._archive: zipfile.ZipFile | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}

    def files(self) -> Sequence[FoundFile]:
        """Every member that is a file, in order of name; hidden ones are left out."""
        try:
            stream = self._open_files.enter_context(self._opened())
            _check_directory(stream)
            self._archive = self._open_files.enter_context(zipfile.ZipFile(stream))
            _check_members(self._archive.infolist(), stream.seek(0, io.SEEK_END))
        except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, ValueError) as error:
            raise SourceError(
                f"source {self._source.name}: expected a zip archive at {self._source.where}, got "
                f"one that cannot be read: {error}; nothing was deleted. Write the archive again"
            ) from error
        except SourceError:
            raise
        except Exception as error:  # each backend raises errors of its own
            raise unreachable(self._source, error) from error
        self._members = dict(named(self._archive.infolist()))
        return [
            self._found(name, info)
            for name, info in sorted(self._members.items())
            if not is_hidden(_slashed(info)) and is_wanted(_slashed(info), self._source)
        ]

    def _opened(self) -> IO[bytes]:
        try:
            if not self._source.is_remote:
                return open_regular(self._source.where)
            filesystem, path = connect(self._source)
            return cast("IO[bytes]", filesystem.open(path, "rb"))
        except FileNotFoundError as error:
            raise self._source.gone("a zip archive") from error
        except Exception as error:  # each backend raises errors of its own
            raise unreachable(self._source, error) from error

    def _found(self, name: str, info: zipfile.ZipInfo) -> FoundFile:
        problem = _problem(info) if name == info.filename else "another member has its name"
        uri = f"{self._source.name}:{name.encode('utf-8', 'backslashreplace').decode()}"
        state = f"{info.CRC:08x}:{info.file_size}:{problem or ''}"
        path = f"{self._source.where}:{name}"
        return FoundFile(uri, path, info.file_size, _modified_ns(info), state, problem)

    def read(self, file: FoundFile) -> bytes:
        """The member's bytes; they must have its CRC and no more than its declared size."""
        if self._archive is None:
            raise SourceError(f"source {self._source.name} is read before it is listed")
        info = self._members[file.path.removeprefix(f"{self._source.where}:")]
        try:
            with self._archive.open(info) as stream:
                return read_capped(stream)
        except UnreadableError:
            raise
        except DAMAGED as error:
            raise UnreadableError(f"cannot be read from its archive: {error}") from error
        except Exception as error:  # each backend raises errors of its own
            raise unreachable(self._source, error) from error


def _check_directory(stream: IO[bytes]) -> None:
    """Refuse a list of members too long to be read into memory, before it is.

    Raises:
        ValueError: it is.
    """
    end = zipfile._EndRecData(stream)  # type: ignore[attr-defined] # as ZipFile itself reads it
    if end and end[zipfile._ECD_SIZE] > MAX_DIRECTORY_BYTES:  # type: ignore[attr-defined]
        raise ValueError(
            f"its list of members has {end[zipfile._ECD_SIZE]:,} bytes, at most "  # type: ignore[attr-defined]
            f"{MAX_DIRECTORY_BYTES:,} are read; part it into several archives"
        )


def _check_members(infos: Sequence[zipfile.ZipInfo], packed: int) -> None:
    """Refuse bombs made of many members, which may also share their packed bytes.

    Raises:
        ValueError: it is one.
    """
    if len(infos) > MAX_MEMBERS:
        raise ValueError(
            f"it has {len(infos):,} members, at most {MAX_MEMBERS:,} are read; part it into "
            "several archives"
        )
    unpacked = sum(info.file_size for info in infos)
    if unpacked > max(MAX_UNPACKED_BYTES, MAX_RATIO * packed):
        raise ValueError(
            f"its {packed:,} bytes unpack to {unpacked:,}, as those of a zip bomb do; at most "
            f"{MAX_RATIO} to 1 is read"
        )


def named(infos: Sequence[zipfile.ZipInfo]) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Files of an archive, each under a name of its own.

    Of several members with one name the last has it, as ``unzip`` decides it; those before it get
    a number, so that a row can say that they are not read.
    """
    files = [info for info in infos if not _slashed(info).endswith("/")]
    last = {info.filename: n for n, info in enumerate(files)}
    taken = set(last)
    for n, info in enumerate(files):
        name = info.filename
        if last[name] != n:
            name = f"{name}#{n}"
            while name in taken:
                name += "'"
            taken.add(name)
        yield name, info


def _slashed(info: zipfile.ZipInfo) -> str:
    return info.filename.replace("\\", "/")  # as archives from Windows separate folders


def _problem(info: zipfile.ZipInfo) -> str | None:
    parts = _slashed(info).split("/")
    if ".." in parts or parts[0] == "" or parts[0].endswith(":"):
        return "its name leads out of the archive"
    if info.flag_bits & ENCRYPTED:
        return "is encrypted; no password can be given"
    if info.compress_type not in METHODS:
        return f"is compressed by method {info.compress_type}; only deflate (8) and 0 are read"
    ratio = info.file_size / max(info.compress_size, 1)
    if info.file_size > RATIO_MATTERS_BYTES and ratio > MAX_RATIO:
        return f"is compressed {ratio:,.0f} to 1, as a zip bomb is; at most {MAX_RATIO} is read"
    return size_problem(info.file_size)


def _modified_ns(info: zipfile.ZipInfo) -> int:
    try:
        return int(datetime(*info.date_time, tzinfo=UTC).timestamp()) * 10**9
    except ValueError:  # a month 0, as tools write that have no date
        return 0
