"""Open WebUI's own prompts, as it sends them with its templates of version 0.12."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_assets.serving.housekeeping import housekeeping, question_beside_documents
from rag_assets_tests.answers.fakes import ScriptedChat

REQUESTS = Path(__file__).parent / "requests"
BUILT = "When was MV Tern built?"


def recorded(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((REQUESTS / f"{name}.json").read_text("utf-8"))
    return body


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("title", {"title": BUILT}),
        ("tags", {"tags": ["General"]}),
        ("follow_ups", {"follow_ups": []}),
        ("queries", {"queries": []}),
        ("autocompletion", {"text": ""}),
        ("image_prompt", {"prompt": ""}),
    ],
)
def test_its_own_prompts_are_answered_without_search_or_model(
    kept_http: TestClient, kept_llm: ScriptedChat, name: str, reply: object
) -> None:
    asked = recorded(name)
    response = kept_http.post("/v1/chat/completions", json=asked)
    if asked["stream"]:
        parts = [line[6:] for line in response.text.splitlines() if line.startswith("data: {")]
        deltas = [json.loads(part)["choices"][0]["delta"] for part in parts]
        content = "".join(delta.get("content", "") for delta in deltas)
    else:
        body = response.json()
        content = body["choices"][0]["message"]["content"]
        assert body["usage"]["total_tokens"] == 0
        assert body["citations"] == []
    assert json.loads(content) == reply
    assert kept_llm.calls == []


def test_a_question_beside_its_documents_is_asked_of_ours(
    kept_http: TestClient, kept_llm: ScriptedChat
) -> None:
    body = kept_http.post("/v1/chat/completions", json=recorded("with_documents")).json()
    assert body["rag"]["question"] == BUILT
    assert "2003" in body["choices"][0]["message"]["content"]
    assert "1850" not in str([call.messages for call in kept_llm.calls])


def test_an_ordinary_turn_streams_with_its_sources(kept_http: TestClient) -> None:
    response = kept_http.post("/v1/chat/completions", json=recorded("chat"))
    parts = [line[6:] for line in response.text.splitlines() if line.startswith("data: {")]
    events = [json.loads(part)["event"] for part in parts if "event" in json.loads(part)]
    assert [event["type"] for event in events] == ["source"]
    assert "type" not in events[0]["data"]  # else it is not kept with the message
    assert events[0]["data"]["metadata"][0]["external"] is True


@pytest.mark.parametrize(
    "question",
    [BUILT, "### Task:\nWho is the captain?", '{"title": "x"} was said by whom?', ""],
)
def test_questions_of_people_are_left_alone(question: str) -> None:
    assert housekeeping(question) is None
    assert question_beside_documents(question) == question


def test_a_long_first_question_makes_a_short_title() -> None:
    prompt = recorded("title")["messages"][0]["content"].replace(BUILT, "one two " * 20)
    assert housekeeping(prompt) == json.dumps({"title": "one two " * 4 + "..."})


def test_documents_may_hold_the_marks_of_its_questions() -> None:
    prompt = recorded("with_documents")["messages"][-1]["content"]
    assert question_beside_documents(prompt) == BUILT
    tagged = f"### Task:\nAnswer.\n<context>a</context>\n<user_query>\n{BUILT}\n</user_query>\n"
    assert question_beside_documents(tagged) == BUILT
