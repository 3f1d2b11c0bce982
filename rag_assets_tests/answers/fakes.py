"""Models of the unit tests: they count words, embed by words, and say what a test tells them to."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xxhash

from rag_assets.models.protocols import Completion
from rag_assets.retrieval.terms import terms

Message = Mapping[str, str]
_TOKEN = re.compile(r"\w+|[^\w\s]")


def n_words(text: str) -> int:
    return len(_TOKEN.findall(text))


def said(
    text: str,
    *,
    finish_reason: str = "stop",
    mean_logprob: float | None = -0.1,
    prompt_tokens: int = 100,
    cached_prompt_tokens: int = 64,
) -> Completion:
    return Completion(
        text,
        finish_reason,
        prompt_tokens,
        cached_prompt_tokens,
        max(1, n_words(text)),
        0.01,
        mean_logprob,
    )


@dataclass
class Call:
    messages: Sequence[Message]
    max_tokens: int
    prefix: str
    thinking: bool = False

    @property
    def question(self) -> str:
        return self.messages[-1]["content"].rsplit("Question: ", 1)[1].split("\n")[0]

    @property
    def evidence(self) -> str:
        return self.messages[-1]["content"].rsplit("Question: ", 1)[0]


Reply = Callable[[Call], Completion | str]


@dataclass
class ScriptedChat:
    """A ChatModel that answers by a function of the call, and remembers the calls."""

    name: str
    reply: Reply
    model_id: str = "fake/chat"
    revision: str = "1"
    max_model_len: int = 4096
    calls: list[Call] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        json_schema: Mapping[str, Any] | None = None,
        timeout_s: float = 120.0,
        prefix: str = "",
        thinking: bool = False,
        cache_salt: str = "",
    ) -> Completion:
        call = Call(messages, max_tokens, prefix, thinking)
        with self.lock:
            self.calls.append(call)
        reply = self.reply(call)
        assert self.count_chat(messages) + max_tokens <= self.max_model_len, "window overflows"
        return reply if isinstance(reply, Completion) else said(reply)

    def count_chat(self, messages: Sequence[Message]) -> int:
        return 3 + sum(4 + n_words(message["content"]) for message in messages)


def always(text: str) -> Reply:
    return lambda call: text


def copies(call: Call) -> str:
    """What a good small model does: the evidence line with most words of the question, cited."""
    wanted = terms(call.question)
    best, n, number = "NOT FOUND", 0, 0
    for line in call.evidence.splitlines():
        if (head := re.match(r"\[(\d+)\] ", line)) is not None:
            number = int(head.group(1))
            continue
        for sentence in re.split(r"(?<=\.) ", line):
            if (shared := len(wanted & terms(sentence))) > n:
                best, n = f"{sentence.rstrip('.')} [{number}].", shared
    return best


@dataclass
class WordEmbedder:
    """An Embedder: a hashed bag of word stems, so that shared words are similarity."""

    dimension: int = 64
    max_tokens: int = 256
    model_id: str = "fake/embedder"
    revision: str = "1"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            if self.count(text) > self.max_tokens:
                raise ValueError(f"text has {self.count(text)} tokens, window {self.max_tokens}")
            row[0] = 0.1
            for term in terms(text):
                row[
                    1
                    + xxhash.xxh3_64_intdigest(term.encode("utf-8", "replace"))
                    % (self.dimension - 1)
                ] += 1
            row /= np.linalg.norm(row)
        return vectors

    def count(self, text: str) -> int:
        return n_words(text)
