from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.index.fusion import reciprocal_rank_fusion

ids = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(st.lists(ids, max_size=4))
def test_result_is_each_id_once_best_first(rankings: list[list[str]]) -> None:
    fused = reciprocal_rank_fusion(rankings)
    assert sorted(i for i, _ in fused) == sorted({i for r in rankings for i in r})
    assert all(a >= b for (_, a), (_, b) in pairwise(fused))
    assert all(0 < score <= len(rankings) / 61 + 1e-12 for _, score in fused)


@given(st.lists(ids, max_size=4))
def test_order_of_rankings_does_not_matter(rankings: list[list[str]]) -> None:
    there, back = reciprocal_rank_fusion(rankings), reciprocal_rank_fusion(rankings[::-1])
    assert dict(there) == pytest.approx(dict(back))


def test_worked_example() -> None:
    fused = reciprocal_rank_fusion([["a", "b"], ["b", "c"]])
    assert [chunk_id for chunk_id, _ in fused] == ["b", "a", "c"]
    by_hand = {"b": 1 / 62 + 1 / 61, "a": 1 / 61, "c": 1 / 62}
    assert dict(fused) == pytest.approx(by_hand)


def test_ties_break_by_id() -> None:
    assert [i for i, _ in reciprocal_rank_fusion([["b"], ["a"]])] == ["a", "b"]


def test_repeated_id_is_named() -> None:
    with pytest.raises(ValueError, match="ranking 1 names an id twice"):
        reciprocal_rank_fusion([["a"], ["b", "b"]])


def test_damping_must_be_positive() -> None:
    with pytest.raises(ValueError, match="k must be positive"):
        reciprocal_rank_fusion([], k=0)
