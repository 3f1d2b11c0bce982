import gzip
import json
import sys
from pathlib import Path

import datasketch
import numpy as np
import pytest
import rensa
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.documents.signatures import jaccard, shingles
from rag_assets_tests.benchmarks import near_duplicates
from rag_assets_tests.benchmarks.findings import BenchmarkError
from rag_assets_tests.benchmarks.near_duplicates import (
    datasketch_pairs,
    exact_pairs,
    measure,
    our_pairs,
    recall_by_band,
    rensa_pairs,
    score,
    strings_of,
    what_differs,
)
from rag_assets_tests.duplicates.shelf import text

TEXTS = [text(), text(changed=5), text(changed=33), text(changed=100), "something else entirely"]
ALIKE = {(0, 1), (0, 2), (1, 2)}  # 0.95, 0.71, 0.75


@given(st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=10), min_size=1, max_size=6))
def test_exact_pairs_are_those_of_comparing_all(sets: list[set[int]]) -> None:
    hashes = [np.array(sorted(some), dtype=np.uint64) for some in sets]
    expected = {
        (i, j): jaccard(hashes[i], hashes[j])
        for j in range(len(hashes))
        for i in range(j)
        if jaccard(hashes[i], hashes[j]) >= 0.7
    }
    assert exact_pairs(hashes) == pytest.approx(expected)


def test_ours_finds_what_is_there() -> None:
    hashes = [shingles(said) for said in TEXTS]
    assert our_pairs(hashes) == exact_pairs(hashes).keys() == ALIKE


def test_the_libraries_find_the_plain_case() -> None:
    strings = strings_of(TEXTS)
    for found in (rensa_pairs(rensa, strings), datasketch_pairs(datasketch, strings)):
        assert (0, 1) in found
        assert not any(4 in pair for pair in found)


@pytest.mark.parametrize("said", [*TEXTS, "two words", "one", "", "a b c a b c"])
def test_strings_are_the_shingles_that_ours_hash(said: str) -> None:
    (strings,) = strings_of([said])
    assert len(strings) == len(set(strings)) == len(shingles(said))


def test_scores_by_hand() -> None:
    exact = {(0, 1): 0.75, (0, 2): 0.9, (1, 2): 1.0, (2, 3): 0.89}
    found = {(0, 1), (1, 2), (3, 4)}
    assert score(found, exact) == (2 / 3, 2 / 4)
    assert recall_by_band(found, exact) == ["1/1", "0/1", "1/2"]
    assert score(set(), {}) == (1, 1)


def given_sets(data: Path) -> None:
    for name in near_duplicates.DATA_SETS:
        (data / name).mkdir()
        with gzip.open(data / name / "documents.jsonl.gz", "wt") as lines:
            lines.writelines(json.dumps({"text": said}) + "\n" for said in TEXTS)


def test_a_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "ROUNDS", 1)
    given_sets(tmp_path)
    said: list[str] = []
    part = measure(tmp_path, said.append)
    assert said[0] == "neardup-revisions: 5 documents, 3 pairs from 0.7 on"
    speed, found, differing = part.tables
    assert len(speed.rows) == 2 * 13
    assert [row[0] for row in found.rows[::3]] == [*near_duplicates.DATA_SETS, "both"]
    for table in part.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert {tuple(row[1:]) for row in differing.rows} == {
        ("number, date or code", "1", "0"),
        ("negation", "0", "0"),
        ("name", "0", "0"),
        ("another word", "0", "0"),
        ("layout alone", "0", "0"),
    }
    assert [goal.reached for goal in part.goals[-2:]] == [True, True]


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        ("The Alder, sails on  mondays.\nPage 1 of 1", "layout alone"),
        ("The Birch sails on Mondays.", "name"),
        ("A Alder sails on Mondays.", "another word"),
        ("The Alder sails not on Mondays in May.", "negation"),
        ("The Alder sails on 3 Mondays, not on Sundays.", "number, date or code"),
    ],
)
def test_what_differs_is_told_by_its_gravest_word(other: str, kind: str) -> None:
    assert what_differs("The Alder sails on Mondays.", other) == kind


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rensa", None)
    with pytest.raises(BenchmarkError, match=r"rensa .* dev extra"):
        measure(tmp_path, print)


def test_missing_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="neardup-revisions"):
        measure(tmp_path, print)
