"""Checks on ``chunk_index``; each proves one property."""

from collections.abc import Sequence

from rag_assets.index.stage import count_unindexed
from rag_assets.lake import generations
from rag_assets.lake.figures import Finding
from rag_assets.lake.store import LakeStore


def index_covers_all_rows(store: LakeStore, _partitions: Sequence[str]) -> Finding:
    """The text index covers every row; rows that it misses can be found by no word of theirs."""
    candidate = generations.candidate(store)
    if candidate is None:
        return Finding(False, "there is no candidate index")
    missing = count_unindexed(store, candidate)
    return Finding(
        missing == 0,
        f"{missing} of {candidate.counts['chunks']} rows are not in the text index",
        {"candidate": candidate.id, "n_unindexed": missing},
    )
