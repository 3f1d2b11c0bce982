"""Checks on ``chunk_index``; each proves one property."""

import dagster as dg

from rag_assets.index.assets import chunk_index
from rag_assets.index.stage import count_unindexed
from rag_assets.lake import generations
from rag_assets.lake.resource import LakeResource


@dg.asset_check(asset=chunk_index, blocking=True)
def index_covers_all_rows(store: LakeResource) -> dg.AssetCheckResult:
    """The text index covers every row; rows that it misses can be found by no word of theirs."""
    candidate = generations.candidate(store.client)
    if candidate is None:
        return dg.AssetCheckResult(passed=False, description="there is no candidate index")
    missing = count_unindexed(store.client, candidate)
    return dg.AssetCheckResult(
        passed=missing == 0,
        description=f"{missing} of {candidate.counts['chunks']} rows are not in the text index",
        metadata={"candidate": candidate.id, "n_unindexed": missing},
    )
