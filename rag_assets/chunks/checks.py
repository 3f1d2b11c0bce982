"""Checks on ``chunks``; each proves one property."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rag_assets.chunks import stage as chunks
from rag_assets.chunks.chunking import embedded_text
from rag_assets.lake.figures import Finding
from rag_assets.lake.identity import value_hash
from rag_assets.lake.store import LakeStore, batches, quoted
from rag_assets.models.clients.window import EmbedderWindow

COUNTED = "checks/chunks_fit"  # folder of records: what passed, once a partition


def chunks_fit_the_embedder(
    store: LakeStore, partitions: Sequence[str], window: EmbedderWindow
) -> Finding:
    """Counted anew by the embedder's own tokenizer, no chunk exceeds its window.

    What exceeds it the model would cut off without a word, and the end of the chunk would be lost.
    Rows that passed are not counted again.
    """
    too_long: list[str] = []
    n_counted = n_chunks = largest = 0
    for partition in partitions:
        sizes, n_rows = _uncounted(store, partition, window)
        n_counted, n_chunks = n_counted + len(sizes), n_chunks + n_rows
        largest = max(largest, *sizes.values(), 0)
        too_long += [chunk_id for chunk_id, size in sizes.items() if size > window.max_tokens]
    return Finding(
        not too_long,
        f"{len(too_long)} of {n_counted} chunks exceed {window.max_tokens} tokens; "
        f"{n_chunks - n_counted} were counted before",
        {"n_chunks": n_chunks, "largest": largest, "first": too_long[:10]},
    )


def _uncounted(
    store: LakeStore, partition: str, window: EmbedderWindow
) -> tuple[dict[str, int], int]:
    """Chunk id -> tokens of the rows whose run has not passed yet; and how many rows there are."""
    table = store.table(chunks.TABLE.name, partition)
    written_by = store.read(chunks.TABLE.name, partition, columns=["run_id"])
    if table is None or written_by is None:
        return {}, 0
    runs = set(pc.unique(written_by["run_id"]).to_pylist())
    name, made_for = f"{COUNTED}/{partition}", value_hash([window.identity, window.max_tokens])
    record = store.get_record(name) or {}
    due = sorted(runs - set(record["runs"] if record.get("made_for") == made_for else ()))
    sizes: dict[str, int] = {}
    if due:
        columns, where = ["chunk_id", "header", "text"], f"run_id IN ({quoted(due)})"
        for batch in batches(table, columns=columns, where=where):
            ids, headers, texts = (batch[column].to_pylist() for column in columns)
            embedded = [embedded_text(*parts) for parts in zip(headers, texts, strict=True)]
            sizes |= zip(ids, window.tokenizer.counts(embedded), strict=True)
        if max(sizes.values()) <= window.max_tokens:
            store.put_record(name, {"made_for": made_for, "runs": sorted(runs)})
    return sizes, written_by.num_rows


def chunk_ids_unique(store: LakeStore, partitions: Sequence[str]) -> Finding:
    """No two chunks share an id; a clash would make the index lose a row.

    A run looks at its own partitions: ids follow from the document's id, and a document is in one.
    """
    columns = [
        rows["chunk_id"].combine_chunks()
        for partition in partitions
        if (rows := store.read(chunks.TABLE.name, partition, columns=["chunk_id"])) is not None
    ]
    ids = pa.concat_arrays(columns) if columns else pa.array([], pa.string())
    counts = pc.value_counts(ids)
    clashes = counts.filter(np.asarray(counts.field("counts")) > 1).field("values").to_pylist()
    return Finding(
        not clashes,
        f"{len(clashes)} of {len(counts)} chunk ids occur more than once",
        {"n_chunks": len(ids), "first": clashes[:10]},
    )
