"""List and read a folder source; nothing here changes the source."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_ISREG

from rag_assets.files import NO_DOCUMENTS
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.found import (
    FoundFile,
    UnreadableError,
    WholeListing,
    is_wanted,
    open_regular,
    read_capped,
    size_problem,
    storable_ns,
)


class FolderListing(WholeListing):
    """A folder; its files' states are size and mtime, as rsync and git decide it."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def files(self) -> Sequence[FoundFile]:
        """Every file of the folder; see ``list_folder``."""
        return [*list_folder(self._source)]

    def read(self, file: FoundFile) -> bytes:
        """The file's bytes."""
        # By now it may be another one than was listed.
        _, problem = _looked_at(Path(file.path), os.path.realpath(self._source.where))
        if problem is not None:
            raise UnreadableError(problem)
        try:
            with open_regular(file.path) as stream:
                return read_capped(stream)
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error.strerror}") from error


def list_folder(source: Source) -> Iterator[FoundFile]:
    """Every file of the source, in order of path.

    Hidden ones (``.name``) are left out, linked folders, and folders with the mark of what is no
    document (a lake). What is no regular file, or a link out of the folder, has a problem.

    Raises:
        SourceGoneError: the folder is missing.
        SourceError: it cannot be listed. Nothing is known then about what it holds, so nothing may
            be deleted.
    """
    root, real_root = Path(source.where), os.path.realpath(source.where)
    if not os.path.isdir(root):  # Path's own raises for a mount that is dead
        raise source.gone("a folder")

    def refuse(error: OSError) -> None:
        raise SourceError(
            f"source {source.name}: cannot list {error.filename}: {error.strerror}; nothing was "
            "deleted. Make the folder readable and refresh again"
        )

    for folder, subfolders, names in os.walk(root, onerror=refuse):
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".") and not Path(folder, name, NO_DOCUMENTS).exists()
        )
        for name in sorted(names):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if not name.startswith(".") and is_wanted(relative, source):
                yield _found(source, path, relative, real_root)


def _found(source: Source, path: Path, relative: str, root: str) -> FoundFile:
    # A byte that is not UTF-8 becomes \udcff and a backslash two, so that no two names become one.
    escaped = relative.replace("\\", "\\\\").encode("utf-8", "backslashreplace").decode()
    uri = f"{source.name}:{escaped}"
    stat, problem = _looked_at(path, root)
    size, mtime_ns = (0, 0) if stat is None else (stat.st_size, stat.st_mtime_ns)
    state = f"{size}:{mtime_ns}:{problem or ''}"
    return FoundFile(uri, str(path), size, storable_ns(mtime_ns), state, problem)


def _looked_at(path: Path, root: str) -> tuple[os.stat_result | None, str | None]:
    """A file's stat, if it can be had, and why it is not to be read; ``root`` has no links."""
    try:
        if not Path(os.path.realpath(path)).is_relative_to(root):
            return None, "is a link that leads out of the source's folder"
        stat = path.stat()
    except OSError as error:
        return None, f"cannot be read: {error.strerror}"
    if not S_ISREG(stat.st_mode):
        return stat, "is not a regular file"
    if size_problem(stat.st_size) is None and not os.access(path, os.R_OK):
        return stat, "cannot be read: permission denied"
    return stat, size_problem(stat.st_size)
