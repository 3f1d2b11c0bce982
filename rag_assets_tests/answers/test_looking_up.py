"""A look-up, from its passages to a short answer and the place of it."""

import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.answers.looking_up import LookedUp, looked_up
from rag_assets.answers.policy import ReadingBudget
from rag_assets.answers.reading import PassageReader
from rag_assets.models.protocols import Completion
from rag_assets.retrieval.times import Period, Span
from rag_assets_tests.answers.fakes import Call, Reply, ScriptedChat, reads, said, yes
from rag_assets_tests.answers.test_reading import passages_of


def reader_with(reply: Reply) -> PassageReader:
    return PassageReader(ScriptedChat("llm", reply), ReadingBudget(), 2.0, 10.0)


ALDER, TERN = "MV Alder was built in 1994.", "MV Tern was built in 2003."
BUILT = "When was MV Tern built?"


def test_the_answer_comes_with_its_place() -> None:
    found = looked_up(BUILT, passages_of(ALDER, TERN), reader_with(reads({"Tern": "2003"})))
    assert found.answer == "2003"
    assert [unit.text for unit in found.units] == [TERN]
    assert found.confidence > 0.9
    assert len(found.passages) == 2
    assert found.calls


def test_a_passage_without_the_name_loses_against_one_with_it() -> None:
    def reply(call: Call) -> Completion | str:
        if call.asks == "span":
            return "1994" if "1994" in call.evidence else "2003"
        return yes(1.0)

    passages = passages_of(ALDER, TERN)
    assert looked_up(BUILT, passages, reader_with(reply)).answer == "1994"
    assert looked_up(BUILT, passages, reader_with(reply), names={"MV Tern": 1.0}).answer == "2003"


def test_an_answer_of_the_asked_type_is_preferred() -> None:
    def reply(call: Call) -> Completion | str:
        if call.asks == "span":
            return "Hestvik Yard" if "Hestvik" in call.evidence else "2003"
        return yes(1.0)

    passages = passages_of("It was built by Hestvik Yard.", TERN)
    assert looked_up(BUILT, passages, reader_with(reply)).answer == "Hestvik Yard"
    assert looked_up(BUILT, passages, reader_with(reply), wants="date").answer == "2003"


def test_where_nothing_was_copied_there_is_no_answer_and_no_confidence_above_a_half() -> None:
    none = reader_with(lambda call: "none" if call.asks == "span" else yes(5.0))
    found = looked_up(BUILT, passages_of(ALDER, TERN), none)
    assert (found.answer, found.units) == ("", ())
    assert found.confidence <= 0.5
    assert looked_up(BUILT, [], none).confidence < 0.01


@pytest.mark.parametrize(("verdict", "answer"), [(4.0, "Yes"), (-4.0, "No")])
def test_yes_or_no_comes_with_the_sentence_that_speaks_of_it(verdict: float, answer: str) -> None:
    def reply(call: Call) -> Completion:
        return yes(verdict if call.asks == "verdict" else 3.0)

    passages = passages_of(f"Dogs travel on deck. {TERN} Tickets are sold on board.")
    found = looked_up("Was MV Tern built in 2003?", passages, reader_with(reply), wants="yes_no")
    assert found.answer == answer
    assert [unit.text for unit in found.units] == [TERN]
    assert found.confidence > 0.9


def test_a_doubtful_verdict_is_not_sure() -> None:
    doubt = reader_with(lambda call: yes(0.1 if call.asks == "verdict" else 6.0))
    found = looked_up("Was MV Tern built in 2003?", passages_of(TERN), doubt, wants="yes_no")
    assert found.confidence < 0.6


def test_yes_or_no_of_nothing_is_no_answer() -> None:
    found = looked_up("Was MV Tern built?", [], reader_with(lambda _: said("Yes")), wants="yes_no")
    assert found.answer == ""


@given(st.floats(allow_nan=False))
def test_confidence_is_a_chance(score: float) -> None:
    chance = LookedUp("", (), score, (), ()).confidence
    assert 0.0 <= chance <= 1.0
    assert not math.isnan(chance)


def test_a_row_of_another_year_is_no_answer() -> None:
    text = "| Year | Fee |\n|---|---|\n| 2024 | 11 crowns |\n| 2025 | 13 crowns |"

    def reply(call: Call) -> Completion | str:
        if call.asks == "span":
            return "11 crowns" if "11 crowns" in call.evidence else "13 crowns"
        return yes(3.0)

    def found(**options: Any) -> str:  # noqa: ANN401 - of looked_up
        passages = passages_of(text)
        return looked_up(
            "What was the fee in 2025?", passages, reader_with(reply), **options
        ).answer

    assert found() == "11 crowns"
    spans = (Span(date(2025, 1, 1), date(2025, 12, 31)),)
    assert found(period=Period(spans, is_named=True)) == "13 crowns"


def test_yes_or_no_by_a_limit_is_told_by_code() -> None:
    text = "The lift is new. Vehicles on the lift must not be higher than 210 cm."
    silent = reader_with(lambda _: said("Yes"))
    question = "Can a van of 230 cm use the lift?"
    found = looked_up(question, passages_of(text), silent, wants="yes_no")
    assert (found.answer, found.calls) == ("No", ())
    assert [unit.text for unit in found.units] == [text[17:]]
