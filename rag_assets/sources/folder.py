"""List and read a folder source; nothing here changes the source."""

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rag_assets.lake.identity import data_version
from rag_assets.sources.catalog import Source, SourceError

MAX_FILE_BYTES = 200_000_000  # above this a file is rejected unread; no sample of it is useful


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as the folder's listing shows it; ``problem`` says why it cannot be read."""

    uri: str
    path: str
    size: int
    mtime_ns: int
    problem: str | None = None

    @property
    def stat_hash(self) -> str:
        """Changes when the file may have changed: size and mtime, as rsync and git decide it."""
        return f"{self.size}:{self.mtime_ns}:{self.problem or ''}"


def list_folder(source: Source) -> Iterator[FoundFile]:
    """Every file of the source, in order of path; hidden ones (``.name``) are left out.

    Raises:
        SourceError: the folder is missing or cannot be listed. Nothing is known then about what
            it holds, so nothing may be deleted.
    """
    root = Path(source.where)
    if not root.is_dir():
        raise SourceError(
            f"source {source.name}: expected a folder at {root}, and there is none; nothing was "
            "deleted. Bring it back, or correct 'where' in sources.yaml"
        )

    def refuse(error: OSError) -> None:
        raise SourceError(
            f"source {source.name}: cannot list {error.filename}: {error.strerror}; nothing was "
            "deleted. Make the folder readable and refresh again"
        )

    for folder, subfolders, names in os.walk(root, onerror=refuse):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if not name.startswith(".") and _is_wanted(relative, source):
                yield _found(source, path, relative)


def _is_wanted(relative: str, source: Source) -> bool:
    # fnmatch's "*" crosses slashes; a leading "**/" must match where there is no folder, too.
    def matches(patterns: tuple[str, ...]) -> bool:
        return any(
            fnmatch.fnmatch(relative, p) or fnmatch.fnmatch(relative, p.removeprefix("**/"))
            for p in patterns
        )

    return matches(source.include) and not matches(source.exclude)


def _found(source: Source, path: Path, relative: str) -> FoundFile:
    # A name that is not UTF-8 keeps its odd bytes as "\\udcff", so that no two names become one.
    uri = f"{source.name}:{relative.encode('utf-8', 'backslashreplace').decode()}"
    try:
        stat = path.stat()
    except OSError as error:
        return FoundFile(uri, str(path), 0, 0, f"cannot be read: {error.strerror}")
    problem = None
    if not path.is_file():
        problem = "is not a regular file"
    elif stat.st_size > MAX_FILE_BYTES:
        problem = f"has {stat.st_size:,} bytes; at most {MAX_FILE_BYTES:,} are read"
    elif not os.access(path, os.R_OK):
        problem = "cannot be read: permission denied"
    return FoundFile(uri, str(path), stat.st_size, stat.st_mtime_ns, problem)


def folder_state(source: Source) -> str:
    """One hash of the whole listing, for a sensor that asks whether anything changed."""
    return data_version((found.uri, found.stat_hash) for found in list_folder(source))
