"""What every ChatModel does: the fake of the unit tests and the real engines alike."""

import pytest

from rag_assets.contracts import check_chat_model
from rag_assets.models.protocols import ChatModel
from rag_assets_tests.conftest import Engines
from rag_assets_tests.fakes import FakeChat

QUESTION = [{"role": "user", "content": "Name three colours of the rainbow, nothing else."}]


@pytest.fixture(
    params=["fake", *(pytest.param(role, marks=pytest.mark.engines) for role in ("slm", "llm"))]
)
def chat(request: pytest.FixtureRequest) -> ChatModel:
    if request.param == "fake":
        return FakeChat([lambda m: '{"colour": "red"}' if "JSON" in m[-1]["content"] else "a b c"])
    engines: Engines = request.getfixturevalue("engines")
    return engines.chat(request.param)


def test_keeps_the_contract(chat: ChatModel) -> None:
    check_chat_model(chat)


def test_ours_name_their_weights_and_tell_how_sure_they_are(chat: ChatModel) -> None:
    assert len(chat.revision) >= 40
    assert chat.complete(QUESTION, max_tokens=40).mean_logprob is not None
    completion = chat.complete(QUESTION, max_tokens=12, prefix="The three colours are red and")
    assert completion.prompt_tokens > chat.count_chat(QUESTION)


def test_a_broken_one_is_told_why() -> None:
    with pytest.raises(AssertionError, match="it says nothing"):
        check_chat_model(FakeChat([" "]))


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
