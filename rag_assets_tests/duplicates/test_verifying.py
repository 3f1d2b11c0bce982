from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from rag_assets.duplicates import verifying
from rag_assets.duplicates.verifying import (
    TEXT_KEYS,
    TEXTS_AT_ONCE,
    VERIFIED_PAIRS,
    Content,
    Verifier,
)


class Library:
    """Text ``n`` has the shingles 0 to n; remembers how many were asked for at a time."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, positions: Sequence[int]) -> list[Content]:
        self.asked.append(len(positions))
        return [Content(np.arange(n + 1, dtype=np.uint64), (n, n, n)) for n in positions]


def verifier(
    names: str, read: Library, known: pa.Table | None = None, keyed: pa.Table | None = None
) -> Verifier:
    pairs = VERIFIED_PAIRS.empty_table() if known is None else known
    keys = TEXT_KEYS.empty_table() if keyed is None else keyed
    return Verifier(pa.array(list(names)), pairs, keys, read)


def test_overlaps_by_hand() -> None:
    overlaps = verifier("abcd", Library()).compare(1, np.array([2, 3]))
    assert overlaps.jaccard.tolist() == [2 / 3, 2 / 4]
    assert overlaps.containment.tolist() == [1.0, 1.0]


def test_known_pairs_are_not_read_wherever_they_stand_now() -> None:
    first = verifier("abcd", Library())
    first.compare(1, np.array([2, 3]))
    assert first.used().to_pylist() == [
        {"left_hash": "b", "right_hash": "c", "n_left": 2, "n_right": 3, "n_shared": 2},
        {"left_hash": "b", "right_hash": "d", "n_left": 2, "n_right": 4, "n_shared": 2},
    ]
    library = Library()
    again = verifier("dxcb", library, first.used())
    overlaps = again.compare(0, np.array([3]))
    assert (overlaps.own.tolist(), overlaps.others.tolist()) == ([4], [2])
    assert (again.n_verified, again.n_read, library.asked) == (0, 0, [])
    assert again.unknown(2, np.array([3])).tolist() == []
    assert again.unknown(1, np.array([2, 3])).tolist() == [2, 3]
    # c and b were not asked for this time
    assert [row["left_hash"] + row["right_hash"] for row in again.used().to_pylist()] == ["db"]


def test_pairs_of_texts_that_are_gone_are_passed_over() -> None:
    first = verifier("abcd", Library())
    first.compare(1, np.array([2, 3]))
    again = verifier("ab", Library(), first.used())
    assert again.compare(0, np.array([1])).shared.tolist() == [1]
    assert again.used().num_rows == 1


def test_a_settled_pair_may_be_asked_for_again() -> None:
    library = Library()
    one = verifier("abcd", library)
    one.compare(0, np.array([1, 2]))
    one.settle()
    assert one.compare(0, np.array([1, 3])).shared.tolist() == [1, 1]
    assert (one.n_verified, one.used().num_rows) == (3, 3)


def test_few_texts_at_a_time_and_few_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "MOST_HASHES", 1000)
    library = Library()
    names = "".join(chr(0x4E00 + n) for n in range(400))
    one = verifier(names, library)
    one.warm(range(400))
    assert library.asked == [TEXTS_AT_ONCE]
    assert one.compare(0, np.arange(1, 400)).shared.tolist() == [1] * 399
    assert max(library.asked) == TEXTS_AT_ONCE
    kept = [len(content.shingles) for content in one._shelf._kept.values()]
    assert sum(kept) == one._shelf._n_hashes <= 1000


def test_keys_are_read_once_and_kept_for_the_texts_asked_for() -> None:
    library = Library()
    one = verifier("abcd", library)
    assert one.keys(np.array([1, 3])).tolist() == [[1, 1, 1], [3, 3, 3]]
    assert one.keyed().to_pylist() == [
        {"text_hash": "b", "keys": [1, 1, 1]},
        {"text_hash": "d", "keys": [3, 3, 3]},
    ]
    again = verifier("dxb", library, keyed=one.keyed())
    assert again.keys(np.array([1, 2])).tolist() == [[1, 1, 1], [1, 1, 1]]  # x is read as text 1
    assert [row["text_hash"] for row in again.keyed().to_pylist()] == ["x", "b"]
    assert library.asked == [2, 1]
    assert again.keys(np.array([], dtype=np.int64)).tolist() == []
