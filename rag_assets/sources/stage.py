"""Stage 1: from a source's listing to ``source_files`` and the raw bytes behind them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from rag_assets.lake.delta import Progress, Report, StageTable, refresh
from rag_assets.lake.identity import bytes_hash, value_hash
from rag_assets.lake.schemas import SOURCE_FILES, stage_rows
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.sources import buckets
from rag_assets.sources.buckets import Buckets
from rag_assets.sources.declaration import Source, SourceShrunkError
from rag_assets.sources.found import FoundFile, Listing, UnreadableError
from rag_assets.sources.listing import opened

CODE_VERSION = "2"
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


def fingerprint() -> str:
    """Of the stage."""
    return f"source_files/{CODE_VERSION}"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a source and at what is stored of it, for the partitions of one run.

    Attributes:
        listing: what the files are examined and read with.
        files: partition -> its files, as listed.
        n_readable: files of the whole source that are listed and can be read.
        n_stood: files of the whole source that were read and are stored.
        versions: of the run's partitions' tables; another one means that somebody wrote since.
        now: the source's buckets.
    """

    listing: Listing
    files: Mapping[str, Sequence[FoundFile]]
    n_readable: int
    n_stood: int
    versions: Mapping[str, int]
    now: Buckets


@contextmanager
def looked(store: LakeStore, source: Source, partitions: Sequence[str]) -> Iterator[Look]:
    """Look once at the source, as a look for each of its 4,096 partitions would be 4,096 looks.

    Raises:
        SourceError: the source cannot be listed.
    """
    now = buckets.expect(store, source)
    versions = {partition: _version(store, partition) for partition in partitions}
    with opened(source) as listing:
        files: dict[str, list[FoundFile]] = {}
        for file in listing.files():
            files.setdefault(source.partition_of(file.uri), []).append(file)
        n_readable = sum(_n_readable(found) for found in files.values())
        if now.missing:  # those to which nothing happened: no run may ever ask for them
            in_place = {key for key in now.missing if _has_just(store, key, files.get(key, []))}
            buckets.listed(store, source.name, now.move, in_place)
        yield Look(listing, files, n_readable, n_stored(store, source), versions, now)


def ingest(
    store: LakeStore,
    source: Source,
    partition: str,
    *,
    run_id: str,
    progress: Progress | None = None,
    accept_deletions: bool = False,
    notice: Callable[[str], None] | None = None,
    look: Look | None = None,
) -> Report:
    """Bring ``source_files`` of one partition up to date and keep the bytes of what is new.

    A file whose state (size and mtime, ETag, CRC) stands as stored is not read again, unless
    reading it failed. One that cannot be read keeps a row with its problem, and ends up among the
    rejected documents.

    Args:
        store: the lake.
        source: that the partition belongs to.
        partition: its key.
        run_id: of the Dagster run.
        progress: called with (files done, files to do).
        accept_deletions: go on even if the source has shrunk.
        notice: told what a person should hear that is in no row.
        look: at the source, made for several partitions; None looks for this one. It is made anew
            where somebody has written to the partition since.

    Raises:
        SourceShrunkError: the source lists far less than is stored of it; nothing was changed.
        SourceError: the source cannot be listed; nothing was deleted.
    """
    found: dict[str, FoundFile] = {}
    failed: set[str] = set()
    with ExitStack() as stack:
        used = look

        def listed() -> dict[str, str]:
            nonlocal used
            if used is None or used.versions.get(partition) != _version(store, partition):
                used = stack.enter_context(looked(store, source, [partition]))
            found.update(_listed(store, source, partition, used, accept_deletions))
            failed.update(unread(store, partition, found))
            return {uri: file.state for uri, file in found.items()}

        def rows(uris: Sequence[str]) -> Mapping[str, pa.Table]:
            if used is None:
                raise LakeError("files were asked for before they were listed")
            return {TABLE.name: _rows(store, used.listing, [found[uri] for uri in uris])}

        report = refresh(
            store,
            [TABLE],
            partition,
            upstream=listed,
            compute=rows,
            fingerprint=fingerprint(),
            run_id=run_id,
            batch_inputs=64,
            progress=progress,
            retry=failed,
        )
        if used is not None and used.now.missing:
            buckets.listed(store, source.name, used.now.move, {partition})
        if notice is not None and used is not None and used is not look:
            for text in used.listing.notices:
                notice(text)
    return report


def has_shrunk(n_stood: int, n_listed: int) -> bool:
    """Whether so few files are left of so many that a person has to say whether that is right."""
    return n_stood >= MIN_STOOD and n_listed <= n_stood * SHRUNK_SHARE


def n_stored(store: LakeStore, source: Source) -> int:
    """Files of the source, all partitions of it, that were read and are stored.

    To open 4,096 tables takes 8 s, and every run asks. So what was counted is kept in the record
    ``counts/<source>`` beside the names of the table's manifests, which every commit changes; one
    listing tells which tables are to be counted anew.
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


def _has_just(store: LakeStore, partition: str, files: Sequence[FoundFile]) -> bool:
    """Whether the files that stand in the partition are those that belong to it."""
    standing = {row["uri"] for row in store.rows(TABLE.name, partition, columns=["uri"])}
    return standing == {file.uri for file in files}


def _n_readable(files: Sequence[FoundFile]) -> int:
    return sum(file.problem is None for file in files)


def _listed(
    store: LakeStore, source: Source, partition: str, look: Look, accept_deletions: bool
) -> dict[str, FoundFile]:
    """The partition's files as they are now, if the source as a whole is still what it was."""
    mine = look.files.get(partition, [])
    n_stood = 0 if accept_deletions else look.n_stood
    _refuse_shrunk(source, n_stood, look.n_readable)
    examined = list(look.listing.examine(mine, _known(store, partition)))
    n_others = look.n_readable - _n_readable(mine)
    _refuse_shrunk(source, n_stood, n_others + _n_readable(examined))
    return {file.uri: file for file in examined}


def _refuse_shrunk(source: Source, n_stood: int, n_listed: int) -> None:
    if has_shrunk(n_stood, n_listed):
        raise SourceShrunkError(
            f"source {source.name} lists {n_listed:,} readable files where {n_stood:,} stood "
            f"({source.where}); nothing was deleted. If its files are missing by mistake, bring "
            f"them back; if that is right: `rag refresh {source.name} --accept-deletions`, or in "
            "the UI the run config 'ops: {source_files: {config: {accept_deletions: true}}}'"
        )


def _known(store: LakeStore, partition: str) -> dict[str, FoundFile]:
    rows = store.rows(
        TABLE.name,
        partition,
        columns=[
            "uri", "path", "size", "mtime_ns", "input_hash", "problem", "etag", "last_modified",
            "raw_hash",
        ],
    )  # fmt: skip
    return {row["uri"]: FoundFile(**{"state": row.pop("input_hash"), **row}) for row in rows}


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
        rows.append(
            {
                "input_id": file.uri,
                "input_hash": file.state,
                "uri": file.uri,
                "path": file.path.encode("utf-8", "backslashreplace").decode(),
                "size": size,
                "mtime_ns": file.mtime_ns,
                "raw_hash": digest,
                "problem": problem,
                "modified_at": datetime.fromtimestamp(file.mtime_ns / 1e9, UTC),
                "etag": file.etag,
                "last_modified": file.last_modified,
            }
        )
    return stage_rows(SOURCE_FILES, rows)
