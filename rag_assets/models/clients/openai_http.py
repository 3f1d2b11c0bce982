"""Clients of running engines: a chat model and an embedder, over OpenAI-compatible HTTP."""

import base64
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from rag_assets.models.clients.server import Server, nobody_answers
from rag_assets.models.clients.thoughts import answer_start, switched, without_thoughts
from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.engines.state import read_states
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets.models.profiles import ModelSpec, Profile, Role
from rag_assets.models.protocols import (
    CHAT_TIMEOUT_S,
    ChatOptions,
    ChatRole,
    Completion,
    Message,
)
from rag_assets.models.weights.pulling import require_pulled
from rag_assets.telemetry import carried

EMBED_BATCH = 32
EMBED_AT_ONCE = 2  # while one is computed the next one waits in the engine, which never idles
EMBED_TIMEOUT_S = 300.0


class HttpChatModel:
    """A ChatModel behind ``/v1/chat/completions``; thread-safe.

    Its tokenizer takes half a second to load, so it is loaded when first used: a refresh with
    nothing to describe never does.
    """

    streams = True

    def __init__(self, spec: ModelSpec, tokenizer: Callable[[], Tokenizer], url: str) -> None:
        self.name: ChatRole = "llm" if spec.role == "llm" else "slm"
        self.model_id = spec.model_id
        self.revision = spec.revision
        self.max_model_len = spec.max_model_len
        self._served_name = spec.served_name
        self._load_tokenizer = tokenizer
        self._server = Server(f"role {spec.role}", f"{url}/v1")

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return self._load_tokenizer()

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        """See :class:`ChatModel`."""
        body = chat_body(self._served_name, messages, options)
        timeout_s = options.get("timeout_s", CHAT_TIMEOUT_S)
        started = time.perf_counter()
        heard = options.get("heard")
        if heard is None:
            answer = self._server.post("/chat/completions", body, timeout_s)
        else:
            chunks = Chunks(heard)
            streamed = body | {"stream": True, "stream_options": {"include_usage": True}}
            answer = self._server.post("/chat/completions", streamed, timeout_s, hear=chunks.hear)
            answer = answer or chunks.whole()
        return completion_of(answer, time.perf_counter() - started)

    def count_chat(self, messages: Sequence[Message]) -> int:
        """See :class:`ChatModel`."""
        return self._tokenizer.count_chat(messages)


class HttpEmbedder:
    """An Embedder behind ``/v1/embeddings``; thread-safe."""

    def __init__(self, spec: ModelSpec, tokenizer: Tokenizer, url: str) -> None:
        if spec.dimension is None:
            raise ValueError(f"role {spec.role} does not embed; use the profile's embedder")
        self.model_id = spec.model_id
        self.revision = spec.revision
        self.dimension = spec.dimension
        self.max_tokens = spec.max_model_len
        self._served_name = spec.served_name
        self._tokenizer = tokenizer
        self._server = Server(f"role {spec.role}", f"{url}/v1")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :class:`Embedder`. Batches hold texts of like length, so that little is padded.

        Texts are tokenised here, once: what is counted is what is sent.
        """
        inputs = self._tokenizer.inputs(texts)
        for position, ids in enumerate(inputs):
            if len(ids) > self.max_tokens:
                raise ValueError(
                    f"text {position} has {len(ids)} tokens, the embedder takes {self.max_tokens}; "
                    f"cut it first (it begins {texts[position][:60]!r})"
                )
        order = sorted(range(len(texts)), key=lambda position: -len(inputs[position]))
        batches = [order[i : i + EMBED_BATCH] for i in range(0, len(order), EMBED_BATCH)]
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        with ThreadPoolExecutor(EMBED_AT_ONCE) as pool:
            ask = carried(lambda batch: self._request([inputs[p] for p in batch]))
            answers = pool.map(ask, batches)
            for batch, answer in zip(batches, answers, strict=True):
                vectors[batch] = answer
        # the engine may normalise in bfloat16's neighbourhood; make the length exact
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def count(self, text: str) -> int:
        """See :class:`Embedder`."""
        return self._tokenizer.count(text) + self._tokenizer.n_special

    def _request(self, inputs: list[list[int]]) -> NDArray[np.float32]:
        # as base64 a vector takes 2 kB, as JSON's decimal numbers 8 kB, and time to write and read
        body = {"model": self._served_name, "input": inputs, "encoding_format": "base64"}
        answer = self._server.post("/embeddings", body, EMBED_TIMEOUT_S)
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            data = b"".join(base64.b64decode(row["embedding"], validate=True) for row in rows)
            vectors = np.frombuffer(data, dtype="<f4").reshape(len(rows), -1)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelRequestError(f"the embedder's answer is unreadable: {error!r}") from error
        if vectors.shape != (len(inputs), self.dimension):
            raise ModelRequestError(
                f"expected vectors of shape {(len(inputs), self.dimension)}, got {vectors.shape}; "
                "does the profile state the model's true dimension?"
            )
        return vectors


def connect(
    profile: Profile, state_dir: Path, cache_dir: Path, role: ChatRole, *, started: bool = True
) -> HttpChatModel:
    """The client of the chat engine that runs for ``role``.

    Reads the state file; the engine itself is asked at the first request.

    Args:
        profile: says which model serves the role.
        state_dir: where running engines are written down.
        cache_dir: where the weights are.
        role: which one.
        started: False also accepts an engine that was not started (yet): what needs no answer
            from it, such as a refresh that finds nothing changed, need not wait for it.

    Raises:
        EngineUnavailableError: none was started, or it serves another model than the profile's.
        NotPulledError: the tokenizer is not in the cache.
    """
    spec, folder, url = _place(profile, state_dir, cache_dir, role, started)
    model = HttpChatModel(spec, partial(Tokenizer.from_dir, folder), url)
    model.name = role  # one engine may serve both
    return model


def connect_embedder(
    profile: Profile, state_dir: Path, cache_dir: Path, *, started: bool = True
) -> HttpEmbedder:
    """:func:`connect` for the role that embeds."""
    spec, folder, url = _place(profile, state_dir, cache_dir, "embedder", started)
    return HttpEmbedder(spec, Tokenizer.from_dir(folder), url)


def _place(
    profile: Profile, state_dir: Path, cache_dir: Path, role: Role, started: bool
) -> tuple[ModelSpec, Path, str]:
    """Which model serves a role, the folder with its tokenizer, and the engine's address."""
    spec = profile.spec(role)
    state = read_states(state_dir).get(spec.role)
    if state is None and started:
        raise nobody_answers(f"role {role}", str(state_dir))
    # the revision is that of the weights before conversion: only the name tells formats apart
    if state is not None and (state.revision, state.served_name) != (
        spec.revision,
        spec.served_name,
    ):
        raise EngineUnavailableError(
            f"the engine that runs for role {role} serves {state.model_id} as "
            f"{state.served_name} (profile {state.profile}), profile {profile.name} wants "
            f"{spec.model_id} as {spec.served_name}; run `rag down`, then `rag up`"
        )
    folder = require_pulled(spec, cache_dir)
    return spec, folder, spec.url if state is None else state.url


def chat_body(model: str, messages: Sequence[Message], options: ChatOptions) -> dict[str, Any]:
    """The request for an answer, as vLLM takes it."""
    prefix, schema = options.get("prefix"), options.get("json_schema")
    if prefix and schema is not None:
        raise ValueError("a prefix cannot be continued under a json_schema; ask again")
    body: dict[str, Any] = {
        "model": model,
        "messages": [dict(message) for message in messages],
        "max_tokens": options["max_tokens"],
        "temperature": options.get("temperature", 0.0),
        "logprobs": True,
        "chat_template_kwargs": switched(options.get("thinking", False)),
    }
    if salt := options.get("cache_salt"):
        body["cache_salt"] = salt
    if top := options.get("top_logprobs"):
        body["top_logprobs"] = top
    if priority := options.get("priority"):
        body["priority"] = priority
    if prefix:
        body["messages"].append({"role": "assistant", "content": prefix})
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    if schema is not None:
        body["response_format"] = schema_form(schema)
    return body


class Chunks:
    """The chunks of a streamed answer, put together to what it is when it is not streamed.

    Args:
        heard: called with the text so far whenever there is more.
    """

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard = heard
        self._text = self._apart = ""
        self._logprobs: list[Any] = []
        self._finish_reason = self._usage = None

    def hear(self, chunk: Mapping[str, Any]) -> None:
        """Take the next one."""
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            self._apart += delta.get("reasoning_content") or delta.get("reasoning") or ""
            self._logprobs += (choice.get("logprobs") or {}).get("content") or ()
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            if more := delta.get("content"):
                self._text += more
                self._heard(self._text)

    def whole(self) -> dict[str, Any]:
        """The answer; what is missing of it is left out."""
        message = {"content": self._text, "reasoning": self._apart}
        choice: dict[str, Any] = {"message": message, "logprobs": {"content": self._logprobs}}
        if self._finish_reason is not None:
            choice["finish_reason"] = self._finish_reason
        return {"choices": [choice], **({"usage": self._usage} if self._usage else {})}


def schema_form(schema: Mapping[str, object]) -> dict[str, object]:
    """A JSON schema as ``response_format`` of a request."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}


def completion_of(answer: Mapping[str, Any], seconds: float) -> Completion:
    """A server's answer to a chat; ModelRequestError if it is none."""
    try:
        choice, usage = answer["choices"][0], answer["usage"]
        message = choice["message"]
        said = message["content"] or ""
        text = without_thoughts(said)
        apart = message.get("reasoning_content") or message.get("reasoning")
        entries = (choice.get("logprobs") or {}).get("content") or []
        entries = _of_answer(entries)
        logprobs = [_logprob(entry) for entry in entries]
        likeliest = (entries[0].get("top_logprobs") or ()) if entries else ()
        return Completion(
            text=text,
            finish_reason=choice["finish_reason"],
            prompt_tokens=usage["prompt_tokens"],
            cached_prompt_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
            completion_tokens=usage["completion_tokens"],
            seconds=seconds,
            mean_logprob=math.fsum(logprobs) / len(logprobs) if logprobs else None,
            thought=bool(apart) or text != said,
            first={str(entry.get("token", "")): _logprob(entry) for entry in likeliest},
        )
    except (KeyError, IndexError, TypeError) as error:
        raise ModelRequestError(f"the chat model's answer is unreadable: {error!r}") from error


def _logprob(entry: Mapping[str, Any]) -> float:
    return max(float(entry["logprob"]), -100.0)


def _of_answer(entries: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The tokens behind the last thought; they hold it also where the server sends it apart."""
    tokens = [str(entry.get("token", "")) for entry in entries]
    start, at = answer_start("".join(tokens)), 0
    for number, token in enumerate(tokens):
        if at >= start:
            return entries[number:]
        at += len(token)
    return []
