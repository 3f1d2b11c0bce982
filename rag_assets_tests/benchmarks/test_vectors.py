from pathlib import Path

import numpy as np
import pytest

from rag_assets_tests.benchmarks import vectors
from rag_assets_tests.benchmarks.findings import BenchmarkError


def test_each_kind_is_made_changed_and_compared_with_an_exact_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "DIMENSION", 16)
    monkeypatch.setattr(vectors, "N_QUESTIONS", 5)
    said: list[str] = []
    (tmp_path / "kept.txt").write_text("of a person who names a folder in use")
    (table,) = vectors.measure([5000], tmp_path, said.append).tables
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [row["index"] for row in rows] == [vectors.EXACT, *vectors.KINDS]
    exact, ours, graph = rows
    assert (exact["recall"], exact["recall after the updates"]) == ("1.0000", "1.0000")
    assert float(ours["recall"]) > 0.9
    assert float(ours["recall after the updates"]) > 0.9  # what changed is found in its new place
    assert (exact["MB"], len(said)) == ("0.0", 3)
    assert 0 < float(ours["MB"]) < float(graph["MB"])
    assert [file.name for file in tmp_path.iterdir()] == ["kept.txt"]


def test_drawn_vectors_have_length_one() -> None:
    rng = np.random.default_rng(1)
    topics = vectors._unit(rng.standard_normal((10, vectors.DIMENSION), dtype=np.float32))
    drawn = vectors._drawn(topics, 20, rng)
    assert drawn.shape == (20, vectors.DIMENSION)
    assert np.linalg.norm(drawn, axis=1) == pytest.approx(1)
    assert (drawn @ topics.T).max(axis=1).min() > 0.5  # each is near a topic


@pytest.mark.parametrize("sizes", [[], [4999]])
def test_too_few_rows_are_refused(tmp_path: Path, sizes: list[int]) -> None:
    with pytest.raises(BenchmarkError, match="expected sizes of 5,000 rows or more"):
        vectors.measure(sizes, tmp_path, print)
