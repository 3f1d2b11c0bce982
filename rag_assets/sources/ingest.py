"""Stage 1: from a folder's listing to ``source_files`` and the raw bytes behind them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from rag_assets.lake.delta import Progress, Report, StageTable, refresh
from rag_assets.lake.identity import bytes_hash
from rag_assets.lake.schemas import SOURCE_FILES, stage_rows
from rag_assets.lake.store import LakeStore
from rag_assets.sources.catalog import Source
from rag_assets.sources.folder import FoundFile, list_folder

CODE_VERSION = "1"
# Neither where a checkout lies nor when a file was touched is content.
TABLE = StageTable(
    "source_files", SOURCE_FILES, "uri", frozenset({"path", "mtime_ns", "modified_at"})
)


def ingest(
    store: LakeStore,
    source: Source,
    partition: str,
    *,
    run_id: str,
    progress: Progress | None = None,
) -> Report:
    """Bring ``source_files`` of one partition up to date and keep the bytes of what is new.

    A file whose size and mtime stand as stored is not read again, unless reading it failed. One
    that cannot be read keeps a row with its problem, and ends up among the rejected documents.

    Raises:
        SourceError: the source cannot be listed; nothing was changed.
    """
    found: dict[str, FoundFile] = {}

    def listed() -> dict[str, str]:
        found.update((f.uri, f) for f in list_folder(source))
        mine = {uri: f for uri, f in found.items() if source.partition_of(uri) == partition}
        return _upstream(store, partition, mine, run_id)

    return refresh(
        store,
        [TABLE],
        partition,
        upstream=listed,
        compute=lambda uris: {TABLE.name: _rows(store, [found[uri] for uri in uris])},
        fingerprint=f"source_files/{CODE_VERSION}",
        run_id=run_id,
        batch_inputs=64,
        progress=progress,
    )


def _upstream(
    store: LakeStore, partition: str, found: Mapping[str, FoundFile], run_id: str
) -> dict[str, str]:
    rows = store.rows(TABLE.name, partition, columns=["uri"], where="problem IS NOT NULL")
    failed = {row["uri"] for row in rows}
    return {
        # Why reading failed (a network drive, say) may be over, and no stat tells.
        uri: f"{file.stat_hash}:{run_id}"
        if uri in failed and file.problem is None
        else file.stat_hash
        for uri, file in found.items()
    }


def _rows(store: LakeStore, files: Sequence[FoundFile]) -> pa.Table:
    rows = []
    for file in files:
        digest, problem = "", file.problem
        if problem is None:
            try:
                data = Path(file.path).read_bytes()
            except OSError as error:
                problem = f"cannot be read: {error.strerror}"
            else:
                digest = bytes_hash(data)
                store.put_blob(digest, data)
        rows.append(
            {
                "input_id": file.uri,
                "uri": file.uri,
                "path": file.path.encode("utf-8", "backslashreplace").decode(),
                "size": file.size,
                "mtime_ns": file.mtime_ns,
                "raw_hash": digest,
                "problem": problem,
                "modified_at": datetime.fromtimestamp(file.mtime_ns / 1e9, UTC),
            }
        )
    return stage_rows(SOURCE_FILES, rows)
