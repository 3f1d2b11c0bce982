"""Writes to the index, in batches over several partitions."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
from lancedb.table import Table

from rag_assets.index import rows
from rag_assets.lake.delta import LakeStage
from rag_assets.lake.generations import INDEX
from rag_assets.lake.store import LakeError, LakeStore, quoted, scan

MOST_DELETIONS = 32  # partitions in one commit's condition, which nests as deep


class Writer:
    """Writes to the index in batches; what it holds back is at most ``BATCH_ROWS`` rows and ids.

    Attributes:
        stage: whose rows they are.
        stood: the index as it was before, where every row is found by a scalar index.
        schema: of the index.
        n_added: rows inserted or replaced.
        n_gone: rows deleted and not replaced.
    """

    def __init__(self, store: LakeStore, stage: LakeStage, table: Table, dimension: int) -> None:
        stood = store.table(INDEX)
        if stood is None:
            raise LakeError("chunk_index was removed while it was built; run `rag refresh` again")
        stood.checkout(table.version)
        self.stage = stage
        self.stood = stood
        self.schema = rows.schema_of(dimension)
        self.n_added = self.n_gone = 0
        self._table = table
        self._stale: dict[str, list[str]] = {}
        self._fresh: list[pa.Table] = []

    def replace(
        self, partition: str, stale: Sequence[str], n_gone: int, fresh: Iterator[pa.Table]
    ) -> None:
        """Delete a partition's rows of these chunk ids, ``n_gone`` of them for good, and add rows.

        ``fresh`` gives tables of at most ``BATCH_ROWS`` rows.
        """
        self.n_gone += n_gone
        for start in range(0, len(stale), rows.BATCH_ROWS):
            self._stale.setdefault(partition, []).extend(stale[start : start + rows.BATCH_ROWS])
            self._flush_if_full()
        for table in fresh:
            self.n_added += table.num_rows
            self._fresh.append(table)
            self._flush_if_full()

    def _flush_if_full(self) -> None:
        n_rows = sum(table.num_rows for table in self._fresh)
        n_ids = sum(len(ids) for ids in self._stale.values())
        if max(n_rows, n_ids) >= rows.BATCH_ROWS or len(self._stale) >= MOST_DELETIONS:
            self.flush()

    def flush(self) -> None:
        """Write what is held back: deletions first."""
        if self._stale:
            self._table.delete(
                " OR ".join(
                    f"(partition = {quoted([name])} AND chunk_id IN ({quoted(ids)}))"
                    for name, ids in self._stale.items()
                )
            )
        if self._fresh:
            # What is copied from an earlier version of the index may lack a newer column.
            self._table.add(pa.concat_tables(self._fresh, promote_options="default"))
        self._stale, self._fresh = {}, []


def has_length(table: Table, dimension: int) -> bool:
    """Whether the index's vectors have so many floats."""
    kind = rows.schema_of(dimension).field("vector").type
    return bool(table.schema.field("vector").type == kind)


def make_length(table: Table, dimension: int) -> None:
    """Empty the index and give it vectors of so many floats; its earlier versions stay as they are.

    Readers pin a version, and so go on with the vectors that it has.
    """
    table.delete("true")
    table.drop_columns(["vector"])
    kind = rows.schema_of(dimension).field("vector").type
    table.add_columns([pa.field("vector", kind)])


def copied(table: Table | None, partition: str, chunk_ids: Sequence[str]) -> Iterator[pa.Table]:
    """These rows of a partition, whole."""
    if table is None:
        return
    for start in range(0, len(chunk_ids), rows.FEW):
        ids = quoted(chunk_ids[start : start + rows.FEW])
        yield scan(table, where=f"partition = {quoted([partition])} AND chunk_id IN ({ids})")
