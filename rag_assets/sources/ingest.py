"""Stage 1: from a source's listing to ``source_files`` and the raw bytes behind them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from rag_assets.lake.delta import Progress, Report, StageTable, refresh
from rag_assets.lake.identity import bytes_hash
from rag_assets.lake.schemas import SOURCE_FILES, stage_rows
from rag_assets.lake.store import LakeStore
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


def ingest(
    store: LakeStore,
    source: Source,
    partition: str,
    *,
    run_id: str,
    progress: Progress | None = None,
    accept_deletions: bool = False,
    notice: Callable[[str], None] | None = None,
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

    Raises:
        SourceShrunkError: the source lists far less than is stored of it; nothing was changed.
        SourceError: the source cannot be listed; nothing was deleted.
    """
    found: dict[str, FoundFile] = {}
    with opened(source) as listing:

        def listed() -> dict[str, str]:
            found.update(_listed(store, source, partition, listing, accept_deletions))
            return _upstream(store, partition, found, run_id)

        report = refresh(
            store,
            [TABLE],
            partition,
            upstream=listed,
            compute=lambda uris: {TABLE.name: _rows(store, listing, [found[u] for u in uris])},
            fingerprint=f"source_files/{CODE_VERSION}",
            run_id=run_id,
            batch_inputs=64,
            progress=progress,
        )
        if notice is not None:
            for text in listing.notices:
                notice(text)
    return report


def has_shrunk(n_stood: int, n_listed: int) -> bool:
    """Whether so few files are left of so many that a person has to say whether that is right."""
    return n_stood >= MIN_STOOD and n_listed <= n_stood * SHRUNK_SHARE


def n_stored(store: LakeStore, source: Source) -> int:
    """Files of the source, all partitions of it, that were read and are stored."""
    return sum(
        table.count_rows("problem IS NULL")
        for partition in source.partitions
        if (table := store.table(TABLE.name, partition)) is not None
    )


def _listed(
    store: LakeStore,
    source: Source,
    partition: str,
    listing: Listing,
    accept_deletions: bool,
) -> dict[str, FoundFile]:
    """The partition's files as they are now, if the source as a whole is still what it was."""
    everything = listing.files()
    mine = [file for file in everything if source.partition_of(file.uri) == partition]
    others = [file for file in everything if source.partition_of(file.uri) != partition]
    n_stood = 0 if accept_deletions else n_stored(store, source)
    _refuse_shrunk(source, n_stood, everything)
    examined = list(listing.examine(mine, _known(store, partition)))
    _refuse_shrunk(source, n_stood, [*others, *examined])
    return {file.uri: file for file in examined}


def _refuse_shrunk(source: Source, n_stood: int, files: Sequence[FoundFile]) -> None:
    n_listed = sum(file.problem is None for file in files)
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


def _upstream(
    store: LakeStore, partition: str, found: Mapping[str, FoundFile], run_id: str
) -> dict[str, str]:
    rows = store.rows(TABLE.name, partition, columns=["uri"], where="problem IS NOT NULL")
    failed = {row["uri"] for row in rows}
    return {
        # Why reading failed (a network drive, say) may be over, and no state tells.
        uri: f"{file.state}:{run_id}" if uri in failed and file.problem is None else file.state
        for uri, file in found.items()
    }


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
