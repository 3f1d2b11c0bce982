"""What of a passage is of the time that a question asks about."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_assets.questions.periods import in_asked_column, is_of_another_time, of_time, spans_in
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets.retrieval.times import ANY_TIME, Period, Span, period_of
from rag_assets_tests.answers.world import Doc, chunks_of

TODAY = date(2026, 11, 30)
FEES = (
    "| From | To | Fee |\n|---|---|---|\n| 1 January 2025 | 31 December 2025 | 13 crowns |\n"
    "| 1 January 2026 | 31 December 2026 | 16 crowns |\n"
    "| 1 January 2027 | 31 December 2027 | 18 crowns |"
)
WAGES = (
    "| Valid from | Bakers |\n|---|---|\n| 1 April 2023 | 17.20 euro |\n"
    "| 1 October 2025 | 18.40 euro |\n| 1 January 2027 | 19.10 euro |"
)
YEARS = "| Year | Guests |\n|---|---|\n| 2024 | 410 |\n| 2025 | 389 |"
SHIPS = (
    "| Ship | Built | Fare |\n|---|---|---|\n| Alder | 1994 | 3 euro |\n| Tern | 2003 | 4 euro |"
)
GARDEN = "The garden opened in 1998. It had 41,200 guests in 2024. In 2025 it had 38,900 guests."


def passage_of(text: str, heading: str = "Text", uri: str = "s:a.md") -> Passage:
    doc = Doc(uri, "A page", ((heading, text),))
    return Passage(pieces_of(chunks_of(doc, 400)), frozenset(), 1.0, 0.5, whole=True)


def read(text: str, question: str) -> tuple[str, str]:
    passage, asked = of_time(passage_of(text), period_of(question, TODAY), question)
    return passage.text, asked


@pytest.mark.parametrize(
    ("text", "question", "stays", "goes"),
    [
        (FEES, "What was the fee last year?", ["13 crowns"], ["16 crowns", "18 crowns"]),
        (FEES, "What is the fee today?", ["16 crowns"], ["13 crowns", "18 crowns"]),
        (FEES, "What is the fee?", ["16 crowns"], ["13 crowns", "18 crowns"]),
        (FEES, "What was the fee in March 2024?", ["Fee"], ["13 crowns", "16 crowns", "18 crowns"]),
        (FEES, "What was the fee in earlier years?", ["13 crowns", "16 crowns", "18 crowns"], []),
        (WAGES, "What is the wage now?", ["18.40"], ["17.20", "19.10"]),
        (WAGES, "What was the wage in March 2024?", ["17.20"], ["18.40", "19.10"]),
        (WAGES, "What was the wage in 2025?", ["17.20", "18.40"], ["19.10"]),
        (YEARS, "How many guests came in 2025?", ["389"], ["410"]),
        (YEARS, "How many guests are there now?", ["389", "410"], []),
        (SHIPS, "What was the fare of the Alder in 2025?", ["3 euro", "4 euro"], []),
        (GARDEN, "How many guests did it have in 2025?", ["38,900"], ["41,200", "1998"]),
        (GARDEN, "How many guests did the garden have in 2022?", ["38,900", "41,200"], []),
        ("A fare is 3 euro.", "What was the fare last year?", ["3 euro"], []),
    ],
)  # fmt: skip
def test_what_is_of_another_time_is_not_read(
    text: str, question: str, stays: list[str], goes: list[str]
) -> None:
    left, _ = read(text, question)
    assert [one for one in stays if one not in left] == []
    assert [one for one in goes if one in left] == []


def test_a_sentence_stays_that_alone_has_a_word_of_the_question() -> None:
    left, _ = read(
        "The Lark was sold in 1998. It carried 300 in 2025.", "Did the Lark sail in 2025?"
    )
    assert "Lark" in left


@pytest.mark.parametrize(
    ("text", "question", "asked"),
    [
        (WAGES, "What is the wage today?", "What is the wage?"),
        (WAGES, "What was the wage in March 2024?", "What was the wage?"),
        ("| Fare | 2025 | 2026 |\n|---|---|---|\n| Adult | 3 | 4 |", "What is the fare now?",
         "What is the fare in 2026?"),
        ("A fare is 3 euro.", "What is the fare now?", "What is the fare now?"),
    ],
)  # fmt: skip
def test_the_time_is_asked_for_as_the_passage_names_it(
    text: str, question: str, asked: str
) -> None:
    assert read(text, question)[1] == asked


def test_a_document_whose_name_is_of_the_time_is_asked_for_it_all_the_same() -> None:
    question = "What was the fare in 2021?"
    named, other = (
        of_time(passage_of("A fare is 3.", uri=uri), period_of(question, TODAY), question)[1]
        for uri in ("s:fares-2021.md", "s:fares-2025.md")
    )
    assert (named, other) == (question, question)


def test_an_answer_beside_the_column_of_the_time_is_put_right() -> None:
    passage = passage_of("| Fare | 2025 | 2026 |\n|---|---|---|\n| Adult | 3 euro | 4 euro |")
    row = passage.units()[2]
    spans = period_of("in 2026", TODAY).spans
    assert in_asked_column("3 euro", row, passage, spans) == "4 euro"
    assert in_asked_column("4 euro", row, passage, spans) == "4 euro"
    assert in_asked_column("Adult", row, passage, spans) == "Adult"
    assert in_asked_column("3 euro", row, passage, ()) == "3 euro"


def test_a_section_of_another_year_is_told() -> None:
    spans = period_of("in 2026", TODAY).spans
    assert is_of_another_time(passage_of("A fare is 3 euro.", "Fares 2024"), spans)
    assert not is_of_another_time(passage_of("It is 3 euro, in 2026 4.", "Fares 2024"), spans)
    assert not is_of_another_time(passage_of("A fare is 3 euro.", "Fares 2026"), spans)
    assert not is_of_another_time(passage_of("A fare is 3 euro.", "Fares"), spans)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("in 2024", date(2024, 1, 1), date(2024, 12, 31)),
        ("season 2024/25", date(2024, 1, 1), date(2025, 12, 31)),
        ("between 2022 and 2024", date(2022, 1, 1), date(2024, 12, 31)),
        ("1 May 2025 to 30 June 2025", date(2025, 5, 1), date(2025, 6, 30)),
        ("vom 1. Mai 2025 bis 30. Juni 2025", date(2025, 5, 1), date(2025, 6, 30)),
        ("since March 2024", date(2024, 3, 1), date.max),
        ("until 31 March 2024", date.min, date(2024, 3, 31)),
        ("2024", date(2024, 1, 1), date(2024, 12, 31)),
    ],
)
def test_times_and_ranges_are_read(text: str, first: date, last: date) -> None:
    assert spans_in(text) == [Span(first, last)]


@pytest.mark.parametrize("text", ["1800 kg", "open at 1930", "", "12 crowns", "2.024"])
def test_other_numbers_are_no_times(text: str) -> None:
    assert spans_in(text) == []


@settings(deadline=None)
@given(st.lists(st.sampled_from([FEES, WAGES, YEARS, SHIPS, GARDEN]), min_size=1, max_size=3))
def test_without_a_time_all_of_it_is_read(texts: list[str]) -> None:
    passage = passage_of("\n\n".join(texts))
    assert of_time(passage, ANY_TIME, "Why?") == (passage, "Why?")
    named = Period((Span(date(2031, 1, 1), date(2031, 12, 31)),), is_named=True)
    left, _ = of_time(passage, named, "Why?")
    assert left.pieces
