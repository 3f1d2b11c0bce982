"""The comparison that ``sample_on_ray`` rests on sees what differs."""

import json
from typing import Any

import pytest

from rag_assets_tests import sample_on_ray
from rag_assets_tests.sample_on_ray import MIN_COSINE, compare


@pytest.fixture(autouse=True)
def _lakes_are_their_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_on_ray, "content", lambda lake: lake)


def lake(text: str = "a", vector: tuple[float, float] = (1.0, 0.0)) -> Any:  # noqa: ANN401 - in a store's place
    rows: list[dict[str, Any]] = [
        {"chunk_id": "c1", "text": text, "vector": vector},
        {"chunk_id": "c2", "text": "b", "vector": (0.6, 0.8)},
    ]
    chunks = [{"chunk_id": row["chunk_id"], "text": row["text"]} for row in rows]
    return {
        "embeddings/s.0": [json.dumps(row) for row in rows],
        "chunks/s.0": [json.dumps(row) for row in chunks],
    }


def test_equal_lakes_are_equal() -> None:
    counts, difference = compare(lake(), lake())
    assert (counts["chunks"], counts["embeddings"], counts["sections"]) == (2, 2, 0)
    assert (difference.n_vectors, difference.n_different) == (2, 0)
    assert difference.max_difference == 0
    assert difference.min_cosine == pytest.approx(1)


@pytest.mark.parametrize(("vector", "is_close"), [((1.0, 1e-7), True), ((1.0, 0.1), False)])
def test_vectors_are_held_to_their_direction(vector: tuple[float, float], is_close: bool) -> None:
    _, difference = compare(lake(vector=vector), lake())
    assert difference.n_different == 1
    assert difference.max_difference == pytest.approx(vector[1])
    assert (difference.min_cosine >= MIN_COSINE) == is_close


def test_everything_else_is_held_to_the_letter() -> None:
    with pytest.raises(ValueError, match=r"embeddings/s\.0 differs"):
        compare(lake("other"), lake())
    fewer = lake()
    del fewer["chunks/s.0"][0]
    with pytest.raises(ValueError, match=r"chunks/s\.0 differs"):
        compare(fewer, lake())
    del fewer["chunks/s.0"]
    with pytest.raises(ValueError, match=r"expected \['chunks"):
        compare(fewer, lake())
