from pathlib import Path

import numpy as np
import pytest

from rag_assets_tests.benchmarks import html
from rag_assets_tests.benchmarks.findings import BenchmarkError
from rag_assets_tests.evaluation_data import evaluation_data

DATA = evaluation_data()


def test_shingle_counts_by_hand() -> None:
    # shingles abcd, bcde against bcde, cdef: one of three is in both
    assert html._shingle_counts("a b c d e", "b c d e f") == (1 / 3, 1 / 3, 1 / 3)
    assert html._shingle_counts("a b", "a b") == (1.0, 0.0, 0.0)
    assert html._shingle_counts("", "a b c d") == (0.0, 0.0, 1.0)
    assert html._shingle_counts("", "") == (0.0, 0.0, 0.0)


def test_quality_by_hand() -> None:
    f1, precision, recall = html._quality(np.array([2.0, 1.0, 2.0]))
    assert (f1, precision, recall) == (pytest.approx(4 / 7), pytest.approx(2 / 3), 0.5)


def test_shares_of_sentences() -> None:
    gold: dict[str, object] = {"must_contain": ["a  b", "c"], "must_not_contain": ["d"]}
    assert html._found_shares([(gold, "x a\nb y d")]) == (0.5, 1.0)


@pytest.mark.parametrize("measure", [html.measure_content, html.measure_encodings])
def test_absent_data_is_named(measure: object, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="RAG_EVAL_DATA"):
        measure(tmp_path, print)  # type: ignore[operator]


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no evaluation data at {DATA}; see RAG_EVAL_DATA")
def test_encodings_of_the_real_files() -> None:
    said: list[str] = []
    part = html.measure_encodings(DATA, said.append)
    assert said
    assert all(goal.reached for goal in part.goals), part.goals
    assert part.tables[-1].rows == [("45 of 45",)]
