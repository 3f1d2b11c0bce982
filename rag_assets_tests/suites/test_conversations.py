"""The conversations, and that follow-ups come after the answers before them."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from rag_assets.evaluations.presentation import present
from rag_assets.evaluations.results import CaseResult, ModelUse
from rag_assets.questions.leaning import leans, written_out
from rag_assets.retrieval.terms import terms
from rag_assets_tests.evaluations.lab import Bench
from rag_assets_tests.suites import conversations as suite
from rag_assets_tests.suites.conversations import (
    FOLLOW_UP,
    WRITTEN_OUT,
    conversations,
    prefix_hits,
    written,
)
from rag_assets_tests.suites.views import CONVERSATIONS

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


def test_a_follow_up_is_asked_before_its_question_written_out(
    bench: Bench, tmp_path: Path, talk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = suite.ask

    def ask(*given: Any, **more: Any) -> CaseResult:  # noqa: ANN401 - of the real one
        asked.append(given[2].variant)
        return real(*given, **more)

    monkeypatch.setattr(suite, "ask", ask)
    bench.golden("docs")
    conversations(bench.lab(tmp_path))
    assert asked == [WRITTEN_OUT, FOLLOW_UP, WRITTEN_OUT]


def answered(variant: str, number: int, cached: int) -> CaseResult:
    return CaseResult(
        "conversations", "sample", variant, f"c{number}", "And then?", "1994 [1].", ("1994",), {},
        {"correct": 1.0}, model="slm", seconds=2.0,
        use={"slm": ModelUse(1, 100, cached, 20, 0.5, 0.9, {"stop": 1})},
    )  # fmt: skip


@pytest.mark.parametrize(("cached", "told"), [(60, "0.600"), (59, "0.590")])
def test_the_report_says_what_the_prefix_cache_held(cached: int, told: str) -> None:
    results = [
        answered(variant, number, of)
        for number in range(6)
        for variant, of in ((WRITTEN_OUT, 99), (FOLLOW_UP, cached))
    ]
    made = present("conversations", results, CONVERSATIONS, seed=1)
    reached = "is reached" if cached >= 60 else "is not reached"
    assert f"follow-ups, {told} [{told}, {told}] came from" in made.goal
    assert f"the goal of 0.6 {reached}" in made.goal
    assert made.goal in made.markdown()["figures"]
    assert made.goal in next(s.text for s in made.sections if s.title == "Time, tokens, cost")


def test_without_calls_of_models_nothing_is_said_of_the_cache() -> None:
    assert prefix_hits([]) == ""
