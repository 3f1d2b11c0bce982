from pathlib import Path

import pytest

from rag_assets_tests.benchmarks import filtered, vectors
from rag_assets_tests.benchmarks.findings import BenchmarkError


def test_each_share_is_searched_and_compared_with_an_exact_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (filtered, vectors):
        monkeypatch.setattr(module, "DIMENSION", 16)
    monkeypatch.setattr(filtered, "LEAST", 5000)
    monkeypatch.setattr(filtered, "N_QUESTIONS", 3)
    part = filtered.measure(6000, tmp_path, lambda _line: None)
    (table,) = part.tables
    assert [(row[0], row[1]) for row in table.rows] == [
        (share, lie if share != "100%" else filtered.ALL)
        for lie in (filtered.SPREAD, filtered.APART)
        for share in ("100%", "1%", "10%", "50%")
    ]
    assert {row[2] for row in table.rows} == {"1.0000"}  # so few rows have no vector index
    assert {row[3] for row in table.rows} == {"0"}
    assert all(goal.reached for goal in part.goals)
    assert list(tmp_path.iterdir()) == []


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="expected 50,000 rows or more, got 49,999"):
        filtered.measure(49_999, tmp_path, print)
