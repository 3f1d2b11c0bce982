"""Focus: the lines that are asked for, quoted as they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.retrieval.focus import focused
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets.retrieval.terms import terms
from rag_assets_tests.answers.fakes import n_words
from rag_assets_tests.answers.world import Doc, chunks_of

TABLE = (
    "Rafts by ship.\nShip | Slides | Rafts\nMV Elm | 2 | 12\nMV Oak | 2 | 11\nMV Yew | 1 | 8\nEnd."
)


def passage_of(text: str, max_words: int = 400) -> tuple[Doc, Passage]:
    doc = Doc("s:d", "D", (("H", text),))
    return doc, Passage(pieces_of(chunks_of(doc, max_words)), frozenset(), 1.0, 0.5, whole=True)


def shortened(text: str, question: str, limit: int) -> str:
    return focused(passage_of(text)[1], dict.fromkeys(terms(question), 1.0), limit, n_words).text


def test_a_short_text_stays_as_it_is() -> None:
    _, passage = passage_of("One line. Another line.")
    assert focused(passage, {"line": 1.0}, 100, n_words) is passage


def test_of_a_long_text_the_lines_around_what_is_asked_stay() -> None:
    text = " ".join(f"Day {n} was calm." for n in range(40))
    kept = shortened(text, "What happened on day 17?", 20)
    assert "Day 17 was calm." in kept
    assert n_words(kept) <= 25


@pytest.mark.parametrize(
    ("question", "ships"),
    [
        ("How many rafts does Oak have?", {"Oak"}),
        ("Who has more rafts, Elm or Oak?", {"Elm", "Oak"}),
        ("Which ship has most rafts?", {"Elm", "Oak", "Yew"}),  # no row is asked for by name
    ],
)
def test_of_a_table_the_header_and_the_rows_asked_for_stay(question: str, ships: set[str]) -> None:
    kept = shortened(TABLE, question, 100)
    assert "Ship | Slides | Rafts" in kept
    assert {ship for ship in ("Elm", "Oak", "Yew") if f"MV {ship} |" in kept} == ships


def test_of_groups_of_columns_both_rows_of_names_stay() -> None:
    head = "Month | North | | South |\nin | cars | people | cars | people"
    rows = "\n".join(f"{month} | 1 | 2 | 3 | 4" for month in ("May", "June", "July"))
    kept = shortened(f"{head}\n{rows}", "How many people went north in June?", 100)
    assert kept == f"{head}\n[...]\nJune | 1 | 2 | 3 | 4"


def test_names_and_values_are_no_table_with_a_header() -> None:
    text = "Built | 2003\nYard | Orrevik\nSpeed | 16 knots\nCars | 64"
    assert shortened(text, "How many cars?", 100) == text


def test_a_short_row_puts_no_other_out() -> None:
    rows = (
        "Day | Keeper | Relief\nMonday | Ansel | Corin\nRest day | none\nTuesday | Bryony | Ansel"
    )
    assert shortened(rows, "List the keepers for each day", 100) == rows


def test_a_table_without_a_header_keeps_no_row_as_one() -> None:
    rows = "Monday | 08:00 | 16:30\nTuesday | 09:15 | 17:45\nFriday | 07:45 | 18:15"
    assert shortened(rows, "When does it close on Tuesday?", 100) == rows.split("\n")[1]


@given(
    st.lists(
        st.sampled_from(["Ein.", "two", "a | b | c", "\n", "4.5 |", "caf\u00e9?"]), min_size=1
    ),
    st.integers(1, 30),
    st.integers(2, 12),
)
def test_what_is_kept_is_the_documents_text(parts: list[str], limit: int, max_words: int) -> None:
    doc, passage = passage_of("x " + " ".join(parts) + " y", max_words)
    kept = focused(passage, {"two": 1.0, "a": 0.5}, limit, n_words)
    assert kept.pieces
    for piece in kept.pieces:
        assert doc.text[piece.char_start : piece.char_end] == piece.text
