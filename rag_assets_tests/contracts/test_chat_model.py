"""What every ChatModel does: the fake of the unit tests and the real engines alike."""

import json

import pytest

from rag_assets.models.clients.openai_http import ChatModel
from rag_assets_tests.conftest import Engines
from rag_assets_tests.fakes import FakeChat

QUESTION = [{"role": "user", "content": "Name three colours of the rainbow, nothing else."}]
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}


@pytest.fixture(
    params=["fake", *(pytest.param(role, marks=pytest.mark.engines) for role in ("slm", "llm"))]
)
def chat(request: pytest.FixtureRequest) -> ChatModel:
    if request.param == "fake":
        return FakeChat([lambda m: '{"colour": "red"}' if "JSON" in m[-1]["content"] else "a b c"])
    engines: Engines = request.getfixturevalue("engines")
    return engines.chat(request.param)


def test_says_who_it_is(chat: ChatModel) -> None:
    assert chat.name in ("slm", "llm")
    assert chat.model_id
    assert len(chat.revision) >= 40
    assert chat.max_model_len >= 1024


def test_answers_and_counts(chat: ChatModel) -> None:
    completion = chat.complete(QUESTION, max_tokens=40)
    assert completion.text.strip()
    assert completion.finish_reason == "stop"
    assert completion.prompt_tokens == chat.count_chat(QUESTION)
    assert 0 <= completion.cached_prompt_tokens <= completion.prompt_tokens
    assert 0 < completion.completion_tokens <= 40
    assert completion.mean_logprob is not None
    assert completion.mean_logprob <= 0


def test_same_question_same_answer_at_temperature_zero(chat: ChatModel) -> None:
    first, second = (chat.complete(QUESTION, max_tokens=12).text for _ in range(2))
    assert first == second


def test_too_few_tokens_finish_with_length(chat: ChatModel) -> None:
    completion = chat.complete(QUESTION, max_tokens=1)
    assert completion.finish_reason == "length"
    assert completion.completion_tokens == 1


def test_a_prefix_is_continued_and_not_repeated(chat: ChatModel) -> None:
    prefix = "The three colours are red, orange and"
    completion = chat.complete(QUESTION, max_tokens=12, prefix=prefix)
    assert completion.text.strip()
    assert not completion.text.lstrip().startswith("The three colours")
    assert completion.prompt_tokens > chat.count_chat(QUESTION)


def test_a_schema_is_obeyed(chat: ChatModel) -> None:
    asked = [{"role": "user", "content": "Choose a colour; answer in JSON."}]
    completion = chat.complete(asked, max_tokens=40, json_schema=SCHEMA)
    assert json.loads(completion.text)["colour"] in ("red", "blue")


def test_prefix_and_schema_exclude_each_other(chat: ChatModel) -> None:
    with pytest.raises(ValueError, match="cannot be continued under a json_schema"):
        chat.complete(QUESTION, max_tokens=4, json_schema=SCHEMA, prefix="{")


@pytest.mark.engines
@pytest.mark.parametrize("role", ["slm", "llm"])
def test_a_real_prefix_of_blocks_is_cached(engines: Engines, role: str) -> None:
    chat = engines.chat("llm" if role == "llm" else "slm")
    messages = [
        {"role": "system", "content": "Answer briefly. " * 400},
        {"role": "user", "content": "What is 2 + 2?"},
    ]
    chat.complete(messages, max_tokens=1)
    again = chat.complete(messages, max_tokens=8)
    assert again.cached_prompt_tokens >= 0.8 * again.prompt_tokens
    assert "4" in again.text
