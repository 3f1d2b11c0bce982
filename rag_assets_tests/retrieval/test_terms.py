"""Words, numbers, sentences."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.retrieval.terms import content_words, coverage, numbers, sentences, stem


@pytest.mark.parametrize("word", ["sail", "sails", "sailed", "sailing", "SAILS"])
def test_inflections_share_a_stem(word: str) -> None:
    assert stem(word) == "sail"


@pytest.mark.parametrize(
    ("one", "other"),
    [("ferry", "ferries"), ("cost", "costs"), ("stopped", "stop"), ("Alder's", "Alder"),
     ("Alder\u2019s", "Alder"), ("route", "routes"), ("close", "closes"), ("die", "die")],
)  # fmt: skip
def test_pairs_that_must_match(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_stop_words_and_digits_are_not_content() -> None:
    assert content_words("When was the MV Alder built in 1994?") == {"mv", "alder", "built"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,250 passengers", {"1250"}),
        ("1 250 passengers", {"1250"}),
        ("14.50 euro", {"14.5"}),
        ("14,5 knots", {"14.5"}),
        ("at 07:05 and 7:05", {"7:05".replace("05", "5")}),
        ("two of 12", {"2", "12"}),
        ("Route 3.", {"3"}),
        ("in 1994, 2003", {"1994", "2003"}),
        ("62m and 62 m", {"62"}),
        ("MV-3B", {"3"}),
        ("no digits", set()),
    ],
)
def test_numbers_have_one_spelling(text: str, found: set[str]) -> None:
    assert numbers(text) == found


def test_coverage_of_nothing_is_zero() -> None:
    assert coverage(frozenset(), frozenset({"a"})) == 0.0
    assert coverage(frozenset({"a", "b"}), frozenset({"a"})) == 0.5


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Length 62 m\nSpeed 14.5 knots", ["Length 62 m", "Speed 14.5 knots"]),
        ("It costs 4.50 euro, e.g. on Route 3.", ["It costs 4.50 euro, e.g. on Route 3."]),
        ("It closes at five. [1] It opens.", ["It closes at five.", "[1] It opens."]),
        ("Captain J. Berg sails.", ["Captain J. Berg sails."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences(text: str, parts: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == parts


@given(st.text())
def test_sentences_lose_nothing_but_white_space(text: str) -> None:
    spans = sentences(text)
    assert all(a_end <= b for (_, a_end), (b, _) in pairwise(spans))
    kept = "".join(text[start:end] for start, end in spans)
    assert "".join(kept.split()) == "".join(text.split())


@given(st.text())
def test_reading_terms_never_fails(text: str) -> None:
    assert all(word == word.casefold() for word in content_words(text) if word.isascii())
    assert isinstance(numbers(text), frozenset)
