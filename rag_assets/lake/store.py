"""The lake: Lance tables by stage and partition, raw bytes by hash, small JSON records.

Layout below the lake's URI (a folder, or any object store that LanceDB and Arrow reach)::

    tables/<stage>/<partition>.lance   one Lance dataset per stage and partition
    raw/<ab>/<hash>                    source bytes, content-addressed
    records/<name>.json                manifests and pointers, each replaced in one atomic step
    locks/<name>.lock                  who writes, in a folder; see ``lake.locks``
    locks/<name>/<number>.json         leases, on an object store

One dataset per partition means that two partitions never touch the same commit log: they can be
written at once, from two processes or two hosts, with nothing to coordinate.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
from lancedb.table import Table
from pyarrow import fs

from rag_assets.files import NO_DOCUMENTS, replace_file, sweep_parts
from rag_assets.lake.errors import LakeError as LakeError  # also importable from here
from rag_assets.lake.identity import bytes_hash
from rag_assets.lake.locks import lease, machine_lock

# Of the whole lake. A version refuses a lake of a higher one, so raise it with each change that the
# versions before must not meet, such as a new column or a new field of a manifest.
FORMAT = 2
FORMAT_RECORD = "format"
GLOBAL = "all"  # the partition of a table that is not partitioned
MADE = "made"  # key of a table's metadata: which table it is
ASIDE = ".aside"  # ending of the names of raw bytes that a sweep will delete
REMEDY = "bring it back from a backup, or remove it and run `rag refresh`"
INDEX_CACHE_BYTES = 256 * 2**20
METADATA_CACHE_BYTES = 64 * 2**20


def quoted(values: Sequence[str]) -> str:
    """The values as a SQL list, ``'a', 'b'``, quotes doubled."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


class LakeStore:
    """Tables, blobs and records below one URI; cheap to construct, connects on first use.

    Args:
        uri: folder path or object-store URI (``s3://bucket/prefix``).
        shares_cache: keep what is read of indexes and metadata for all tables that are opened, up
            to a limit. Otherwise each has a cache of its own, of up to 6 GB, and takes it along
            when it is closed: a look for few keys then reads all pages of their index.
    """

    def __init__(self, uri: str, *, shares_cache: bool = True) -> None:
        self.uri = uri.rstrip("/")
        self._shares_cache = shares_cache
        self._connections: dict[str, lancedb.DBConnection] = {}
        self._is_stated = False

    @cached_property
    def _session(self) -> lancedb.Session | None:
        if not self._shares_cache:
            return None
        return lancedb.Session(
            index_cache_size_bytes=INDEX_CACHE_BYTES,
            metadata_cache_size_bytes=METADATA_CACHE_BYTES,
        )

    @cached_property
    def _files(self) -> tuple[fs.FileSystem, str]:
        filesystem, root = self._place()
        written = _record_in(filesystem, root, FORMAT_RECORD) or {"format": 0}
        if written["format"] > FORMAT:
            raise LakeError(
                f"the lake at {self.uri} was written by a newer version of rag_assets: expected "
                f"format {FORMAT} or less, got {written['format']}; install the newer version "
                "again, restore a backup from before, or name another lake in RAG_LAKE"
            )
        return filesystem, root

    def _state_format(self) -> None:
        """Make the lake say its format, once, before something is written to a table.

        One that was made before lakes were private is closed to others then, once: who opens it
        afterwards means it.
        """
        if not self._is_stated:
            stated = self.get_record(FORMAT_RECORD) or {"format": 0}
            now = {"format": max(stated["format"], FORMAT), "private": True}
            if stated != now:
                if "private" not in stated and "://" not in self.uri:
                    _close(Path(self._files[1]))
                self.put_record(FORMAT_RECORD, now)
            self._is_stated = True

    def _place(self) -> tuple[fs.FileSystem, str]:
        if "://" in self.uri:
            filesystem, root = fs.FileSystem.from_uri(self.uri)
            return filesystem, root
        root = str(Path(self.uri).absolute())
        try:
            # It holds what the documents say: it is nobody else's unless its owner opens it.
            Path(root).mkdir(0o700, parents=True, exist_ok=True)
            (Path(root) / NO_DOCUMENTS).touch()
            probe = Path(root) / ".writable"
            probe.touch()
            probe.unlink(missing_ok=True)
        except OSError as error:
            raise LakeError(
                f"expected a writable folder for the lake at {root}, got: {error}; "
                "free the path, or name another one in RAG_LAKE"
            ) from error
        return fs.LocalFileSystem(), root

    def _stage(self, stage: str) -> lancedb.DBConnection:
        _, root = self._files  # makes the folder, or says why it cannot
        if stage not in self._connections:  # to connect takes as long as to open a table
            base = self.uri if "://" in self.uri else root
            self._connections[stage] = lancedb.connect(
                f"{base}/tables/{stage}", session=self._session
            )
        return self._connections[stage]

    # Tables

    def partitions(self, stage: str) -> list[str]:
        """Names of the stage's partitions, sorted; empty where the stage was never written."""
        return self._names(f"tables/{stage}", ".lance")

    def table(self, stage: str, partition: str = GLOBAL) -> Table | None:
        """The open Lance table at its newest version, or None where it was never written."""
        try:
            return self._stage(stage).open_table(partition)
        except (FileNotFoundError, ValueError) as error:
            if "not found" in str(error).lower():
                return None
            raise

    def open_or_create(
        self,
        stage: str,
        partition: str,
        schema: pa.Schema,
        is_superseded: Callable[[Table], bool] | None = None,
    ) -> Table:
        """The table, made empty if need be; columns that are new and may be null are added to it.

        ``is_superseded`` tells a table that is to be made anew; then the caller holds the
        partition's lock.

        Raises:
            LakeError: the table on disk has other columns than ``schema``.
        """
        self._state_format()
        table = self.table(stage, partition)
        if table is not None and is_superseded is not None and is_superseded(table):
            self._stage(stage).drop_table(partition)
            table = None
        if table is None:
            # Lance takes the second of two simultaneous creations for an overwrite, which would
            # take the first writer's rows away.
            with self.locked(f"create.{stage}.{partition}"):
                table = self.table(stage, partition)
                if table is None:
                    named = schema.with_metadata({MADE: uuid.uuid4().hex})
                    table = self._stage(stage).create_table(partition, schema=named)
        stored, wanted = _columns(table.schema), _columns(schema)
        if stored < wanted:
            with self.locked(f"create.{stage}.{partition}"):
                table.checkout_latest()
                added = [of for of in schema if of.nullable and of.name not in table.schema.names]
                if added:
                    table.add_columns(added)
            stored = _columns(table.schema)
        if stored != wanted:
            raise LakeError(
                f"table {stage}/{partition} has other columns than this version and profile write: "
                f"stored {', '.join(sorted(stored - wanted)) or 'fewer'}, expected "
                f"{', '.join(sorted(wanted - stored)) or 'fewer'}; refresh into a new lake "
                "(RAG_LAKE) or remove this one"
            )
        return table

    def state_of(self, stage: str, partition: str = GLOBAL) -> str:
        """``state_of`` the table as it is now; "0" without a table."""
        table = self.table(stage, partition)
        return "0" if table is None else state_of(table)

    def locked(self, name: str) -> AbstractContextManager[None]:
        """One holder of ``name`` at a time; others wait.

        Among the processes of this machine for a lake in a folder, among all hosts for one on an
        object store. What exactly holds is said in ``lake.locks``.
        """
        if "://" in self.uri:
            return lease(self.uri, name)
        return machine_lock(Path(self._files[1]), name)

    def read(
        self,
        stage: str,
        partition: str = GLOBAL,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
    ) -> pa.Table | None:
        """Rows of one partition (n rows of ``columns``), or None where it was never written."""
        table = self.table(stage, partition)
        if table is None:
            return None
        return scan(table, columns=columns, where=where)

    def rows(
        self,
        stage: str,
        partition: str = GLOBAL,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
    ) -> list[dict[str, Any]]:
        """Like ``read``, as dictionaries; an absent table has no rows."""
        table = self.read(stage, partition, columns=columns, where=where)
        return [] if table is None else table.to_pylist()

    def overwrite(self, stage: str, rows: pa.Table) -> None:
        """Replace an unpartitioned table's rows in one commit."""
        self._stage(stage).create_table(GLOBAL, rows, mode="overwrite")

    def drop(self, stage: str, partition: str) -> None:
        """Remove a table with all its versions; one that is gone already is no error."""
        if partition in self.partitions(stage):
            self._stage(stage).drop_table(partition)

    # Raw bytes

    def _blob(self, digest: str) -> str:
        return f"{self._files[1]}/raw/{digest[:2]}/{digest}"

    def put_blob(self, digest: str, data: bytes) -> None:
        """Keep source bytes under their hash; bytes already kept are not written again."""
        if not self.has_blob(digest):
            self._write(self._blob(digest), data)

    def has_blob(self, digest: str) -> bool:
        """Whether the bytes of this hash are kept."""
        filesystem, _ = self._files
        return bool(filesystem.get_file_info(self._blob(digest)).type == fs.FileType.File)

    def get_blob(self, digest: str) -> bytes:
        """The bytes kept under ``digest``; they are what they were when they were written.

        Raises:
            FileNotFoundError: nothing is kept under that hash.
            LakeError: other bytes are.
        """
        # A sweep may have renamed it before the row was written. The third look: it was brought
        # back between the two before.
        for name in (digest, digest + ASIDE):
            with suppress(FileNotFoundError):
                return self._whole_blob(name)
        return self._whole_blob(digest)

    def _whole_blob(self, name: str) -> bytes:
        data = self._read(self._blob(name))
        if bytes_hash(data) != name.removesuffix(ASIDE):
            raise LakeError(
                f"the source bytes in {self._blob(name)} are not those that were written there; "
                "bring the file back from a backup. Without one, remove it and the folder "
                f"{self.uri}/tables/source_files, and refresh: all sources are read again"
            )
        return data

    # Records

    def put_record(self, name: str, value: object) -> None:
        """Write a JSON record in one atomic step: readers see the old one or the new one."""
        data = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode()
        self._write(f"{self._files[1]}/records/{name}.json", data)

    def get_record(self, name: str) -> Any | None:  # noqa: ANN401 - JSON has no narrower type
        """The record's value, or None where there is none.

        Raises:
            LakeError: it is no JSON.
        """
        return _record_in(*self._files, name)

    def records(self, folder: str) -> list[str]:
        """Names of the records below ``folder``, sorted, without the folder."""
        return self._names(f"records/{folder}", ".json")

    # What is stored, for the upkeep

    def folders(self, path: str) -> list[str]:
        """Names of the folders in a folder of the lake, sorted; none where it does not exist."""
        return [info.base_name for info in self._infos(path) if info.type == fs.FileType.Directory]

    def files(self, path: str, *, recursive: bool = False) -> list[fs.FileInfo]:
        """Files in a folder of the lake by name, each with ``size`` (bytes) and ``mtime``."""
        found = self._infos(path, recursive=recursive)
        return [info for info in found if info.type == fs.FileType.File]

    def remove(self, path: str) -> None:
        """Delete a file of the lake; one that is gone already is no error."""
        filesystem, root = self._files
        with suppress(FileNotFoundError):
            filesystem.delete_file(f"{root}/{path}")

    def sweep_parts(self) -> None:
        """Delete what writers of records left that were killed, of a lake in a folder."""
        if "://" not in self.uri:
            sweep_parts(Path(self._files[1]) / "records", recursive=True)

    def _names(self, path: str, ending: str) -> list[str]:
        names = [info.base_name for info in self._infos(path)]
        return sorted(name.removesuffix(ending) for name in names if name.endswith(ending))

    def _infos(self, path: str, *, recursive: bool = False) -> list[fs.FileInfo]:
        filesystem, root = self._files
        selector = fs.FileSelector(f"{root}/{path}", allow_not_found=True, recursive=recursive)
        infos: list[fs.FileInfo] = filesystem.get_file_info(selector)
        return sorted(infos, key=lambda info: str(info.path))

    def _read(self, path: str) -> bytes:
        return _bytes_of(self._files[0], path)

    def _write(self, path: str, data: bytes) -> None:
        filesystem, _ = self._files
        if not isinstance(filesystem, fs.LocalFileSystem):
            with filesystem.open_output_stream(path) as stream:  # visible when closed, not before
                stream.write(data)
            return
        replace_file(Path(path), data)


def _close(folder: Path) -> None:
    with suppress(PermissionError):  # it is another user's, who lets us write there
        folder.chmod(folder.stat().st_mode & 0o700)


def _bytes_of(filesystem: fs.FileSystem, path: str) -> bytes:
    with filesystem.open_input_stream(path) as stream:
        return bytes(stream.read())


def _record_in(filesystem: fs.FileSystem, root: str, name: str) -> Any | None:  # noqa: ANN401 - JSON
    path = f"{root}/records/{name}.json"
    try:
        return json.loads(_bytes_of(filesystem, path))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LakeError(f"the record {path} is damaged: {error}; {REMEDY}") from error


def _columns(schema: pa.Schema) -> set[str]:
    """Columns with their types: a vector of another length is another column."""
    return {f"{field.name} ({field.type})" for field in schema}


def state_of(table: Table) -> str:
    """A name for what an open table holds, another one after each commit.

    A table that was removed and made again counts its versions from 1 again, so they alone would
    not do.
    """
    made = (table.schema.metadata or {}).get(MADE.encode(), b"")
    return f"{made.decode()[:8]}.{table.version}"


def scan(
    table: Table, *, columns: Sequence[str] | None = None, where: str | None = None
) -> pa.Table:
    """All rows of an open table that satisfy ``where``, in ``columns``."""
    return _query(table, columns, where).to_arrow()


def batches(
    table: Table, *, columns: Sequence[str], where: str | None = None, batch_size: int = 1024
) -> Iterator[pa.RecordBatch]:
    """Rows that satisfy ``where`` in record batches of at most ``batch_size``."""
    yield from _query(table, columns, where).to_batches(batch_size)


def _query(  # LanceDB names no type for what its builder gives
    table: Table, columns: Sequence[str] | None, where: str | None
) -> Any:  # noqa: ANN401
    query = table.search()
    if where is not None:
        query = query.where(where)
    return query if columns is None else query.select(list(columns))
