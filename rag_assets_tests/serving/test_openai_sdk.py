"""The real openai SDK against the real server, over a socket."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets.serving.service import Service
from rag_assets_tests.answers.fakes import ScriptedChat
from rag_assets_tests.serving.listening import listening

ASKED: Any = {
    "model": "rag-auto",
    "messages": [{"role": "user", "content": "When was MV Tern built?"}],
}
TOLD = "MV Tern was built in 2003 by Solvik Marine [1]."


@pytest.fixture(scope="module")
def url(kept_service: Service) -> Iterator[str]:
    with listening(kept_service) as url:
        yield f"{url}/v1"


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


def test_whole(client: OpenAI) -> None:
    done = client.chat.completions.create(**ASKED)
    (choice,) = done.choices
    assert choice.finish_reason == "stop"
    assert (choice.message.content or "").startswith(f"{TOLD}\n\nSources:\n1. [MV Tern](http://")
    (annotation,) = choice.message.annotations or []
    assert (choice.message.content or "")[
        annotation.url_citation.start_index : annotation.url_citation.end_index
    ] == "[1]"
    assert done.usage is not None
    assert done.usage.prompt_tokens_details is not None
    extra: dict[str, Any] = done.model_extra or {}
    assert extra["citations"] == [annotation.url_citation.url]
    assert extra["rag"]["answer_id"] == done.id


def test_streamed(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True})
    )
    *_, finish, usage = chunks
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text.startswith(f"{TOLD}\n\nSources:\n")
    assert chunks[0].choices[0].delta.role == "assistant"
    assert finish.choices[0].finish_reason == "stop"
    assert (finish.model_extra or {})["citations"]
    assert usage.usage is not None
    assert usage.usage.total_tokens > 0
    assert len({(c.id, c.created) for c in chunks}) == 1


def test_the_stream_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(**ASKED) as stream:
        kinds = {event.type for event in stream}
        done = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    (choice,) = done.choices
    assert (choice.message.content or "").startswith(TOLD)
    assert choice.message.annotations is not None
    assert len(choice.message.annotations) == 1


def test_asynchronous(url: str) -> None:
    async def both() -> tuple[str, str]:
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            whole = await client.chat.completions.create(**ASKED)
            stream = await client.chat.completions.create(**ASKED, stream=True)
            text = "".join(
                [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            )
            return whole.choices[0].message.content or "", text

    for text in asyncio.run(both()):
        assert text.startswith(TOLD)


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["rag-auto", "rag-fact", "rag-deep"]
    assert client.models.retrieve("rag-deep").owned_by == "rag_assets"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-4")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("more", "kind", "code", "param"),
    [
        ({"n": 2}, openai.BadRequestError, "unsupported_parameter", "n"),
        ({"max_tokens": 0}, openai.BadRequestError, "invalid_value", "max_tokens"),
        ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
        ({"model": "gpt-4"}, openai.NotFoundError, "model_not_found", None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_arrive_with_code_and_param(
    client: OpenAI,
    more: dict[str, Any],
    kind: type[openai.APIStatusError],
    code: str,
    param: str | None,
    stream: bool,
) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**{**ASKED, **more}, stream=stream)
    error = caught.value
    assert (error.code, error.param, error.type) == (code, param, "invalid_request_error")


def test_an_error_in_a_stream_is_raised(client: OpenAI, kept_llm: ScriptedChat) -> None:
    def fails(call: object) -> str:
        raise EngineUnavailableError("nobody answers for the llm")

    kept_llm.reply = fails
    with pytest.raises(openai.APIError, match="nobody answers") as caught:
        list(client.chat.completions.create(**ASKED, stream=True))
    assert caught.value.code == "engine_unavailable"


def test_what_a_repeat_cannot_mend_is_asked_once(url: str, kept_llm: ScriptedChat) -> None:
    def fails(call: object) -> str:
        raise ModelRequestError("the llm garbled its answer")

    kept_llm.reply = fails
    with (
        OpenAI(base_url=url, api_key="none", max_retries=2) as client,
        pytest.raises(openai.InternalServerError),
    ):
        client.chat.completions.create(**ASKED)
    asked_first = [call for call in kept_llm.calls if call.asks == "states"]
    assert len(asked_first) == 1


def test_the_responses_interface_names_the_one_there_is(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/chat/completions"):
        client.responses.create(model="rag-auto", input="When was MV Tern built?")
