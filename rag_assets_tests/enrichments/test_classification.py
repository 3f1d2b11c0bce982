import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.enrichments.classification import (
    DOCUMENT_TYPES,
    MAX_PROMPT_CHARS,
    SCHEMA,
    Labels,
    classify,
    describe,
)
from rag_assets.models.clients.openai_http import Completion
from rag_assets_tests.fakes import FakeChat
from rag_assets_tests.world import LABELS

EXCERPT = "Title: Tern\nHeadings: \nText: MS Tern of Norrsund sails to Kelva."


def said(text: str, finish_reason: str = "stop") -> Completion:
    return Completion(text, finish_reason, 10, 0, 10, 0.01, -0.1)


def labels(**changes: object) -> Labels:
    return classify(FakeChat([said(json.dumps({**LABELS, **changes}))]), EXCERPT)


def test_good_reply() -> None:
    found = labels(entities=["MS Tern", "ms  tern", "Titanic", ""], summary=" A  ship. ")
    assert found == Labels(
        "guide", ["ferries"], ["MS Tern", "ms tern"], "A ship.", ["What is it?"], "ok"
    )


def test_invented_names_are_dropped() -> None:
    assert labels(entities=["Titanic", "kelva"]).entities == ["kelva"]


def test_empty_question_is_none() -> None:
    assert labels(question=" ").questions == []


@pytest.mark.parametrize(
    "reply",
    [
        "no JSON at all",
        '{"document_type": "guide", "topics": ["a"',
        "[]",
        '"guide"',
        "null",
        "{}",
        json.dumps({**LABELS, "document_type": "novel"}),
        json.dumps({**LABELS, "topics": [1]}),
        json.dumps({**LABELS, "topics": None}),
        json.dumps({**LABELS, "summary": None}),
        json.dumps({**LABELS, "document_type": ["guide"]}),
    ],
)
def test_reply_that_is_not_of_the_schema(reply: str) -> None:
    found = classify(FakeChat([said(reply)]), EXCERPT)
    assert (found.document_type, found.topics, found.summary) == ("other", [], "")
    assert found.outcome.startswith("the model's reply is not of the schema (stop)")


def test_cut_reply_is_asked_for_once_more_with_more_room() -> None:
    chat = FakeChat([said('{"document_type": "gui', "length"), said(json.dumps(LABELS))])
    assert classify(chat, EXCERPT).outcome == "ok"
    first, second = (call.options["max_tokens"] for call in chat.calls)
    assert second == 2 * first
    assert all(call.options["json_schema"] == SCHEMA for call in chat.calls)


def test_reply_cut_twice_has_no_labels() -> None:
    chat = FakeChat([said('{"document_type": "gui', "length")])
    assert "(length)" in classify(chat, EXCERPT).outcome
    assert len(chat.calls) == 2


@given(st.text(max_size=300), st.lists(st.text(max_size=200)), st.text(max_size=4000))
def test_excerpt_is_bounded(title: str, headings: list[str], text: str) -> None:
    excerpt = describe(title, headings, text)
    assert len(excerpt) <= MAX_PROMPT_CHARS
    assert excerpt.startswith(f"Title: {title}\n")


def test_schema_is_what_is_checked() -> None:
    kinds: dict[str, Any] = SCHEMA["properties"]["document_type"]
    assert kinds["enum"] == list(DOCUMENT_TYPES)
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == set(LABELS)
