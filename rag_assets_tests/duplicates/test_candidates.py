from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.duplicates import candidates
from rag_assets.duplicates.candidates import Postings, contained_candidates, near_candidates

held = st.lists(st.sets(st.integers(0, 15), max_size=6), max_size=8)


def sketches(keys: list[set[int]]) -> Postings:
    flat = [(key, owner) for owner, some in enumerate(keys) for key in sorted(some)]
    columns = np.array(flat, dtype=np.uint64).reshape(-1, 2)
    spread = columns[:, 0] * np.uint64(0x9E3779B97F4A7C15)  # over all shares that are sorted apart
    return Postings.of_sketches(spread, columns[:, 1].astype(np.int32), len(keys))


@given(held)
def test_sharing_is_counted_as_sets_do(keys: list[set[int]]) -> None:
    postings = sketches(keys)
    for one, mine in enumerate(keys):
        expected = {
            other: len(mine & keys[other])
            for other in range(one + 1, len(keys))
            if mine & keys[other]
        }
        others, counts = postings.sharing(one)
        assert dict(zip(others.tolist(), counts.tolist(), strict=True)) == expected
    holders = Counter(key for some in keys for key in some)
    shared = {one for one, some in enumerate(keys) if any(holders[key] > 1 for key in some)}
    assert set(postings.owners().tolist()) == shared
    assert postings.n_keys.tolist() == [len(some) for some in keys]


@pytest.mark.parametrize(("n_equal", "found"), [(0, []), (1, []), (2, [1]), (32, [1])])
def test_two_bands_make_a_candidate(n_equal: int, found: list[int]) -> None:
    bands = np.arange(64, dtype=np.uint32).reshape(2, 32)
    bands[1, :n_equal] = bands[0, :n_equal]
    assert near_candidates(Postings.of_bands(bands), 0).tolist() == found


def test_equal_numbers_in_different_bands_are_no_match() -> None:
    bands = np.arange(64, dtype=np.uint32).reshape(2, 32)
    bands[1] = np.roll(bands[0], 1)
    assert near_candidates(Postings.of_bands(bands), 0).tolist() == []


def test_small_samples_and_small_shares_are_no_candidates() -> None:
    keys = [set(range(100)), set(range(3)), set(range(4)), set(range(2)) | set(range(200, 208))]
    found = contained_candidates(sketches(keys), 0, 0.35)
    assert found.tolist() == [2]  # 1: a sample of three; 3: 2 of 10


def test_keys_that_all_hold_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "MOST_HOLDERS", 3)
    postings = sketches([{1, 2, owner + 10} for owner in range(3)] + [{1, 9}])
    assert postings.n_keys.tolist() == [2, 2, 2, 1]  # 2 has three holders, 1 has four
    assert [part.tolist() for part in postings.sharing(0)] == [[1, 2], [1, 1]]


def test_nobody() -> None:
    assert Postings.of_bands(np.zeros((0, 32), np.uint32)).owners().tolist() == []
    assert sketches([]).owners().tolist() == []


def test_likeliest_candidates_come_first() -> None:
    bands = np.arange(4 * 32, dtype=np.uint32).reshape(4, 32)
    for owner, n_shared in ((1, 3), (2, 9), (3, 3)):
        bands[owner, :n_shared] = bands[0, :n_shared]
    found = near_candidates(Postings.of_bands(bands), 0)
    assert found.tolist() == [2, 1, 3]
