"""Where an answer stands in a passage."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.answers.spans import completed, folded, located, with_subject
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets_tests.answers.world import Doc, chunks_of

TEXT = (
    "MV Alder was built in 1994 by Hestvik Yard. She carries 1 745 tonnes.\n"
    "MV Tern leaves at 7:05 and at 9:40. Dogs, cats and horses travel on deck.\n"
    "Ship | Speed\nRowan | 14.5\nBramble | 28"
)


def passage_of(text: str, max_words: int = 400) -> Passage:
    doc = Doc("s:a.md", "A page", (("Text", text),))
    return Passage(pieces_of(chunks_of(doc, max_words)), frozenset(), 1.0, 0.5, whole=True)


PASSAGE = passage_of(TEXT)


def found(answer: str, question: str = "What?", passage: Passage = PASSAGE) -> list[str]:
    span = located(answer, passage, question)
    return [] if span is None else [unit.text for unit in span.units]


@pytest.mark.parametrize(
    ("answer", "unit"),
    [
        ("1994", "MV Alder was built"),
        ("hestvik yard", "MV Alder was built"),
        ("the Hestvik Yard.", "MV Alder was built"),
        ("\u201cHestvik Yard\u201d", "MV Alder was built"),
        ("Hestvik\n  Yard", "MV Alder was built"),
        ("1745 tonnes", "She carries"),
        ("7:05", "MV Tern leaves"),
        ("14.5 knots", "Rowan"),  # the unit is in no row
        ("28 kn", "Bramble"),
        ("Yard Hestvik", "MV Alder was built"),  # all of its words stand in one sentence
    ],
)
def test_it_is_found_as_models_write_it(answer: str, unit: str) -> None:
    (text,) = found(answer)
    assert unit in text


@pytest.mark.parametrize(
    "answer",
    ["1995", "", ".", "7:0", "4.5", "8", "Hestvik Yard of Orlen", "Alder and Juniper", "94",
     "Solvik, Hestvik", "?!"],
)  # fmt: skip
def test_what_stands_nowhere_is_not_found(answer: str) -> None:
    assert found(answer) == []


def test_an_answer_of_several_parts_stands_in_several_places() -> None:
    rows = found("Rowan and Bramble")
    assert len(rows) == 2
    assert "Rowan" in rows[0]
    assert "Bramble" in rows[1]


def test_of_several_places_the_one_that_speaks_of_the_question_counts() -> None:
    passage = passage_of("MV Alder has 20 seats. MV Tern has 20 cabins.")
    assert found("20", "How many seats?", passage) == ["MV Alder has 20 seats."]
    assert found("20", "How many cabins?", passage) == ["MV Tern has 20 cabins."]


def test_a_text_may_run_over_sentences() -> None:
    units = found("Hestvik Yard. She carries")
    assert units == ["MV Alder was built in 1994 by Hestvik Yard.", "She carries 1 745 tonnes."]


def test_it_is_told_whether_it_stands_word_for_word() -> None:
    assert located("Hestvik Yard", PASSAGE, "?").whole  # type: ignore[union-attr]
    assert not located("Yard Hestvik", PASSAGE, "?").whole  # type: ignore[union-attr]


WORDS = st.sampled_from(
    ["ferry", "Tern", "leaves", "at", "7:05", "from", "pier", "3", "Straße", "été", "1,200", "km"]
)
SENTENCES = st.lists(st.lists(WORDS, min_size=1, max_size=8), min_size=1, max_size=5)


@given(SENTENCES, st.data())
def test_any_run_of_words_of_a_unit_stands_in_it(
    sentences: list[list[str]], data: st.DataObject
) -> None:
    passage = passage_of(" ".join(f"So {' '.join(words)} it is." for words in sentences))
    unit = data.draw(st.sampled_from(passage.units()))
    words = unit.text.rstrip(".").split()
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    answer = " ".join(words[start:end])
    span = located(answer, passage, "What?")
    assert span is not None
    assert span.whole
    text = folded(" ".join(one.text for one in span.units))
    assert f" {folded(answer)} " in f" {text} "


@given(SENTENCES, st.lists(WORDS, max_size=4), st.integers(0, 4))
def test_words_that_stand_nowhere_are_not_found(
    sentences: list[list[str]], others: list[str], at: int
) -> None:
    passage = passage_of(" ".join(f"So {' '.join(words)} it is." for words in sentences))
    assert (
        located(" ".join([*others[:at], "xylophone", "harp", *others[at:]]), passage, "What?")
        is None
    )


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_may_be_looked_for_in_any(answer: str, text: str) -> None:
    passage = passage_of(f"Text. {text}")
    span = located(answer, passage, "What?")
    if span is not None:
        assert span.units
        assert all(unit in passage.units() for unit in span.units)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2.10", "210", False), ("7:05", "7 05", False), ("1 745", "1745", True),
        ("1\u2019745", "1745", True), ("STRASSE", "Straße", True), ("50 %", "50%", True),
        ("5 €", "5", False), ("a-b", "a b", True),
    ],
)  # fmt: skip
def test_numbers_stay_whole(one: str, other: str, is_same: bool) -> None:
    assert (folded(one) == folded(other)) == is_same


@pytest.mark.parametrize(
    ("cut", "whole"),
    [
        ("built in 19", "built in 1994 by Hestvik Yard."),  # in mid-number
        ("mv  alder was\nbuilt", "MV Alder was built in 1994 by Hestvik Yard."),
        ("Dogs, cats and", "Dogs, cats and horses travel on deck."),
        ("Ro", "Rowan"),  # to the end of its cell
        ("Rowan | 14", "Rowan | 14.5"),
        ("Rowan; Spe", "Rowan, 14.5"),  # the row as it was shown: all of it
        ("Hestvik Yard built", "MV Alder was built in 1994 by Hestvik Yard."),
    ],
)
def test_a_cut_copy_is_completed(cut: str, whole: str) -> None:
    done = completed(cut, PASSAGE, "What?")
    assert done is not None
    assert done[0] == whole


def test_a_cut_copy_that_stands_nowhere_is_none() -> None:
    for cut in ("Solvik", "Solvik Yard of", "", "?"):
        assert completed(cut, PASSAGE, "What?") is None


@given(st.data())
def test_a_beginning_is_completed_to_the_end_of_its_sentence(data: st.DataObject) -> None:
    units = [unit.text for unit in PASSAGE.units() if " | " not in unit.text]
    unit = data.draw(st.sampled_from(units))
    cut = unit[: data.draw(st.integers(5, len(unit)))].strip()
    done = completed(cut, PASSAGE, unit)
    assert done is not None
    assert done[0] == unit
    assert [one.text for one in done[1].units] == [unit]


HULLS = (
    "Tamsin was launched in 1988. She has a passenger lift.\n"
    "Quill was launched in 2004. She has no passenger lift. Dogs stay on deck."
)


@pytest.mark.parametrize(
    ("at", "question", "cited"),
    [
        (2, "Which of Tamsin and Quill has no passenger lift?", [2, 3]),
        (2, "When was Quill launched?", [2]),
        (3, "Which lift does Quill have?", [2, 3]),
        (3, "Is there a passenger lift?", [3]),
        (4, "Where do dogs stay?", [4]),
    ],
)
def test_a_sentence_is_cited_with_the_one_that_it_needs(
    at: int, question: str, cited: list[int]
) -> None:
    passage = passage_of(HULLS)
    units = passage.units()
    assert with_subject([units[at]], passage, question) == tuple(units[n] for n in cited)


def test_an_answer_of_blanks_is_located_at_once() -> None:
    began = time.perf_counter()
    assert found("\t" * 20_000 + "1994" + "\t" * 20_000) == found("1994")
    assert time.perf_counter() - began < 2  # quadratic where a part may begin with blanks
