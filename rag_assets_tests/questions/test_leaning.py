"""Questions that lean on the one before, and what the rules make of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.questions.leaning import leans, written_out

CAPTAIN = ("Who is the captain of MV Juniper?", "The captain of MV Juniper is Ingrid Valsten.")
TOLLS = ("How many boats passed Lock 3 in 2023?", "412.")


@pytest.mark.parametrize(
    ("before", "question", "alone"),
    [
        (("Where does the Osprey ferry go?", "To Fell."), "And what does a bicycle cost on it?",
         "What does a bicycle cost on the Osprey ferry?"),
        (("Where does the Kittiwake ferry go?", ""), "And how many minutes does it take?",
         "How many minutes does the Kittiwake ferry take?"),
        (("Which yard built MV Alder?", "Hestvik Yard did."), "In which year was it built?",
         "In which year was MV Alder built?"),
        (("Who built MV Rowan?", "Orrevik Yard did."), "How many cars can it carry?",
         "How many cars can MV Rowan carry?"),
        (("How long did the strike of the crews of Norrick Line in 1990 last?", "17 days."),
         "When did it begin?", "When did the strike of the crews of Norrick Line in 1990 begin?"),
        (("How long is MV Alder?", "62 m."), "And MV Rowan?", "How long is MV Rowan?"),
        (("How long is MV Alder?", "62 m."), "What about MV Rowan?", "How long is MV Rowan?"),
        (("When was MV Tern built?", "In 2003."), "Who built it?", "Who built MV Tern?"),
        (("When was MV Tern built?", "In 2003."), "What is its length?",
         "What is MV Tern's length?"),
        (("What is the capital of France?", "Paris."), "And in Germany?",
         "What is the capital of Germany?"),
        (("What is the fare on Route 1?", "9 euro."), "and on Sundays?",
         "What is the fare on Route 1 on Sundays?"),
        (("What does a ticket cost?", "9 euro."), "And for children?",
         "What does a ticket cost for children?"),
        (TOLLS, "And in 2024?", "How many boats passed Lock 3 in 2024?"),
        (CAPTAIN, "When did she take command?", "When did Ingrid Valsten take command?"),
        (CAPTAIN, "And of MV Rowan?", "Who is the captain of MV Rowan?"),
        (("Which vessel serves Route 2?", "MV Rowan does."), "How many cars can it carry?",
         "How many cars can MV Rowan carry?"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_filled_in(before: tuple[str, str], question: str, alone: str) -> None:
    assert leans(question)
    assert written_out(question, *before) == alone


@pytest.mark.parametrize(
    "question",
    [
        "How much does it cost to park a car at Norrsund?",
        "Is there a lift on board MV Alder?",
        "Who is the captain of MV Juniper?",
        "How long is MV Alder and when was it built?",
        "What does the crew do when it rains?",
        "Is it allowed to bring dogs on board?",
        "cancelled sailings 2024",
        "List the ships that have a lift.",
    ],
)
def test_what_stands_alone_is_left_as_it_is(question: str) -> None:
    assert not leans(question)


@pytest.mark.parametrize(
    ("before", "question"),
    [
        (("When does the museum open?", "At 9:00."), "And close?"),
        (CAPTAIN, "And how many cars does the ship hold?"),
        (("How long are MV Alder and MV Rowan?", ""), "Who built it?"),
    ],
)
def test_what_the_rules_do_not_understand_is_left_to_others(
    before: tuple[str, str], question: str
) -> None:
    assert leans(question)
    assert written_out(question, *before) is None


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_text_may_lean_on_any(question: str, before: str, answer: str) -> None:
    leans(question)
    assert written_out(question, before, answer) != ""
