"""Stage 1: from a source's listing to ``source_files`` and the stored bytes."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, Self

import pyarrow as pa

from rag_assets.lake.delta import StageTable
from rag_assets.lake.identity import bytes_hash, value_hash
from rag_assets.lake.schemas import TEXT, required, stage_rows, stage_schema
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.sources import buckets
from rag_assets.sources.catalog import note_declared
from rag_assets.sources.declaration import Source, SourceGoneError, SourceShrunkError
from rag_assets.sources.found import FoundFile, Listing, UnreadableError
from rag_assets.sources.listing import no_file_found, opened

VERSION = "2"
BATCH_FILES = 64

SOURCE_FILES: Final = stage_schema(
    required("uri", TEXT),  # "<source>:<path below the source's root>"
    required("path", TEXT),  # where the bytes were read
    required("size", pa.int64()),
    required("mtime_ns", pa.int64()),
    required("raw_hash", TEXT),  # xxh3_128 of the bytes; names the blob; "" if never read
    pa.field("problem", TEXT),  # why the bytes could not be read
    required("modified_at", pa.timestamp("us", "UTC")),  # when these bytes were last modified
    pa.field("etag", TEXT),  # as an HTTP server or object store named this state; asked with next
    pa.field("last_modified", TEXT),  # likewise, as the server wrote it
)
# Neither where a checkout lies nor when a file was touched is content.
TABLE = StageTable(
    "source_files",
    SOURCE_FILES,
    "uri",
    frozenset({"path", "mtime_ns", "modified_at", "etag", "last_modified"}),
)

# An unmounted disk, a wrong prefix, a site that lost its pages: what is left then is little or
# nothing. Below 5 files the rule would stop ordinary work on a handful.
MIN_STOOD = 5
SHRUNK_SHARE = 0.2
COUNTS = "counts"
MIN_KEPT = 64  # partitions of a source; fewer are counted in less time than a listing saves


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a source and at what is stored of it, for the partitions of one run."""

    listing: Listing  # what the files are examined and read with
    files: Mapping[str, Sequence[FoundFile]]  # partition -> its files, as listed
    n_readable: int  # files of the whole source that are listed and can be read
    n_stood: int  # files of the whole source that were read and are stored
    # of the run's partitions' tables; another one means that somebody wrote since
    versions: Mapping[str, int]


class Ingest:
    """The first stage over the partitions of one run; a context manager, as listings stay open.

    A file whose state (size and mtime, ETag, CRC) is as stored is not read again, unless reading it
    failed. One that cannot be read keeps a row with its problem, and ends up among the rejected
    documents.

    Attributes:
        store: the lake.
        source_of: source of each of the run's partitions.
        accept_deletions: go on even if a source has shrunk.
    """

    def __init__(
        self, store: LakeStore, source_of: Mapping[str, Source], *, accept_deletions: bool = False
    ) -> None:
        self.store = store
        self.source_of = source_of
        self.accept_deletions = accept_deletions
        self._open = ExitStack()
        self._looks: dict[str, Look] = {}  # by source
        self._listings: list[Listing] = []
        self._empty: list[str] = []
        self._found: dict[str, FoundFile] = {}  # of the partition that was listed last
        self._listing: Listing | None = None  # that they are read with

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def notices(self) -> list[str]:
        """What a person should hear that is in no row."""
        return [*self._empty, *(text for one in self._listings for text in one.notices)]

    def inputs(self, partition: str) -> dict[str, str]:
        """The partition's files: uri -> state.

        Raises:
            SourceShrunkError: the source lists far less than is stored of it.
            SourceError: the source cannot be listed, or has another number of buckets than before.
        """
        source = self.source_of[partition]
        buckets.check(self.store, source)  # here, as this run may have waited for another
        look = self._looks.get(source.name)
        if look is None:
            mine = [key for key, one in self.source_of.items() if one is source]
            look = self._looks[source.name] = self._look(source, mine)
        elif look.versions[partition] != _version(self.store, partition):
            look = self._look(source, [partition])  # somebody has written to it since
        listed = _listed(self.store, source, partition, look, self.accept_deletions)
        self._found, self._listing = listed, look.listing
        return {uri: file.state for uri, file in listed.items()}

    def _look(self, source: Source, partitions: Sequence[str]) -> Look:
        """Look once for all of a source's partitions, of which there may be thousands."""
        buckets.fix(self.store, source)
        note_declared(self.store, [source])
        versions = {partition: _version(self.store, partition) for partition in partitions}
        listing = self._open.enter_context(opened(source, self.store.put_blob))
        files: dict[str, list[FoundFile]] = {}
        for file in listed(listing, self.accept_deletions):
            files.setdefault(source.partition_of(file.uri), []).append(file)
        self._listings.append(listing)
        if not files and not self.accept_deletions:
            self._empty.append(no_file_found(source))
        n_readable = sum(map(count_readable, files.values()))
        return Look(listing, files, n_readable, n_stored(self.store, source), versions)

    def unread(self, partition: str) -> set[str]:
        """Files listed just now that could not be read before."""
        return unread(self.store, partition, self._found)

    def rows(self, uris: Sequence[str]) -> Mapping[str, pa.Table]:
        """Rows of files that were listed just now; their bytes are read and kept."""
        if self._listing is None:
            raise LakeError("files were asked for before they were listed")
        files = [self._found[uri] for uri in uris]
        return {TABLE.name: _rows(self.store, self._listing, files)}


def listed(listing: Listing, accept_deletions: bool) -> Sequence[FoundFile]:
    """The source's files; none where it is gone, if a person agreed to that.

    Raises:
        SourceError: it cannot be listed.
    """
    try:
        return listing.files()
    except SourceGoneError:
        if accept_deletions:
            return ()
        raise


def has_shrunk(n_stood: int, n_listed: int) -> bool:
    """Whether so few files are left of so many that a person has to say whether that is right."""
    return n_stood >= MIN_STOOD and n_listed <= n_stood * SHRUNK_SHARE


def n_stored(store: LakeStore, source: Source) -> int:
    """Files of the source, all partitions of it, that were read and are stored.

    To open 4,096 tables takes 8 s, and every run asks. So what was counted is kept in the record
    ``counts/<source>`` beside the names of the table's manifests, which every commit changes; one
    listing tells which tables have to be counted again.
    """
    known: dict[str, list[Any]] = store.get_record(f"{COUNTS}/{source.name}") or {}
    counts: dict[str, list[Any]] = {}
    for partition, manifests in _manifests(store, source).items():
        if known.get(partition, [None])[0] != manifests:
            table = store.table(TABLE.name, partition)
            n_rows = 0 if table is None else table.count_rows("problem IS NULL")
            counts[partition] = [manifests, n_rows]
        else:
            counts[partition] = known[partition]
    if len(counts) >= MIN_KEPT and counts != known:
        store.put_record(f"{COUNTS}/{source.name}", counts)
    return sum(int(n_rows) for _, n_rows in counts.values())


def _manifests(store: LakeStore, source: Source) -> dict[str, str]:
    """Partition -> hash of the names of its table's manifests, of the source's that have one."""
    declared = set(source.partitions)
    if len(declared) < MIN_KEPT:
        return dict.fromkeys(sorted(declared & set(store.partitions(TABLE.name))), "")
    names: dict[str, list[str]] = {}
    for file in store.files(f"tables/{TABLE.name}", recursive=True):
        folder, _, name = str(file.path).rpartition("/_versions/")
        partition = folder.rpartition("/")[2].removesuffix(".lance")
        if name and partition in declared:
            names.setdefault(partition, []).append(name)
    return {partition: value_hash(found) for partition, found in names.items()}


def _version(store: LakeStore, partition: str) -> int:
    table = store.table(TABLE.name, partition)
    return 1 if table is None else int(table.version)  # 1: made, and empty still


def count_readable(files: Sequence[FoundFile]) -> int:
    """Files that can be read, as far as their listing tells."""
    return sum(file.problem is None for file in files)


def _listed(
    store: LakeStore, source: Source, partition: str, look: Look, accept_deletions: bool
) -> dict[str, FoundFile]:
    """The partition's files as they are now, if the source as a whole is still what it was."""
    mine = look.files.get(partition, [])
    n_stood = 0 if accept_deletions else look.n_stood
    refuse_shrunk(source, n_stood, look.n_readable)
    examined = list(look.listing.examine(mine, stored_files(store, partition)))
    n_others = look.n_readable - count_readable(mine)
    refuse_shrunk(source, n_stood, n_others + count_readable(examined))
    return {file.uri: file for file in examined}


def refuse_shrunk(source: Source, n_stood: int, n_listed: int) -> None:
    """Raise where so few files are left of so many that a person has to say that it is right.

    Raises:
        SourceShrunkError: they are.
    """
    if has_shrunk(n_stood, n_listed):
        raise SourceShrunkError(
            f"source {source.name} lists {n_listed:,} readable files where {n_stood:,} stood "
            f"({source.where}); nothing was deleted. If its files are missing by mistake, bring "
            f"them back; if that is right: `rag refresh {source.name} --accept-deletions`, or in "
            "the UI the run config 'ops: {source_files: {config: {accept_deletions: TOKEN}}}' with "
            f"the token that `rag sources accept {source.name}` prints"
        )


def stored_files(store: LakeStore, partition: str) -> dict[str, FoundFile]:
    """The partition's files as they are stored."""
    columns = ["input_hash", *(of.name for of in fields(FoundFile) if of.name != "state")]
    rows = store.rows(TABLE.name, partition, columns=columns)
    return {row["uri"]: FoundFile(state=row.pop("input_hash"), **row) for row in rows}


def unread(store: LakeStore, partition: str, found: Mapping[str, FoundFile]) -> set[str]:
    """Files that could not be read when they were listed as now, and may be readable by now.

    Why reading failed (a network drive, say) may be over, and no state tells.
    """
    rows = store.rows(TABLE.name, partition, columns=["uri"], where="problem IS NOT NULL")
    uris = {row["uri"] for row in rows} & found.keys()
    return {uri for uri in uris if found[uri].problem is None}


def _rows(store: LakeStore, listing: Listing, files: Sequence[FoundFile]) -> pa.Table:
    rows = []
    for file in files:
        digest, size, problem = file.raw_hash, file.size, file.problem
        if problem is None and not digest:
            try:
                data = listing.read(file)
            except UnreadableError as error:
                problem = str(error)
            else:
                digest, size = bytes_hash(data), len(data)
                store.put_blob(digest, data)
        elif problem is None and not store.has_blob(digest):  # swept: the refresh took days
            digest, problem = "", "cannot be read: its bytes are gone; the next refresh asks again"
        rows.append(
            {
                **asdict(file),
                "input_id": file.uri,
                "input_hash": file.state,
                "path": file.path.encode("utf-8", "backslashreplace").decode(),
                "size": size,
                "raw_hash": digest,
                "problem": problem,
                "modified_at": datetime.fromtimestamp(file.mtime_ns / 1e9, UTC),
            }
        )
    return stage_rows(SOURCE_FILES, rows)
