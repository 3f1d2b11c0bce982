"""Checks on ``chunks``; each proves one property."""

from collections import Counter
from collections.abc import Iterator

import dagster as dg

from rag_assets.chunks import cut
from rag_assets.chunks.assets import chunks
from rag_assets.chunks.chunking import embedded_text
from rag_assets.lake.resource import LakeResource, partitions_to_check
from rag_assets.models.resource import ModelsResource


@dg.asset_check(asset=chunks, blocking=True)
def chunks_fit_the_embedder(
    context: dg.AssetCheckExecutionContext, store: LakeResource, models: ModelsResource
) -> dg.AssetCheckResult:
    """Counted anew by the embedder's own tokenizer, no chunk exceeds its window.

    What exceeds it the model would cut off without a word, and the end of the chunk would be lost.
    """
    window = models.embedder_window
    too_long, n_chunks, largest = [], 0, 0
    partitions = partitions_to_check(context, store.client, cut.TABLE.name)
    for row in _rows(store, partitions, ["chunk_id", "header", "text"]):
        n_tokens = window.tokenizer.count(embedded_text(row["header"], row["text"]))
        n_chunks, largest = n_chunks + 1, max(largest, n_tokens)
        if n_tokens > window.max_tokens:
            too_long.append(row["chunk_id"])
    return dg.AssetCheckResult(
        passed=not too_long,
        description=f"{len(too_long)} of {n_chunks} chunks exceed {window.max_tokens} tokens",
        metadata={"n_chunks": n_chunks, "largest": largest, "first": too_long[:10]},
    )


@dg.asset_check(asset=chunks, blocking=True)
def chunk_ids_unique(store: LakeResource) -> dg.AssetCheckResult:
    """No two chunks of the whole lake share an id; a clash would make the index lose a row."""
    partitions = store.client.partitions(cut.TABLE.name)
    counts = Counter(row["chunk_id"] for row in _rows(store, partitions, ["chunk_id"]))
    clashes = [chunk_id for chunk_id, n in counts.items() if n > 1]
    return dg.AssetCheckResult(
        passed=not clashes,
        description=f"{len(clashes)} of {len(counts)} chunk ids occur more than once",
        metadata={"n_chunks": len(counts), "first": clashes[:10]},
    )


def _rows(
    store: LakeResource, partitions: list[str], columns: list[str]
) -> Iterator[dict[str, str]]:
    for partition in partitions:
        yield from store.client.rows(cut.TABLE.name, partition, columns=columns)
