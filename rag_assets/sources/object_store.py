"""List and read an object store, or anything else for which fsspec has a URI.

fsspec itself rather than universal-pathlib: one ``find`` returns all objects with their ETags, a
thousand for each request, where paths would ask for each object on its own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem

from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.found import (
    FoundFile,
    UnreadableError,
    WholeListing,
    is_hidden,
    is_wanted,
    read_capped,
    since_1970_ns,
    size_problem,
)

# As S3, Google and Azure, and others call them.
ETAGS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "crc32c")
MODIFIED = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


class ObjectStoreListing(WholeListing):
    """Objects below a prefix; a state is the ETag, or size and mtime where there is none."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._filesystem: AbstractFileSystem | None = None

    def files(self) -> Sequence[FoundFile]:
        """Every object below the prefix, in order of key; hidden ones are left out."""
        try:
            self._filesystem, root = connect(self._source)
            objects = objects_below(self._filesystem, root)
            there = bool(objects) or self._filesystem.exists(root)
        except Exception as error:  # each backend raises errors of its own, and not all OSErrors
            raise unreachable(self._source, error) from error
        if not there:
            raise self._source.gone("objects")
        found = (self._found(root, key, info) for key, info in sorted(objects.items()))
        return [file for file in found if file is not None]

    def read(self, file: FoundFile) -> bytes:
        """The object's bytes; a connection that fails ends the refresh, and deletes nothing."""
        if self._filesystem is None:
            raise SourceError(f"source {self._source.name} is read before it is listed")
        try:
            with self._filesystem.open(file.path, "rb") as stream:
                return read_capped(stream)
        except UnreadableError:
            raise
        except (FileNotFoundError, PermissionError) as error:
            raise UnreadableError(f"cannot be read: {error}") from error
        except Exception as error:  # each backend raises errors of its own
            raise unreachable(self._source, error) from error

    def _found(self, root: str, key: str, info: Mapping[str, Any]) -> FoundFile | None:
        folder = root.rpartition("/")[0] if key == root else root.rstrip("/")
        relative = key.removeprefix(f"{folder}/")
        marks_folder = info.get("type") == "directory" or relative.endswith("/")
        if marks_folder or is_hidden(relative) or not is_wanted(relative, self._source):
            return None
        size = int(info.get("size") or 0)
        etag = next((str(info[name]) for name in ETAGS if info.get(name)), None)
        mtime_ns = modified_ns(info)
        problem = size_problem(size)
        if info.get("type") == "other":  # opening a pipe would wait for its writer for ever
            problem = "is not a regular file"
        state = f"{etag or mtime_ns}:{size}:{problem or ''}"
        uri = f"{self._source.name}:{relative.encode('utf-8', 'backslashreplace').decode()}"
        return FoundFile(uri, key, size, mtime_ns, state, problem, etag)


def connect(source: Source) -> tuple[AbstractFileSystem, str]:
    """The filesystem behind ``where``, and the root on it."""
    # Kept instances cache listings, and a sensor's process would see the first one for ever.
    options = {**source.storage, "skip_instance_cache": True, "use_listings_cache": False}
    filesystem, root = fsspec.core.url_to_fs(source.where, **options)
    return filesystem, str(root)


def objects_below(filesystem: AbstractFileSystem, root: str) -> dict[str, dict[str, Any]]:
    """All objects below ``root`` by key; none if there is nothing of that name.

    Backends without a ``find`` of their own (sftp, smb, hdfs, file) inherit one that leaves out,
    without a word, each folder that it cannot list; its documents would be taken for deleted.
    """
    if isinstance(filesystem, AsyncFileSystem):
        inherited = type(filesystem)._find is AsyncFileSystem._find
    else:
        inherited = type(filesystem).find is AbstractFileSystem.find
    if not inherited:
        return dict(filesystem.find(root, detail=True))
    try:
        top = filesystem.info(root)
    except FileNotFoundError:
        return {}
    if top["type"] != "directory":
        return {root: top}
    found, waiting = {}, [root]
    while waiting:
        folder = waiting.pop()
        for info in filesystem.ls(folder, detail=True):
            name = info["name"].rstrip("/")
            if info["type"] == "directory" and name != folder:
                waiting.append(name)
            else:
                found[name] = _target(filesystem, info, root) if info.get("islink") else info
    return found


def _target(filesystem: AbstractFileSystem, link: dict[str, Any], root: str) -> dict[str, Any]:
    """What a link leads to; the link itself, of kind "other", if it is nothing to be read."""
    try:
        target = dict(filesystem.info(link["name"]))
    except OSError:  # it leads nowhere
        return link
    if isinstance(filesystem, LocalFileSystem) and target["type"] == "file":
        place, within = Path(link["name"]).resolve(), Path(root).resolve()
        return target if place.is_relative_to(within) else link
    return target


def unreachable(source: Source, error: Exception) -> SourceError:
    """The error of a store that did not answer as it should."""
    said = str(error) or type(error).__name__
    missing = isinstance(error, ImportError)
    return SourceError(
        f"source {source.name}: cannot read {source.where}: {said}; nothing was deleted. "
        + (
            "Install the package that fsspec names"
            if missing
            else "Check the URI, credentials in the environment and the network, and refresh again"
        )
    )


def modified_ns(info: Mapping[str, Any]) -> int:
    """When an object was last modified, in ns since 1970; 0 where its store does not say."""
    value = next((info[name] for name in MODIFIED if info.get(name)), 0)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return 0
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return since_1970_ns(value) or 0
