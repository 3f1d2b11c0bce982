import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.documents import signatures
from rag_assets.documents.signatures import jaccard, shingles, signature_of

WORDS = [f"w{n}" for n in range(600)]


@pytest.mark.parametrize("n_shared", [0, 150, 300, 450, 550, 600])
def test_agreement_estimates_jaccard(n_shared: int) -> None:
    left = " ".join(WORDS)
    right = " ".join(WORDS[:n_shared] + [f"other{n}" for n in range(600 - n_shared)])
    true = jaccard(shingles(left), shingles(right))
    estimated = float(np.mean(signature_of(shingles(left)) == signature_of(shingles(right))))
    assert estimated == pytest.approx(true, abs=3 * (0.25 / 128) ** 0.5)  # three standard errors


def test_jaccard_by_hand() -> None:
    left, right = shingles("a b c d e"), shingles("a b c d x")  # 3 shingles each, 2 shared
    assert jaccard(left, right) == pytest.approx(2 / 4)
    assert jaccard(left, left) == 1.0


@given(st.text(max_size=50))
def test_any_text_has_a_signature(text: str) -> None:
    found = signature_of(shingles(text))
    assert found.shape == (128,)
    assert found.dtype == np.uint32


def test_case_and_punctuation_do_not_count() -> None:
    assert (
        signature_of(shingles("One, two; THREE four."))
        == signature_of(shingles("one two three four"))
    ).all()


def test_blocks_of_shingles_do_not_change_the_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = signature_of(shingles(" ".join(WORDS)))
    monkeypatch.setattr(signatures, "_STEP", 7)
    assert (signature_of(shingles(" ".join(WORDS))) == whole).all()


def test_signatures_are_those_of_last_year() -> None:
    # Stored signatures are compared with new ones: numpy must not change the constants.
    assert signature_of(shingles("one two three four five"))[:3].tolist() == [
        87529092,
        163177639,
        452749628,
    ]
