"""Roles behind endpoints: on real engines, as somebody else's, and on a server that can little."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers

from rag_assets.models.clients.endpoint import (
    A_MESSAGE,
    EndpointChat,
    EndpointEmbedder,
    problem_of,
)
from rag_assets.models.clients.window import window_of
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError, ProfileError
from rag_assets.models.profiles import Endpoint
from rag_assets_tests.conftest import Engines
from rag_assets_tests.models.clients.test_server import Handler, World, drop, world

__all__ = ["world"]
COLOUR = {"type": "string", "enum": ["violet", "pink"]}


def little(handler: Handler, _: int) -> None:
    """A server of bare chat: no list, no tokenizer, no schemas, no log-probabilities."""
    if not handler.path.endswith("/chat/completions"):
        handler.reply(404, {"error": {"message": "no such route"}})
        return
    seen: World = handler.server.world  # type: ignore[attr-defined] # set by the fixture
    body: dict[str, Any] = seen.seen[-1][1]
    if "max_tokens" in body:
        handler.reply(400, {"error": {"message": "use 'max_completion_tokens' instead"}})
        return
    if "response_format" in body or "logprobs" in body:
        handler.reply(400, {"error": {"message": "unknown parameter"}})
        return
    said = body["messages"][-1]["content"]
    text = 'Of course: "violet".' if "schema" in said else "Yes."
    n_tokens = sum(len(m["content"].encode()) for m in body["messages"]) // 4
    handler.reply(200, {
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": n_tokens, "completion_tokens": 1},
    })  # fmt: skip


def endpoint(world: World, **fields: Any) -> Endpoint:  # noqa: ANN401 - of an endpoint
    known = {"role": "llm", "base_url": world.url, "model": "m", "retries": 0}
    return Endpoint(**{**known, **fields})


def test_a_server_that_can_little_is_used_without(world: World) -> None:
    world.act = little
    chat = EndpointChat(endpoint(world, max_model_len=2048), "llm")
    can = chat.abilities
    assert (can.logprobs, can.json_schema, can.is_vllm, can.counts) == (False, "", False, "")
    assert can.length_field == "max_completion_tokens"
    question = [{"role": "user", "content": "Is grass green?"}]
    done = chat.complete(question, max_tokens=5)
    assert (done.text, done.mean_logprob) == ("Yes.", None)
    chosen = chat.complete(question, max_tokens=5, json_schema=COLOUR)
    assert json.loads(chosen.text) == "violet"
    long = [{"role": "user", "content": "The ferry leaves at seven. " * 40}]
    assert chat.count_chat(long) > 40 * 27 / 4  # never below what the server counts
    chat.complete(question, max_tokens=5, prefix="It is")
    assert world.seen[-1][1]["messages"][-1]["role"] == "user"
    with pytest.raises(ValueError, match="cannot be continued under a json_schema"):
        chat.complete(question, max_tokens=5, prefix="It", json_schema=COLOUR)


OBJECT = {"type": "object", "properties": {"type": COLOUR}}


@pytest.mark.parametrize(
    ("schema", "said", "expected"),
    [
        (COLOUR, 'It is "violet", see [1] and {here}.', '"violet"'),
        (COLOUR, 'The colours [sic] {of grass}: "pink"', '"pink"'),
        (COLOUR, '{"type": "violet"}', None),
        (COLOUR, '{"type": "vio', None),
        (COLOUR, '[{"type": "vio', None),
        (COLOUR, 'Of course: "vio', None),
        (OBJECT, 'Here: {"type": "violet"}.', '{"type": "violet"}'),
        (OBJECT, '"violet" is {"type": "violet"}', '{"type": "violet"}'),
        (OBJECT, '{"other": {"type": "violet"}, "type": "vio', None),
        (OBJECT, '{"other": [{"type": "violet"}, {"type": "pink"}', None),
        ({"type": "array"}, 'See [1, "violet"]', '[1, "violet"]'),
        ({"enum": ["violet", 1]}, 'So: "violet"', '"violet"'),
    ],
)
def test_json_is_found_in_a_reply_but_no_part_of_what_was_cut(
    world: World, schema: dict[str, Any], said: str, expected: str | None
) -> None:
    def act(handler: Handler, n: int) -> None:
        seen: World = handler.server.world  # type: ignore[attr-defined] # set by the fixture
        if "schema" not in str(seen.seen[-1][1].get("messages")):
            little(handler, n)
            return
        choice = {"message": {"content": said}, "finish_reason": "length"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        handler.reply(200, {"choices": [choice], "usage": usage})

    world.act = act
    chat = EndpointChat(endpoint(world, max_model_len=2048), "llm")
    asked = [{"role": "user", "content": "Which colour?"}]
    text = chat.complete(asked, max_tokens=5, json_schema=schema).text
    assert text == (said if expected is None else expected)


@pytest.mark.parametrize("form", ["json_schema", "json_object"])
def test_a_schema_is_sent_in_the_form_that_the_server_obeys(world: World, form: str) -> None:
    def act(handler: Handler, n: int) -> None:
        seen: World = handler.server.world  # type: ignore[attr-defined] # set by the fixture
        body: dict[str, Any] = seen.seen[-1][1]
        wanted = body.get("response_format")
        if not wanted or wanted["type"] != form:
            little(handler, n)
            return
        schema = wanted["schema"] if form == "json_object" else wanted["json_schema"]["schema"]
        choice = {"message": {"content": json.dumps(schema["enum"][0])}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        handler.reply(200, {"choices": [choice], "usage": usage})

    def bounded(handler: Handler, n: int) -> None:
        seen: World = handler.server.world  # type: ignore[attr-defined] # set by the fixture
        if "max_tokens" in seen.seen[-1][1]:
            little(handler, n)  # which wants the other field
        else:
            act(handler, n)

    world.act = bounded
    chat = EndpointChat(endpoint(world, max_model_len=2048), "llm")
    assert chat.abilities.json_schema == form
    asked = [{"role": "user", "content": "Which colour?"}]
    assert chat.complete(asked, max_tokens=5, json_schema=COLOUR).text == '"violet"'
    assert world.seen[-1][1]["messages"] == asked  # nothing is said in words


def tokenizer_of(folder: Path) -> Path:
    words = RustTokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text("{}")
    return folder


def test_tokens_are_counted_by_the_tokenizer_that_the_profile_names(
    world: World, tmp_path: Path
) -> None:
    world.act = little
    there = endpoint(world, max_model_len=2048, tokenizer=tokenizer_of(tmp_path))
    chat = EndpointChat(there, "llm")
    assert chat.counts_exactly
    assert chat.count_chat([{"role": "user", "content": "one two three"}]) == 3 + 2 * A_MESSAGE
    assert not EndpointChat(endpoint(world, max_model_len=2048), "llm").counts_exactly


def test_a_connection_that_breaks_says_nothing_of_what_a_server_can(world: World) -> None:
    """Else one bad moment at start would take the log-probabilities for as long as it runs."""

    def broken(handler: Handler, n: int) -> None:
        seen: World = handler.server.world  # type: ignore[attr-defined] # set by the fixture
        if "logprobs" in seen.seen[-1][1]:
            drop(handler)
        else:
            little(handler, n)

    chat = EndpointChat(endpoint(world, max_model_len=2048), "llm")
    world.act = broken
    with pytest.raises(EngineUnavailableError):
        _ = chat.abilities
    world.act = little
    assert not chat.abilities.logprobs  # asked again, and refused


@pytest.mark.parametrize("several", [True, False])
def test_texts_are_sent_one_by_one_to_a_server_that_takes_no_more(
    world: World, several: bool
) -> None:
    def act(handler: Handler, _: int) -> None:
        seen: World = handler.server.world  # type: ignore[attr-defined] # set by the fixture
        texts = seen.seen[-1][1].get("input", [])
        if len(texts) > 1 and not several:
            handler.reply(500, {"error": "one text, please"})
            return
        rows = [{"index": n, "embedding": [len(text), 1.0]} for n, text in enumerate(texts)]
        handler.reply(200, {"data": rows})

    world.act = act
    embedder = EndpointEmbedder(endpoint(world, role="embedder", dimension=2))
    vectors = embedder.embed(["a", "bb", "ccc"])
    assert np.allclose(vectors[:, 0] / vectors[:, 1], [1, 2, 3])
    assert len(world.seen[-1][1]["input"]) == (3 if several else 1)


def test_why_an_endpoint_cannot_be_used_is_a_sentence(world: World) -> None:
    there = endpoint(world, api_key_env="TEST_KEY")
    assert problem_of(there) == ""  # it has no list, which says nothing against it
    world.look = lambda handler: handler.reply(200, {"data": [{"id": "m"}, {"id": "n"}]})
    assert problem_of(there) == ""
    said = problem_of(replace(there, model="other"))
    assert said.endswith("knows no model 'other'; name one that it has in the profile: m, n")
    world.look = lambda handler: handler.reply(401, {"error": "Unauthorized"})
    assert "refused access with status 401 (correct the key in TEST_KEY)" in problem_of(there)
    world.look = drop
    said = problem_of(there)
    assert said.endswith("; start that server, or correct base_url in the profile")


def test_a_context_that_nobody_states_is_asked_for(world: World) -> None:
    world.act = little
    with pytest.raises(ProfileError, match=r"state max_model_len of roles\.llm in the profile"):
        _ = EndpointChat(endpoint(world), "llm").max_model_len


def chat_of(engines: Engines, role: Any, model: str = "") -> EndpointChat:  # noqa: ANN401 - a role
    spec = engines.profile.spec(role)
    there = Endpoint(role=role, base_url=f"{spec.url}/v1", model=model or spec.served_name)
    return EndpointChat(there, role)


@pytest.mark.engines
def test_a_foreign_vllm_does_all_that_our_own_engine_does(engines: Engines) -> None:
    theirs, ours = chat_of(engines, "slm"), engines.chat("slm")
    can = theirs.abilities
    assert (can.logprobs, can.json_schema, can.is_vllm, can.counts) == (
        True,
        "json_schema",
        True,
        "vllm",
    )
    assert theirs.max_model_len == ours.max_model_len
    question = [{"role": "user", "content": "Name the capital of France in one word."}]
    assert theirs.count_chat(question) == ours.count_chat(question)
    said, wanted = (model.complete(question, max_tokens=8) for model in (theirs, ours))
    assert said.text == wanted.text
    assert said.mean_logprob == pytest.approx(wanted.mean_logprob, abs=0.05)
    prefix = "The capital of France is"
    more = theirs.complete(question, max_tokens=4, prefix=prefix)
    assert "Paris" in more.text
    chosen = theirs.complete(question, max_tokens=8, json_schema=COLOUR)
    assert json.loads(chosen.text) in COLOUR["enum"]


@pytest.mark.engines
def test_a_foreign_embedder_gives_the_same_vectors_and_window(engines: Engines) -> None:
    spec = engines.profile.spec("embedder")
    there = Endpoint("embedder", f"{spec.url}/v1", spec.served_name, revision="one")
    theirs, ours = EndpointEmbedder(there), engines.embedder()
    texts = [f"The ferry number {n} leaves at {n} o'clock." for n in range(70)]
    vectors = theirs.embed(texts)
    assert vectors.shape == (70, theirs.dimension) == (70, ours.dimension)
    assert np.min(np.sum(vectors * ours.embed(texts), axis=1)) > 0.9999
    assert theirs.max_tokens == ours.max_tokens
    assert theirs.count(texts[0]) == ours.count(texts[0])
    assert window_of(theirs).identity == f"{spec.served_name}@one"


@pytest.mark.engines
def test_an_unknown_model_is_named_with_those_that_there_are(engines: Engines) -> None:
    name = engines.profile.spec("slm").served_name
    with pytest.raises(ModelRequestError, match=rf"knows no model 'gpt-9'; name .*: {name}"):
        _ = chat_of(engines, "slm", "gpt-9").abilities
