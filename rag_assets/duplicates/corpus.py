"""All documents of all partitions as arrays, and their texts by place."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lancedb.table import Table

from rag_assets.documents import stage as normalise
from rag_assets.documents.signatures import N_BANDS
from rag_assets.duplicates.candidates import Postings
from rag_assets.duplicates.grouping import preference
from rag_assets.duplicates.verifying import Content
from rag_assets.duplicates.versions import Named
from rag_assets.lake.store import LakeStore

_COLUMNS = ("document_id", "uri", "text_hash", "flags")
_PLACE = {"partition": pa.int32(), "row": pa.uint64()}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Corpus:
    """n documents in order of preference, with m distinct texts.

    Held are their names and places. Bands and sketches, three quarters of what there is to read,
    are read when they are asked for, one partition at a time. At its peak the stage then took
    1.3 kB a document (1.29 GB at a million, of which 0.13 are there before it begins).

    Attributes:
        tables: the partitions' tables, each at the version at which it was opened.
        rows: document_id, uri, text_hash, and where its text is: number of the table
            (``partition``) and row id; n rows.
        first: row of the most preferred document with each text, ascending, (m,) int64.
        text_of: which of the texts each document has, (n,) int64.
    """

    tables: Sequence[Table]
    rows: pa.Table
    first: np.ndarray
    text_of: np.ndarray

    def text_hashes(self) -> pa.Array:
        """The hashes of the distinct texts, (m,) string."""
        return self.rows["text_hash"].take(pa.array(self.first)).combine_chunks()

    def bands(self) -> np.ndarray:
        """The bands of the distinct texts, (m, 32) uint32."""
        found = np.empty((len(self.first), N_BANDS), dtype=np.uint32)
        for positions, lists in self._read("bands", np.arange(len(self.first))):
            found[positions] = pc.list_flatten(lists).to_numpy().reshape(-1, N_BANDS)
        return found

    def sketches(self, wanted: np.ndarray) -> Postings:
        """Distinct texts by their sampled hashes, those that are wanted, (m,) bool."""
        keys, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)]
        for positions, lists in self._read("sketch", np.flatnonzero(wanted)):
            keys.append(pc.list_flatten(lists).to_numpy())
            sizes = pc.list_value_length(lists).to_numpy()
            owners.append(np.repeat(positions.astype(np.int32), sizes))
        return Postings.of_sketches(np.concatenate(keys), np.concatenate(owners), len(self.first))

    def _read(self, column: str, positions: np.ndarray) -> Iterator[tuple[np.ndarray, pa.Array]]:
        """A column's values of these distinct texts, in parts: positions (k,), lists (k,)."""
        places = self.rows.select(list(_PLACE)).take(pa.array(self.first[positions]))
        partitions, rows = (places[name].to_numpy() for name in _PLACE)
        order = np.lexsort((rows, partitions))
        partitions, rows, positions = partitions[order], rows[order], positions[order]
        ends = np.searchsorted(partitions, np.arange(len(self.tables) + 1))
        for table, start, end in zip(self.tables, ends[:-1], ends[1:], strict=True):
            if start < end:
                read = table.search().select([column]).with_row_id(True).to_arrow()
                at = pc.index_in(pa.array(rows[start:end]), value_set=read["_rowid"])
                yield positions[start:end], read[column].combine_chunks().take(at)

    def contents(self, positions: Sequence[int]) -> list[Content]:
        """What is compared of the texts at these positions."""
        return self._of(positions, ["text"], lambda row: Content.of(row["text"]))

    def names(self, positions: Sequence[int]) -> list[Named]:
        """What the preferred documents with the texts at these positions are called."""
        return self._of(positions, ["uri", "title", "created", "modified"], Named.of)

    def _of(
        self, positions: Sequence[int], columns: list[str], made: Callable[[dict[str, Any]], T]
    ) -> list[T]:
        """Something made of the preferred document of each text, read once for each partition."""
        first = self.first[np.array(positions, dtype=np.int64)]
        rows = self.rows.select(list(_PLACE)).take(pa.array(first))
        places = list(zip(*(rows[name].to_pylist() for name in _PLACE), strict=True))
        found: dict[tuple[int, int], T] = {}
        for number in sorted({partition for partition, _ in places}):
            wanted = sorted({row for partition, row in places if partition == number})
            read = self.tables[number].take_row_ids(wanted).select(columns).with_row_id()
            for row in read.to_arrow().to_pylist():
                found[number, row["_rowid"]] = made(row)
        return [found[place] for place in places]


def load_corpus(tables: Sequence[Table]) -> Corpus:
    """Read the names and places of all documents from the partitions of their table."""
    rows = _in_order_of_preference(_scan(tables))
    codes = rows["text_hash"].combine_chunks().dictionary_encode().indices.to_numpy()
    _, first, text_of = np.unique(codes, return_index=True, return_inverse=True)
    return Corpus(tables, rows, first, text_of)


def open_documents(store: LakeStore) -> dict[str, Table]:
    """Partition -> its table of documents, pinned to the version that it has now."""
    opened = {
        partition: store.table(normalise.TABLE.name, partition)
        for partition in store.partitions(normalise.TABLE.name)
    }
    return {partition: table for partition, table in opened.items() if table is not None}


def _scan(tables: Sequence[Table]) -> dict[str, pa.ChunkedArray]:
    """Columns of all partitions, and where each row is."""
    fields = [normalise.TABLE.schema.field(name) for name in _COLUMNS]
    schema = pa.schema([*fields, *_PLACE.items()])
    parts = [schema.empty_table()]
    for number, table in enumerate(tables):
        read = table.search().select(list(_COLUMNS)).with_row_id(True).to_arrow()
        columns = [read[name] for name in _COLUMNS]
        partition = pa.array(np.full(read.num_rows, number, dtype=np.int32))
        parts.append(pa.table([*columns, partition, read["_rowid"]], schema=schema))
    rows = pa.concat_tables(parts)
    return dict(zip(rows.column_names, rows.columns, strict=True))


def _in_order_of_preference(read: dict[str, pa.ChunkedArray]) -> pa.Table:
    """The rows in their order, without flags; column by column, so that only one is held twice."""
    order = preference(pa.table({name: read[name] for name in ("uri", "flags")}))
    del read["flags"]
    return pa.table({name: read.pop(name).take(order) for name in list(read)})
