"""The chat route over plain HTTP: what is read, refused and ignored, and how it streams."""

import json
import re
from dataclasses import fields
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from rag_assets.answers.citations import Citation
from rag_assets.answers.journal import find_answer
from rag_assets.answers.telling import Said
from rag_assets.models.errors import EngineUnavailableError
from rag_assets.serving.chat import Completing
from rag_assets.serving.chat_request import ChatRequest
from rag_assets.serving.service import Service
from rag_assets_tests.answers.fakes import ScriptedChat, copies, said

URL = "http://127.0.0.1"
BUILT = "When was MV Tern built?"
TOLD = "MV Tern was built in 2003 by Solvik Marine [1]."
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.fixture
def http(kept_http: TestClient) -> TestClient:
    return kept_http


@pytest.fixture
def llm(kept_llm: ScriptedChat) -> ScriptedChat:
    return kept_llm


def chat(http: TestClient, content: Any = BUILT, **more: Any) -> Response:  # noqa: ANN401 - JSON
    body = {"model": "rag-auto", "messages": [{"role": "user", "content": content}], **more}
    return http.post("/v1/chat/completions", json=body)


def chunks_of(response: Response) -> list[dict[str, Any]]:
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


def test_a_completion_says_its_citations_in_all_places(http: TestClient) -> None:
    body = chat(http).json()
    url = f"{URL}/?c={body['id']}.1"
    (choice,) = body["choices"]
    assert body["object"] == "chat.completion"
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == (
        f"{TOLD}\n\nSources:\n1. [MV Tern]({url}), fleet:tern.html"
    )
    (annotation,) = choice["message"]["annotations"]
    cited = annotation["url_citation"]
    assert TOLD[cited["start_index"] : cited["end_index"]] == "[1]"
    assert (annotation["type"], cited["title"], cited["url"]) == ("url_citation", "MV Tern", url)
    assert body["citations"] == [url]
    assert body["rag"]["citations"][0]["uri"] == "fleet:tern.html"
    assert body["rag"]["answer_id"] == body["id"]
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_citation_is_found_at_its_address(http: TestClient) -> None:
    body = chat(http).json()
    (url,) = body["citations"]
    assert http.get(url).headers["content-type"].startswith("text/html")
    cited = f"/v1/citations/{body['id']}"
    assert http.get(f"{cited}?n=1").json() == body["rag"]["citations"][0]
    assert http.get(f"{cited}?n=2").status_code == 404
    assert http.get("/v1/citations/answer_0?n=1").status_code == 404


def test_the_list_of_sources_is_left_out_on_request(http: TestClient) -> None:
    body = chat(http, sources_in_text=False).json()
    assert body["choices"][0]["message"]["content"] == TOLD
    assert body["citations"]


def test_names_and_sentences_of_documents_load_no_pictures() -> None:
    request = ChatRequest.model_validate({"messages": [{"role": "user", "content": BUILT}]})
    named = {"title": "a ![x](http://e/1) <img src=x>\n\n# b", "uri": "docs:![x](http:e).md"}
    nothing: dict[str, Any] = {field.name: "" for field in fields(Citation)}
    citation = Citation(**{**nothing, "n": 1, **named})
    completing = Completing(request, f"{URL}/", "answer_1")
    sentence = Said("See ![here](http://e/2), ![1](http://e/3) and <img src=x>! [1]", (citation,))
    completing.add(sentence)
    content = completing.body(None)["choices"][0]["message"]["content"]
    *_, chunk = completing.said(sentence).split("data: ")
    streamed = json.loads(chunk)["choices"][0]["delta"]["content"]
    for text in (content, streamed):
        assert text.startswith(
            "See \\![here](http://e/2), \\![1](http://e/3) and \\<img src=x>! [1]"
        )
    assert content.endswith(
        "1. [a !\\[x\\](http://e/1) \\<img src=x> # b]"
        f"({URL}/?c=answer_1.1), docs:!\\[x\\](http:e).md"
    )


def test_a_stream_has_its_chunks_in_order(http: TestClient) -> None:
    first, source, sentence, sources, last = chunks_of(chat(http, stream=True))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    event = source["event"]
    assert (event["type"], set(event["data"])) == ("source", {"source", "document", "metadata"})
    assert event["data"]["document"] == ["MV Tern was built in 2003 by Solvik Marine."]
    assert event["data"]["metadata"][0]["source"] == last["citations"][0]
    assert sentence["choices"][0]["delta"] == {"content": TOLD}
    assert sources["choices"][0]["delta"]["content"].startswith("\n\nSources:\n1. [MV Tern](")
    assert last["choices"][0]["finish_reason"] == "stop"
    assert set(last["choices"][0]["delta"]) == {"annotations"}
    every = (first, source, sentence, sources, last)
    assert {one["id"] for one in every} == {last["rag"]["answer_id"]}
    assert len({one["created"] for one in every}) == 1
    assert not any("usage" in one for one in every)
    assert not any(one["choices"][0]["finish_reason"] for one in every[:-1])


def test_usage_ends_a_stream_on_request(http: TestClient) -> None:
    *before, last = chunks_of(chat(http, stream=True, stream_options={"include_usage": True}))
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 300  # does it hold, copy, is it stated
    assert [one["usage"] for one in before] == [None] * len(before)


@pytest.mark.parametrize(
    "question",
    [BUILT, "How was MV Tern built?", "When were MV Tern and MV Alder built?", "Quantum gauge?"],
)
def test_a_stream_says_what_the_whole_answer_says(http: TestClient, question: str) -> None:
    def shape(text: str) -> str:
        return re.sub(r"answer_\w+", "", text)

    whole = chat(http, question).json()
    chunks = chunks_of(chat(http, question, stream=True))
    text = "".join(one["choices"][0]["delta"].get("content", "") for one in chunks)
    assert shape(text) == shape(whole["choices"][0]["message"]["content"])
    assert text.startswith(chunks[-1]["rag"]["answer"])
    annotations = chunks[-1]["choices"][0]["delta"].get("annotations", [])
    assert shape(str(annotations)) == shape(str(whole["choices"][0]["message"]["annotations"]))


REFUSED = {
    "n": 2,
    "logprobs": True,
    "top_logprobs": 3,
    "tools": [{"type": "function"}],
    "functions": [{"name": "f"}],
    "tool_choice": "required",
    "stop": ["\n"],
    "response_format": {"type": "json_object"},
    "audio": {"voice": "alloy"},
    "modalities": ["text", "audio"],
    "stream_options": {"include_usage": True},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_give_another_kind_of_answer_is_refused(http: TestClient, name: str) -> None:
    response = chat(http, **{name: REFUSED[name]})
    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["type"], error["code"]) == ("invalid_request_error", "unsupported_parameter")
    assert error["param"] == name
    assert error["message"].startswith(f"{name}: ")


IGNORED = {
    "temperature": 0.1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "seed": 7,
    "logit_bias": {},
    "metadata": {"a": "b"},
    "store": False,
    "service_tier": "auto",
    "parallel_tool_calls": True,
    "response_format": {"type": "text"},
    "tool_choice": "none",
    "ignore_eos": True,
}


def test_what_changes_nothing_is_ignored_and_named(http: TestClient) -> None:
    empty = {"n": 1, "tools": [], "stop": None, "logprobs": False}
    body = chat(http, **IGNORED, **empty).json()
    assert body["rag"]["ignored"] == sorted({*IGNORED, "n", "tools", "logprobs"})
    assert chat(http).json()["rag"]["ignored"] == []


@pytest.mark.parametrize(
    ("more", "status", "param", "sentence"),
    [
        ({"model": "gpt-4"}, 404, None, "there is no model 'gpt-4'; choose one of rag-auto"),
        ({"messages": []}, 400, "messages", "a turn of the user"),
        ({"messages": 5}, 400, "messages", "valid list"),
        ({"messages": [{"content": "x"}]}, 400, "messages[0].role", "Field required"),
        ({"messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content", "valid"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": None}]}]},
            400,
            None,
            "the question is empty",
        ),
        ({"max_tokens": 0}, 400, "max_tokens", "greater than or equal to 1"),
        ({"stream": "perhaps"}, 400, "stream", "valid boolean"),
        ({"user": "x" * 600}, 400, "user", "at most 512"),
    ],
)
def test_bad_chats_are_told_what_is_wrong(
    http: TestClient, more: dict[str, Any], status: int, param: str | None, sentence: str
) -> None:
    response = chat(http, **more)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (status, param)
    assert sentence in error["message"]
    assert error["code"] == ("model_not_found" if status == 404 else "invalid_value")


def test_only_the_last_turn_of_the_user_is_read(http: TestClient, llm: ScriptedChat) -> None:
    messages = [
        {"role": "system", "content": "MV Tern was built in 1850."},
        {"role": "developer", "content": [{"type": "text", "text": "Say 1851."}]},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": "MV Tern was built in 1852."},
        {"role": "user", "content": [{"type": "text", "text": BUILT}]},
        {"role": "tool", "tool_call_id": "x", "content": "MV Tern was built in 1853."},
    ]
    body = chat(http, messages=messages, model="rag-fact").json()
    assert (body["rag"]["question"], body["rag"]["mode"]) == (BUILT, "fact")
    assert body["choices"][0]["message"]["content"].startswith(TOLD)
    prompts = "".join(str(call.messages) for call in llm.calls)
    assert not re.search("185[0-3]|Hello", prompts)


def test_images_are_refused_by_their_place(http: TestClient) -> None:
    response = chat(http, [{"type": "text", "text": BUILT}, IMAGE])
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "messages[0].content[1]"
    assert "image_url" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("stream", "name"), [(True, "max_tokens"), (False, "max_completion_tokens")]
)
def test_a_cap_ends_the_text_at_a_whole_sentence(
    http: TestClient, llm: ScriptedChat, stream: bool, name: str
) -> None:
    both = "MV Tern was built in 2003 by Solvik Marine [1]. She sails on Route 5 [2]."
    llm.reply = lambda call: both if not call.asks else copies(call)
    question = "How was MV Tern built, explained?"

    def answered(most: int) -> tuple[str, str, str]:
        response = chat(http, question, stream=stream, sources_in_text=False, **{name: most})
        if not stream:
            body = response.json()
            (choice,) = body["choices"]
            return choice["message"]["content"], choice["finish_reason"], body["rag"]["answer"]
        chunks = chunks_of(response)
        text = "".join(one["choices"][0]["delta"].get("content", "") for one in chunks)
        return text, chunks[-1]["choices"][0]["finish_reason"], chunks[-1]["rag"]["answer"]

    assert answered(100) == (both, "stop", both)
    assert answered(20) == (both[:47], "length", both)
    assert answered(3) == ("", "length", both)


def test_the_newer_name_of_the_cap_wins(http: TestClient) -> None:
    body = chat(http, max_tokens=1, max_completion_tokens=100).json()
    assert body["choices"][0]["finish_reason"] == "stop"


def test_it_says_length_when_a_model_was_cut(http: TestClient, llm: ScriptedChat) -> None:
    llm.reply = lambda call: said("MV Tern was built in 2003 [1]. And", finish_reason="length")
    body = chat(http, "How was MV Tern built?").json()
    assert body["choices"][0]["finish_reason"] == "length"


def test_an_abstention_is_a_stop(http: TestClient) -> None:
    body = chat(http, "Quantum chromodynamics lattice gauge?").json()
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["annotations"] == body["citations"] == []
    assert body["rag"]["finish_reason"] == "no_generation"


def test_for_whom_it_was_asked_is_journalled(http: TestClient, kept_service: Service) -> None:
    body = chat(http, user="ada").json()
    assert find_answer(kept_service.store, body["id"])["record"]["user"] == "ada"
    assert "user" not in find_answer(kept_service.store, chat(http).json()["id"])["record"]


def test_what_fails_before_the_first_byte_has_its_status(http: TestClient) -> None:
    response = chat(http, "word " * 20_000, stream=True)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"


def test_what_fails_later_ends_the_stream(http: TestClient, llm: ScriptedChat) -> None:
    def fails(call: object) -> str:
        raise EngineUnavailableError("nobody answers for the llm")

    llm.reply = fails
    first, last = chunks_of(chat(http, stream=True))
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert last["error"]["code"] == "engine_unavailable"
    assert "choices" not in last
    assert 'rag_errors_total{status="503"} 1.0' in http.get("/metrics").text


def test_models_are_listed_and_told_one_by_one(http: TestClient) -> None:
    listed = http.get("/v1/models").json()["data"]
    assert [model["id"] for model in listed] == ["rag-auto", "rag-fact", "rag-deep"]
    assert http.get("/v1/models/rag-fact").json() == listed[1]
    missing = http.get("/v1/models/gpt-4")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
