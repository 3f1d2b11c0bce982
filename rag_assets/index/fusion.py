"""Rank fusion: merge several rankings of the same corpus into one."""

from collections.abc import Sequence

RRF_K = 60  # the paper's setting; results change little around it


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[str]], *, k: int = RRF_K
) -> list[tuple[str, float]]:
    """Fuse rankings by the sum of ``1 / (k + rank)``, rank counted from 1.

    Args:
        rankings: m lists of chunk ids, best first; lengths may differ, m may be 0.
        k: damping in ranks, not a score; larger flattens the head of each list.

    Returns:
        (chunk id, fused score) pairs, best first; n = number of distinct ids. Scores are
        unitless, in (0, m / (k + 1)]. Ties break by id, so equal input gives equal output.

    Raises:
        ValueError: k is not positive, or one ranking names an id twice.

    Source: Cormack, Clarke, Buettcher, "Reciprocal Rank Fusion", SIGIR 2009.
    """
    if k <= 0:
        raise ValueError(f"k must be positive, got {k}")
    scores: dict[str, float] = {}
    for position, ranking in enumerate(rankings):
        if len(set(ranking)) != len(ranking):
            raise ValueError(f"ranking {position} names an id twice")
        for rank, chunk_id in enumerate(ranking, start=1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + 1.0 / (k + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
