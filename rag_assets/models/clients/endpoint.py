"""Models behind a server that somebody else runs: what it can do is tried once, at first use.

It is kept as long as the process lives, and nowhere else: a server that was started anew may be
able to do something else. An answerer tries it when it starts, a command when it needs it. Only a
refusal says that a server cannot do something; a connection that breaks says nothing.

========================  ==================================  ====================================
what                      how it is found out                 what is done without it
========================  ==================================  ====================================
log-probabilities         a reply of one token with them      no confidence, no certainty
JSON schema               a reply that a schema contradicts   the schema is put in words, and JSON
                          what the model would say, asked     is looked for in the reply
                          for in OpenAI's form and llama.cpp's
going on with an answer   the server is a vLLM                a message asks to go on
tokens                    the profile's ``tokenizer``, or     an upper bound: tokens a byte of a
                          its routes (vLLM, llama.cpp,        sample, and a margin; the answer
                          llama-cpp-python)                   says so
several texts a request   a request of two texts              one text a request
context                   ``/models``, ``/props``             the profile has to state it
========================  ==================================  ====================================
"""

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, Unpack
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from rag_assets.models.clients.openai_http import chat_body, completion_of, schema_form
from rag_assets.models.clients.server import Server
from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.errors import ModelRequestError, ModelsError, ProfileError
from rag_assets.models.profiles import Endpoint
from rag_assets.models.protocols import (
    CHAT_TIMEOUT_S,
    ChatOptions,
    ChatRole,
    Completion,
    Message,
)
from rag_assets.telemetry import carried

EMBED_BATCH = 32
PROBE_S = 60.0
MARGIN = 1.3  # on tokens a byte: tables and names have more than the sample
A_MESSAGE = 8  # tokens that a chat template puts around a message, at most
# Prose, a table, numbers, names: what documents hold.
SAMPLE = (
    "The vessel left the harbour at 07:45 and reached the outer pier after 2.5 hours.\n"
    "| route | 2023 | 2024 |\n| --- | --- | --- |\n| Norrsund - Brandholm | 1,204 | 998 |\n"
    "Order no. AX-20931/7, § 12 (3): payments of EUR 2,480.50 are due within 30 days.\n"
)
_GO_ON = "Go on exactly where your answer stops. Do not repeat any of it."
_SchemaForm = Literal["json_schema", "json_object", ""]
_SCHEMA_FORMS: Mapping[_SchemaForm, Callable[[Mapping[str, object]], dict[str, object]]] = {
    "json_schema": schema_form,
    "json_object": lambda schema: {"type": "json_object", "schema": dict(schema)},  # llama.cpp
}
# Where JSON may start: a bracket or brace of prose is followed by something else.
_JSON = re.compile(r'\{\s*["}]|\[\s*["{\[\]\d-]|"')
_TYPES: Mapping[object, type] = {"object": dict, "array": list, "string": str}
_Counts = Literal["tokenizer", "vllm", "llama.cpp", "llama-cpp-python", ""]
_OF_VLLM = (
    "chat_template_kwargs", "cache_salt", "priority", "add_generation_prompt",
    "continue_final_message",
)  # fmt: skip
_MEANS_NO = frozenset({500, 501})  # how some servers refuse a field, beside 400 to 499
_NOT_NOW = frozenset({401, 403, 408, 409, 425, 429})
_LIST_S = 3.0  # for its list of models: a probe of the answerer waits for it


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server can do for one model; see the module's table.

    ``json_schema`` is the form in which it takes one; "": it takes none. ``tokens_a_byte`` is that
    of the sample. ``length_field`` is how it wants the answer's length.
    """

    logprobs: bool
    json_schema: _SchemaForm
    is_vllm: bool
    counts: _Counts
    max_model_len: int
    tokens_a_byte: float
    length_field: str


class EndpointChat:
    """A ChatModel behind an endpoint; thread-safe."""

    def __init__(self, endpoint: Endpoint, role: ChatRole) -> None:
        self.name: ChatRole = role
        self.model_id = endpoint.model
        self.revision = endpoint.revision
        self._endpoint = endpoint
        self._server = server_of(endpoint)

    @cached_property
    def abilities(self) -> Abilities:
        """What the server can do.

        Raises:
            EngineUnavailableError: nobody answers.
            ModelRequestError: wrong key, or unknown model.
            ProfileError: the context is known neither here nor there.
        """
        entry = _entry(self._server, self._endpoint)
        is_vllm = entry.get("owned_by") == "vllm"
        first, length = self._first_words()
        both = self._say(SAMPLE, {length: 1})
        n_bytes = len(SAMPLE.encode()) - len(b"Say yes.")
        n_tokens = both["usage"]["prompt_tokens"] - first["usage"]["prompt_tokens"]
        return Abilities(
            logprobs=self._gives_logprobs(length),
            json_schema=self._schema_form(length),
            is_vllm=is_vllm,
            counts=_counting(self._server, self._endpoint),
            max_model_len=_context(self._server, self._endpoint, entry),
            tokens_a_byte=max(0.1, n_tokens / n_bytes),
            length_field=length,
        )

    @property
    def max_model_len(self) -> int:
        """Tokens of prompt and answer together."""
        return self.abilities.max_model_len

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        """See :class:`ChatModel`."""
        body, can = chat_body(self.model_id, messages, options), self.abilities
        body[can.length_field] = body.pop("max_tokens")
        if not can.logprobs:
            del body["logprobs"]
            body.pop("top_logprobs", None)
        if not can.is_vllm:
            for name in _OF_VLLM:
                body.pop(name, None)
            if options.get("prefix"):
                body["messages"].append({"role": "user", "content": _GO_ON})
        schema = options.get("json_schema")
        if schema is not None and can.json_schema:
            body["response_format"] = _SCHEMA_FORMS[can.json_schema](schema)
        elif schema is not None:
            del body["response_format"]
            asked = f"\nReply with JSON alone, after this schema: {json.dumps(schema)}"
            body["messages"][-1]["content"] += asked
        timeout_s = min(options.get("timeout_s", CHAT_TIMEOUT_S), self._endpoint.timeout_s)
        started = time.perf_counter()
        answer = self._server.post("/chat/completions", body, timeout_s)
        made = completion_of(answer, time.perf_counter() - started)
        return made if schema is None or can.json_schema else _only_json(made, schema)

    def count_chat(self, messages: Sequence[Message]) -> int:
        """See :class:`ChatModel`; an upper bound where neither server nor profile can count."""
        can = self.abilities
        if can.counts == "vllm":
            said = [dict(message) for message in messages]
            body = {"model": self.model_id, "messages": said}
            return int(self._server.post(f"{self._server.root}/tokenize", body, PROBE_S)["count"])
        texts = [message["content"] for message in messages]
        return sum(map(self._count, texts)) + A_MESSAGE * (len(texts) + 1)

    @cached_property
    def _count(self) -> Callable[[str], int]:
        can = self.abilities
        return _counter(self._server, self._endpoint, can.counts, can.tokens_a_byte)

    @property
    def counts_exactly(self) -> bool:
        """Whether texts are counted in the model's tokens; else ``count_chat`` is an estimate."""
        return self.abilities.counts != ""

    def _say(self, text: str, options: Mapping[str, Any]) -> dict[str, Any]:
        said = [{"role": "user", "content": text}]
        body = {"model": self.model_id, "messages": said, **options}
        return self._server.post("/chat/completions", body, PROBE_S, final=_MEANS_NO)

    def _first_words(self) -> tuple[dict[str, Any], str]:
        """A first answer, and the name of the field that bounded its length."""
        try:
            return self._say("Say yes.", {"max_tokens": 1}), "max_tokens"
        except ModelRequestError as error:
            if "max_completion_tokens" not in str(error):
                raise
        return self._say("Say yes.", {"max_completion_tokens": 16}), "max_completion_tokens"

    def _gives_logprobs(self, length: str) -> bool:
        try:
            answer = self._say("Say yes.", {length: 1, "logprobs": True})
        except ModelRequestError as error:
            _unless_refused(error)
            return False
        return bool((answer["choices"][0].get("logprobs") or {}).get("content"))

    def _schema_form(self, length: str) -> _SchemaForm:
        """The form in which a schema is obeyed that the model's own answer would break."""
        schema = {"type": "string", "enum": ["violet"]}
        kept = (name for name, form in _SCHEMA_FORMS.items() if self._keeps(form(schema), length))
        return next(kept, "")

    def _keeps(self, form: Mapping[str, object], length: str) -> bool:
        try:
            answer = self._say("What colour is grass?", {length: 8, "response_format": form})
            return bool(json.loads(answer["choices"][0]["message"]["content"]) == "violet")
        except ModelRequestError as error:
            _unless_refused(error)
            return False
        except (ValueError, TypeError, KeyError):
            return False


class EndpointEmbedder:
    """An Embedder behind an endpoint; thread-safe."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.model_id = endpoint.model
        self.revision = endpoint.revision
        self._endpoint = endpoint
        self._server = server_of(endpoint)

    @cached_property
    def dimension(self) -> int:
        """Length of a vector; asked where the profile does not state it."""
        if self._endpoint.dimension is not None:
            return self._endpoint.dimension
        _entry(self._server, self._endpoint)  # an unknown model is named with those that there are
        return int(self._request(["yes"]).shape[1])

    @cached_property
    def max_tokens(self) -> int:
        """The window."""
        return _context(self._server, self._endpoint, _entry(self._server, self._endpoint))

    @cached_property
    def batch(self) -> int:
        """How many texts a request has."""
        try:
            return EMBED_BATCH if len(self._request(["yes", "no"])) == 2 else 1
        except ModelRequestError as error:
            _unless_refused(error)
            return 1

    @cached_property
    def counts(self) -> _Counts:
        """How tokens are counted; "": as an upper bound."""
        return _counting(self._server, self._endpoint)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :class:`Embedder`."""
        order = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
        size = self.batch if len(texts) > 1 else 1
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        with ThreadPoolExecutor(self._endpoint.concurrency) as pool:
            ask = carried(lambda batch: self._request([texts[p] for p in batch]))
            answers = pool.map(ask, batches)
            for batch, answer in zip(batches, answers, strict=True):
                if answer.shape != (len(batch), self.dimension):
                    raise ModelRequestError(
                        f"expected vectors of shape {(len(batch), self.dimension)}, got "
                        f"{answer.shape}; does the profile state the model's true dimension?"
                    )
                vectors[batch] = answer
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.all(np.isfinite(lengths)) or not np.all(lengths):
            raise ModelRequestError("the embedder's answer has vectors without a length")
        vectors /= lengths
        return vectors

    def count(self, text: str) -> int:
        """See :class:`Embedder`; exact where the server counts, else an upper bound."""
        return self._counted(text)

    @cached_property
    def _counted(self) -> Callable[[str], int]:
        ratio = 0.5  # of tokens a byte, where nobody counts: no prose has more
        count = _counter(self._server, self._endpoint, self.counts, ratio)
        n_special = 0 if self.counts == "vllm" else 2  # others count the text alone

        @lru_cache(maxsize=4096)  # chunking counts a text more than once
        def counted(text: str) -> int:
            return count(text) + n_special

        return counted

    def _request(self, texts: Sequence[str]) -> NDArray[np.float32]:
        body = {"model": self.model_id, "input": list(texts)}
        answer = self._server.post("/embeddings", body, self._endpoint.timeout_s, final=_MEANS_NO)
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            return np.asarray([row["embedding"] for row in rows], dtype=np.float32).reshape(
                len(rows), -1
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelRequestError(f"the embedder's answer is unreadable: {error!r}") from error


def server_of(endpoint: Endpoint) -> Server:
    """The server of an endpoint, with its key, retries and limits."""
    host = urlsplit(endpoint.base_url).hostname or ""
    return Server(
        f"role {endpoint.role}",
        endpoint.base_url,
        key_env=endpoint.api_key_env,
        retries=endpoint.retries,
        concurrency=endpoint.concurrency,
        extra_body=endpoint.extra_body,
        # a proxy for the outside world must not be asked for the loopback
        trust_env=host != "localhost" and not host.startswith("127."),
        remedy="start that server, or correct base_url in the profile",
    )


def _entry(server: Server, endpoint: Endpoint) -> Mapping[str, Any]:
    """What the server's list says of the model; empty where it has no list."""
    try:
        listed = server.get("/models", _LIST_S).get("data")
    except ModelRequestError as error:
        _unless_refused(error)
        return {}
    known = {str(entry.get("id")): entry for entry in listed or [] if isinstance(entry, dict)}
    if known and endpoint.model not in known:
        raise ModelRequestError(
            f"the server of {server.who} at {server.root} knows no model {endpoint.model!r}; name "
            f"one that it has in the profile: {', '.join(sorted(known)[:20])}"
        )
    return known.get(endpoint.model, {})


def _context(server: Server, endpoint: Endpoint, entry: Mapping[str, Any]) -> int:
    """Tokens of the context: as the profile states, or as the server does."""
    if endpoint.max_model_len is not None:
        return endpoint.max_model_len
    if entry.get("max_model_len"):
        return int(entry["max_model_len"])
    try:
        props = server.get(f"{server.root}/props")
        return int(props["default_generation_settings"]["n_ctx"])
    except (ModelsError, KeyError, TypeError, ValueError) as error:
        raise ProfileError(
            f"the server of {server.who} at {server.root} does not say how long a context it takes;"
            f" state max_model_len of roles.{endpoint.role} in the profile"
        ) from error


def _unless_refused(error: ModelRequestError) -> None:
    """Raise what is no refusal of the thing asked for: it says nothing of what a server can."""
    status = error.status or 0
    if status not in _MEANS_NO and not (400 <= status < 500 and status not in _NOT_NOW):
        raise error


def problem_of(endpoint: Endpoint) -> str:
    """Why an endpoint cannot be used now, as a sentence; "" if it can. It takes one request."""
    try:
        _entry(server_of(replace(endpoint, retries=0)), endpoint)
    except ModelsError as error:
        return str(error)
    return ""


def _counting(server: Server, endpoint: Endpoint) -> _Counts:
    """What counts tokens."""
    if endpoint.tokenizer is not None:
        return "tokenizer"
    model = endpoint.model
    tries: Sequence[tuple[_Counts, str, dict[str, Any]]] = (
        ("vllm", "/tokenize", {"model": model, "prompt": "yes"}),
        ("llama.cpp", "/tokenize", {"content": "yes"}),
        ("llama-cpp-python", "/extras/tokenize/count", {"input": "yes"}),
    )
    for how, path, body in tries:
        try:
            answer = server.post(server.root + path, body, PROBE_S, final=_MEANS_NO)
        except ModelRequestError as error:
            _unless_refused(error)
            continue
        if "count" in answer or "tokens" in answer:
            return how
    return ""


def _counter(
    server: Server, endpoint: Endpoint, how: _Counts, tokens_a_byte: float
) -> Callable[[str], int]:
    """Counts the tokens of a text."""

    def asked(path: str, field: str, **more: str) -> Callable[[str], dict[str, Any]]:
        return lambda text: server.post(server.root + path, {field: text, **more}, PROBE_S)

    if how == "tokenizer" and endpoint.tokenizer is not None:
        return Tokenizer.from_dir(endpoint.tokenizer).count
    if how == "vllm":
        ask = asked("/tokenize", "prompt", model=endpoint.model)
        return lambda text: int(ask(text)["count"])
    if how == "llama.cpp":
        ask = asked("/tokenize", "content")
        return lambda text: len(ask(text)["tokens"])
    if how == "llama-cpp-python":
        ask = asked("/extras/tokenize/count", "input")
        return lambda text: int(ask(text)["count"])
    return lambda text: math.ceil(MARGIN * tokens_a_byte * len(text.encode()))


def _only_json(made: Completion, schema: Mapping[str, object]) -> Completion:
    """The reply with the JSON in it alone, if there is any of the schema's type.

    What stands within other JSON, or within JSON that was cut off, is a part and no answer.
    """
    wanted = _TYPES.get(schema.get("type"), object)
    decoder, at = json.JSONDecoder(), 0
    while begun := _JSON.search(made.text, at):
        try:
            found, at = decoder.raw_decode(made.text, begun.start())
        except ValueError:
            if begun[0] != '"':
                break
            at = begun.end()
            continue
        if isinstance(found, wanted):
            return replace(made, text=json.dumps(found, ensure_ascii=False))
    return made
