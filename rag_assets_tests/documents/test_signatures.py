import re

import numpy as np
import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st

from rag_assets.documents import signatures
from rag_assets.documents.signatures import (
    bands,
    jaccard,
    n_shared,
    shingles,
    signature_of,
    sketch,
    words,
)

WORDS = [f"w{n}" for n in range(2000)]


@pytest.mark.parametrize("n_words", [40, 130, 600, 2000])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_agreement_estimates_jaccard(n_words: int, share: float) -> None:
    left = WORDS[:n_words]
    n_kept = int(share * n_words)
    right = left[:n_kept] + [f"other{n}" for n in range(n_words - n_kept)]
    one, other = shingles(" ".join(left)), shingles(" ".join(right))
    true = jaccard(one, other)
    estimated = float(np.mean(signature_of(one) == signature_of(other)))
    assert estimated == pytest.approx(true, abs=3 * (0.25 / 128) ** 0.5)  # three standard errors


@pytest.mark.parametrize("n_shingles", [3, 30, 130, 1000])
def test_estimates_are_unbiased_and_vary_no_more_than_128_hashes(n_shingles: int) -> None:
    random = np.random.default_rng(5)
    n_both = n_shingles * 2 // 3
    true = n_both / (2 * n_shingles - n_both)
    errors = []
    for _ in range(300):
        drawn = random.integers(0, 2**64, 2 * n_shingles - n_both, dtype=np.uint64)
        left, right = np.sort(drawn[:n_shingles]), np.sort(drawn[n_shingles - n_both :])
        errors.append(np.mean(signature_of(left) == signature_of(right)) - true)
    of_one_hash = (true * (1 - true) / 128) ** 0.5
    assert abs(np.mean(errors)) < 4 * of_one_hash / 300**0.5
    assert np.std(errors) < 1.15 * of_one_hash


def test_jaccard_by_hand() -> None:
    left, right = shingles("a b c d e"), shingles("a b c d x")  # 3 shingles each, 2 shared
    assert jaccard(left, right) == pytest.approx(2 / 4)
    assert jaccard(left, left) == 1.0


@given(st.lists(st.integers(0, 30), min_size=1), st.lists(st.integers(0, 60), min_size=1))
@example([5], list(range(20)))  # so few that they are looked up
@example([25], list(range(20)))
def test_shared_hashes_are_those_of_sets(left: list[int], right: list[int]) -> None:
    arrays = [np.array(sorted(set(side)), dtype=np.uint64) for side in (left, right)]
    assert n_shared(*arrays) == len(set(left) & set(right))


@given(st.text(max_size=50))
def test_any_text_has_a_signature(text: str) -> None:
    hashes = shingles(text)
    assert hashes.dtype == np.uint64
    assert (np.diff(hashes.astype(object)) > 0).all()
    assert signature_of(hashes).shape == (128,)
    assert (bands(hashes).shape, bands(hashes).dtype) == ((32,), np.uint32)
    assert (sketch(hashes) % 32 == 0).all()


@given(
    st.text(st.characters(max_codepoint=0x0DFF))
    | st.text("a\u00e9\u2014\u2019\u201c\u201d\u00b7", min_size=9)
)
@example("".join(map(chr, range(0x20, 0x0DFF))))  # more separators than are replaced one by one
def test_words_are_those_of_the_expression(text: str) -> None:
    assert [word.decode() for word in words(text)] == re.findall(r"\w+", text.lower())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今日は。Python 3", ["今", "日", "は", "python", "3"]),
        ("カタカナ語", ["カ", "タ", "カ", "ナ", "語"]),
        ("ที่นี่ ok", ["ท", "ี", "่", "น", "ี", "่", "ok"]),
        ("한국어 문서", ["한국어", "문서"]),  # Korean puts spaces
        ("Größe—naïve", ["größe", "naïve"]),
    ],
)
def test_scripts_without_spaces_are_read_by_the_character(text: str, expected: list[str]) -> None:
    assert [word.decode() for word in words(text)] == expected


def test_a_changed_sentence_in_chinese_leaves_the_rest_alike() -> None:
    sentences = ["渡轮每天早上六点从港口出发。", "乘客须提前半小时到达码头。", "自行车免费运输。"]
    left, right = "".join(sentences), "".join([*sentences[:2], "狗只需付半价。"])
    assert 0.5 < jaccard(shingles(left), shingles(right)) < 0.9


def test_case_and_punctuation_do_not_count() -> None:
    assert (shingles("One, two; THREE four.") == shingles("one two three four")).all()


@pytest.mark.parametrize("other", ["b a c", "a c b", "a b d", "a b", "a", "a b c d"])
def test_order_and_number_of_words_count(other: str) -> None:
    assert n_shared(shingles("a b c"), shingles(other)) == (other == "a b c d")


def test_shingles_of_many_words_do_not_collide() -> None:
    letters = "abcdefghijklmnopqrst"
    hashes = [shingles(f"{a} {b} {c}")[0] for a in letters for b in letters for c in letters]
    assert len(set(hashes)) == 20**3
    ones = np.unpackbits(np.array(hashes).view(np.uint8)).reshape(-1, 64).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / 8000**0.5  # every bit is set half the time


def test_memory_of_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = signatures._WordHashes()
    monkeypatch.setattr(signatures._WordHashes, "MOST_WORDS", 3)
    for word in [b"a", b"b", b"c", b"d", b"x" * 65]:
        assert memory[word] == xxhash.xxh3_64_digest(word)
    assert dict(memory).keys() == {b"d"}


def test_signatures_are_those_of_last_year() -> None:
    # Stored ones are compared with new ones. Where this fails, raise VERSION, so that documents
    # are read again.
    hashes = shingles("one two three four five")
    assert signatures.VERSION == "2"
    assert hashes.tolist() == [48308006464221912, 9880883947475421656, 11167132835877765562]
    assert bands(hashes)[:3].tolist() == [592175086, 3043611583, 3203633648]
    assert sketch(shingles(" ".join(WORDS[:99]))).tolist() == [
        14696634853905579008,
        15497935975336537600,
    ]
