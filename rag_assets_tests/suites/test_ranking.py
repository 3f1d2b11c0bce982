"""Our retrieval metrics against trec_eval's own code, and by hand."""

from collections.abc import Callable

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from rag_assets_tests.suites.ranking import (
    average_precision,
    ndcg_at,
    ranking_scores,
    recall_at,
    reciprocal_rank,
)

Metric = Callable[[list[str], dict[str, int], int], float]
METRICS = [ndcg_at, recall_at, reciprocal_rank, average_precision]
IDS = [f"d{i}" for i in range(130)]

rankings = st.tuples(st.permutations(IDS), st.integers(0, len(IDS))).map(lambda x: x[0][: x[1]])
judged = st.dictionaries(st.sampled_from(IDS), st.integers(-1, 3), min_size=1)
gains_with_relevant = judged.filter(lambda gains: max(gains.values()) > 0)


def trec_eval(ranking: list[str], gains: dict[str, int], measure: str) -> float:
    """Without ties in the scores: trec_eval breaks them by id."""
    run = {document: float(len(ranking) - rank) for rank, document in enumerate(ranking)}
    results = pytrec_eval.RelevanceEvaluator({"q": gains}, {measure}).evaluate({"q": run})
    return next(iter(results["q"].values()))


@given(rankings, gains_with_relevant)
def test_agrees_with_trec_eval(ranking: list[str], gains: dict[str, int]) -> None:
    assert ranking_scores(ranking, gains) == {
        "ndcg@10": pytest.approx(trec_eval(ranking, gains, "ndcg_cut.10")),
        "recall@5": pytest.approx(trec_eval(ranking, gains, "recall.5")),
        "recall@10": pytest.approx(trec_eval(ranking, gains, "recall.10")),
        "recall@100": pytest.approx(trec_eval(ranking, gains, "recall.100")),
        "mrr@10": pytest.approx(trec_eval(ranking[:10], gains, "recip_rank")),
        "map@100": pytest.approx(trec_eval(ranking, gains, "map_cut.100")),
    }


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (ndcg_at, (1 / 1.5849625 + 3 / 2) / (3 + 1 / 1.5849625 + 1 / 2)),  # log2(3) = 1.585
        (recall_at, 2 / 3),
        (reciprocal_rank, 1 / 2),
        (average_precision, (1 / 2 + 2 / 3) / 3),
    ],
)
def test_by_hand(metric: Metric, expected: float) -> None:
    gains = {"a": 3, "b": 1, "c": 1, "x": 0}
    assert metric(["x", "b", "a", "c"], gains, 3) == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_a_relevant_document_beyond_k_counts_for_nothing(metric: Metric) -> None:
    assert metric(["x", "y", "a"], {"a": 1}, 2) == 0
    assert metric(["x", "y", "a"], {"a": 1}, 3) > 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("gains", [{}, {"a": 0}, {"a": -1}])
def test_a_query_without_relevant_documents_is_refused(
    metric: Metric, gains: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match="no relevant document"):
        metric(["a"], gains, 10)


@pytest.mark.parametrize("metric", METRICS)
def test_a_document_ranked_twice_is_named(metric: Metric) -> None:
    with pytest.raises(ValueError, match="'b' is ranked twice"):
        metric(["a", "b", "b"], {"a": 1}, 10)


@pytest.mark.parametrize("metric", METRICS)
def test_k_must_be_positive(metric: Metric) -> None:
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        metric(["a"], {"a": 1}, 0)
