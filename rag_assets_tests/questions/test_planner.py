from collections.abc import Sequence
from typing import Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.models.protocols import ChatOptions, ChatRole, Completion, Message
from rag_assets.questions.planner import (
    _DEMONSTRATIONS,
    looks_composite,
    messages_for,
    parsed,
    written_plan,
)

QUESTION = "How many cars can the vessel serving Route 2 carry?"


@pytest.mark.parametrize(
    ("program", "plan"),
    [
        (
            "1: Which vessel serves Route 2?\n2: How many cars can {1} carry?\nresult: 2",
            "1: Which vessel serves Route 2?\n2: How many cars can {1} carry?\nresult: 2",
        ),
        (
            f"1: {QUESTION}\n2: Which vessel serves Route 2?\n3: How many cars can {{2}} "
            f"carry?\nresult: 3",
            "1: Which vessel serves Route 2?\n2: How many cars can {1} carry?\nresult: 2",
        ),
        (
            "1: How long is MV Gull?\n2: How long is MV Tarn?\nresult: difference 1 2",
            "1: How long is MV Gull?\n2: How long is MV Tarn?\n3: difference 1 2\nresult: 3",
        ),
        (
            "1: How long is MV Gull?\n2: How long is MV Tarn?\nresult: 1, 2\n",
            "1: How long is MV Gull?\n2: How long is MV Tarn?\nresult: 1 2",
        ),
    ],
)
def test_parsed(program: str, plan: str) -> None:
    assert str(parsed(program, QUESTION)) == plan


@pytest.mark.parametrize(
    "program",
    [
        "",
        "The vessel is MV Rowan.",
        "1: Which vessel serves Route 2?\nresult: 1",
        "1: Which vessel serves Route 2?\n2: How many cars can {1} carry?",
        "1: Which vessel serves Route 2?\n2: How many cars can {3} carry?\nresult: 2",
        "1: Which vessel serves Route 2?\n2: How many cars can {2} carry?\nresult: 2",
        "1: Which vessel serves Route 2?\n3: How many cars can {1} carry?\nresult: 3",
        "1: How long is A?\n2: How long is B?\nresult: product 1 2",
        "1: How long is A?\n2: How long is B?\nresult: difference 1",
        "1: How long is A?\n2: How long is B?\nresult: 1",
        "1: How long is A?\n2: How long is B?\nresult: 3",
        "1: How long is it?\n2: How long is that?\nresult: most 1 2",
        "1: How long is A?\nNote that B is shorter.\n2: How long is B?\nresult: 1 2",
        f"1: {QUESTION}\n2: Which vessel serves {{1}}?\n3: How many cars can {{2}} "
        f"carry?\nresult: 3",
        f"1: {QUESTION}\nresult: 1",
    ],
)
def test_unreadable_is_none(program: str) -> None:
    assert parsed(program, QUESTION) is None


def test_the_larger_is_named() -> None:
    plan = parsed("1: How long is MV Gull?\n2: How long is MV Tarn?\nresult: most 1 2", "Longest?")
    assert plan is not None
    assert plan.choices == ("MV Gull", "MV Tarn")
    assert [step.about for step in plan.lookups] == ["MV Gull", "MV Tarn"]


@pytest.mark.parametrize(("question", "program"), _DEMONSTRATIONS)
def test_demonstrations_are_plans(question: str, program: str) -> None:
    assert parsed(program, question) is not None


@given(st.text(max_size=200))
def test_any_text_is_a_plan_or_none(text: str) -> None:
    plan = parsed(text, QUESTION)
    assert plan is None or len(plan.steps) >= 2


class Writer:
    """A chat model that answers one text."""

    model_id, revision = "writer", "1"
    max_model_len = 2048
    name: ChatRole = "llm"

    def __init__(self, text: str, finish_reason: str = "stop") -> None:
        self.text, self.finish_reason = text, finish_reason

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        assert messages == messages_for(QUESTION)
        return Completion(self.text, self.finish_reason, 9, 0, 9, 0.1, None)

    def count_chat(self, messages: Sequence[Message]) -> int:
        return 9


def test_written_plan() -> None:
    text = "1: Which vessel serves Route 2?\n2: How many cars can {1} carry?\nresult: 2"
    assert str(written_plan(QUESTION, Writer(text))) == text
    assert written_plan(QUESTION, Writer(text, "length")) is None
    assert written_plan(QUESTION, Writer("No.")) is None


def test_without_room_in_the_window_no_plan_is_written() -> None:
    text = "1: Which vessel serves Route 2?\n2: How many cars can {1} carry?\nresult: 2"
    narrow = Writer(text)
    narrow.max_model_len = 160
    assert written_plan(QUESTION, narrow) is None


@pytest.mark.parametrize(
    ("question", "composite"),
    [
        ("Who is the captain of MV Petrel?", False),
        ("What is the rent of Unit 4 at Orrin Quay in May?", False),
        ("What character does the person who played the keeper play in Salt Road?", True),
        ("Do directors of films Flow and Port share the same nationality?", True),
    ],
)
def test_looks_composite(question: str, composite: bool) -> None:
    assert looks_composite(question) is composite
