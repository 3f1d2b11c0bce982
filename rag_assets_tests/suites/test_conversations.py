"""The conversations, and that follow-ups come after the answers before them."""

import itertools
from pathlib import Path

import pytest

from rag_assets.evaluations.results import CaseResult
from rag_assets.questions.leaning import leans, written_out
from rag_assets.retrieval.terms import terms
from rag_assets_tests.evaluations.lab import Bench
from rag_assets_tests.suites import conversations as suite
from rag_assets_tests.suites.conversations import FOLLOW_UP, WRITTEN_OUT, conversations, written

# Of 51: follow-ups that no rule writes out, which are left to a model, and those that lack words
# afterwards ("Thole" for "Marius Thole", or "What did the repair cost?", which leans unseen).
MOST_LEFT, MOST_OTHERWISE = 16, 9


def test_forty_conversations_of_two_turns_or_more() -> None:
    talks = written()
    assert len(talks) >= 40
    assert all(2 <= len(talk) <= 4 for talk in talks)
    assert all(talk[0].question == talk[0].task.question for talk in talks)
    assert all(asked.task.expected for talk in talks for asked in talk)


def test_rules_write_out_most_follow_ups() -> None:
    left = otherwise = 0
    for talk in written():
        for before, asked in itertools.pairwise(talk):
            answer = before.task.expected[0].partition(" | ")[0]
            said = written_out(asked.question, before.task.question, answer)
            alone = said if leans(asked.question) else asked.question
            left += alone is None
            otherwise += alone is not None and not terms(alone) >= terms(asked.task.question)
    assert left <= MOST_LEFT
    assert otherwise <= MOST_OTHERWISE


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> None:
    """One conversation about the documents of the bench."""
    of = written()[0][0]
    anchor, buoy = (
        suite.golden_task(suite.Case(f"c-{n}", "lookup", f"When was the ferry {name} built?",
                                     ((year,),), ()))
        for n, (name, year) in enumerate([("Anchor", "1994"), ("Buoy", "1887")], start=1)
    )  # fmt: skip
    assert isinstance(of, suite.Asked)
    asked = [suite.Asked(anchor.question, anchor), suite.Asked("And the ferry Buoy?", buoy)]
    monkeypatch.setattr(suite, "written", lambda: [asked])


def test_a_follow_up_is_asked_beside_the_same_question_written_out(
    bench: Bench, tmp_path: Path, talk: None
) -> None:
    bench.golden("docs")
    results: list[CaseResult] = conversations(bench.lab(tmp_path))
    assert [one.variant for one in results] == [WRITTEN_OUT, FOLLOW_UP]
    alone, follow_up = results
    assert alone.case_id == follow_up.case_id == "c-2"
    assert follow_up.question == "And the ferry Buoy?"
    assert follow_up.answer == alone.answer
