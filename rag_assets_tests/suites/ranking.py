"""Retrieval metrics of one query, as trec_eval computes them.

A *ranking* holds document ids, best first, each once. *gains* holds the judged documents: id ->
relevance grade. A document is relevant where its grade is above 0; one that was not judged, or
judged 0 or below, is not. A query without any relevant document has no recall, no ideal and no
average precision: all functions raise ValueError, and the caller leaves such a query out (trec_eval
reports zeros there, which would drag every mean down alike).
"""

import math
from collections.abc import Mapping, Sequence


def ndcg_at(ranking: Sequence[str], gains: Mapping[str, int], k: int) -> float:
    """Normalised discounted cumulative gain among the first k.

    DCG@k is the sum over ranks r = 1..k of ``gain(r) / log2(r + 1)``, with the grade itself as gain
    (not ``2**grade - 1``); the result is DCG@k over that of the best possible ranking of all judged
    documents. This is trec_eval's ``ndcg_cut`` and thus BEIR's nDCG@10.

    Args:
        ranking: document ids, best first; may be shorter than k, or empty.
        gains: document id -> grade, of all judged documents.
        k: ranks looked at.

    Returns:
        In [0, 1].

    Raises:
        ValueError: k is not positive, an id is ranked twice, or no document is relevant.

    Source: Järvelin, Kekäläinen, "Cumulated Gain-Based Evaluation of IR Techniques", TOIS 2002.
    """
    _relevant(ranking, gains, k)
    ideal = sorted((grade for grade in gains.values() if grade > 0), reverse=True)
    found = [max(gains.get(document, 0), 0) for document in ranking[:k]]
    return _dcg(found) / _dcg(ideal[:k])


def recall_at(ranking: Sequence[str], gains: Mapping[str, int], k: int) -> float:
    """Share of the relevant documents that stand among the first k; in [0, 1].

    Raises:
        ValueError: as :func:`ndcg_at`.
    """
    relevant = _relevant(ranking, gains, k)
    return sum(document in relevant for document in ranking[:k]) / len(relevant)


def reciprocal_rank(ranking: Sequence[str], gains: Mapping[str, int], k: int) -> float:
    """``1 / rank`` of the first relevant document; 0 where none is among the first k.

    Its mean over queries is MRR@k.

    Raises:
        ValueError: as :func:`ndcg_at`.

    Source: Voorhees, "The TREC-8 Question Answering Track Report", 1999.
    """
    relevant = _relevant(ranking, gains, k)
    ranks = (rank for rank, document in enumerate(ranking[:k], start=1) if document in relevant)
    return 1.0 / next(ranks, math.inf)


def average_precision(ranking: Sequence[str], gains: Mapping[str, int], k: int) -> float:
    """Mean over all relevant documents of the precision at their rank; 0 for one beyond k.

    The divisor is the number of relevant documents, not of those found and not k (trec_eval's
    ``map_cut``). Its mean over queries is MAP@k.

    Raises:
        ValueError: as :func:`ndcg_at`.

    Source: Buckley, Voorhees, "Retrieval System Evaluation", in TREC, MIT Press 2005.
    """
    relevant = _relevant(ranking, gains, k)
    n_found, total = 0, 0.0
    for rank, document in enumerate(ranking[:k], start=1):
        if document in relevant:
            n_found += 1
            total += n_found / rank
    return total / len(relevant)


def ranking_scores(ranking: Sequence[str], gains: Mapping[str, int]) -> dict[str, float]:
    """The retrieval metrics that are reported, by name.

    Raises:
        ValueError: as :func:`ndcg_at`.
    """
    return {
        "ndcg@10": ndcg_at(ranking, gains, 10),
        "recall@5": recall_at(ranking, gains, 5),
        "recall@10": recall_at(ranking, gains, 10),
        "recall@100": recall_at(ranking, gains, 100),
        "mrr@10": reciprocal_rank(ranking, gains, 10),
        "map@100": average_precision(ranking, gains, 100),
    }


def _relevant(ranking: Sequence[str], gains: Mapping[str, int], k: int) -> set[str]:
    if k <= 0:
        raise ValueError(f"k must be positive, got {k}")
    if len(set(ranking)) != len(ranking):
        twice = next(d for i, d in enumerate(ranking) if d in ranking[:i])
        raise ValueError(f"{twice!r} is ranked twice; merge the passages of a document first")
    relevant = {document for document, grade in gains.items() if grade > 0}
    if not relevant:
        raise ValueError("the query has no relevant document; leave it out of the evaluation")
    return relevant


def _dcg(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))
