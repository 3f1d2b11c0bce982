"""Stand-ins for the two model protocols; for tests only, the package has none."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_assets.models.protocols import ChatRole, Completion, Message

_TOKEN = re.compile(r"\w+|[^\w\s]")
_TOKENS_AROUND_A_MESSAGE = 4

Answer = str | Completion | Exception | Callable[[Sequence[Message]], str]


def count_words(text: str) -> int:
    """The fakes' idea of tokens: words and punctuation marks."""
    return len(_TOKEN.findall(text))


@dataclass
class Call:
    """What a FakeChat was asked."""

    messages: list[dict[str, str]]
    options: dict[str, Any]


@dataclass
class FakeChat:
    """A ChatModel that says what it was told to, in order; the last answer repeats.

    An answer is a text, a whole Completion, an exception to raise, or a function of the messages.
    Texts longer than ``max_tokens`` are cut and finish with ``length``, like a real model's.
    """

    answers: Iterable[Answer] = ("yes",)
    name: ChatRole = "slm"
    model_id: str = "fake/chat"
    revision: str = "0" * 40
    max_model_len: int = 4096
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._script = list(self.answers)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        json_schema: Mapping[str, object] | None = None,
        timeout_s: float = 120.0,
        prefix: str = "",
        thinking: bool = False,
        cache_salt: str = "",
        top_logprobs: int = 0,
        priority: int = 0,
    ) -> Completion:
        if prefix and json_schema is not None:
            raise ValueError("a prefix cannot be continued under a json_schema; ask again")
        options = {
            "max_tokens": max_tokens,
            "temperature": temperature,
            "json_schema": json_schema,
            "timeout_s": timeout_s,
            "prefix": prefix,
            "thinking": thinking,
        }
        self.calls.append(Call([dict(message) for message in messages], options))
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Completion):
            return answer
        text = answer if isinstance(answer, str) else answer(messages)
        if json_schema is not None:
            json.loads(text)  # a real engine cannot answer anything else
        spans = [match.end() for match in _TOKEN.finditer(text)]
        cut = len(spans) > max_tokens
        return Completion(
            text=text[: spans[max_tokens - 1]] if cut else text,
            finish_reason="length" if cut else "stop",
            prompt_tokens=self.count_chat(messages) + count_words(prefix),
            cached_prompt_tokens=0,
            completion_tokens=min(len(spans), max_tokens),
            seconds=0.001,
            mean_logprob=-0.1 if spans else None,
        )

    def count_chat(self, messages: Sequence[Message]) -> int:
        return sum(count_words(m["content"]) + _TOKENS_AROUND_A_MESSAGE for m in messages)


@dataclass
class FakeEmbedder:
    """An Embedder: every word points in a direction of its own (from its hash), a text is the sum.

    Texts that share words are near each other, so that retrieval tests mean something.
    """

    model_id: str = "fake/embedder"
    revision: str = "1" * 40
    dimension: int = 384
    max_tokens: int = 256

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        for position, text in enumerate(texts):
            if self.count(text) > self.max_tokens:
                raise ValueError(
                    f"text {position} has {self.count(text)} tokens, "
                    f"the embedder takes {self.max_tokens}"
                )
        rows = [self._vector(text) for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.dimension)

    def count(self, text: str) -> int:
        return count_words(text) + 2  # as if [CLS] and [SEP] stood around it

    def _vector(self, text: str) -> NDArray[np.float64]:
        total = np.zeros(self.dimension)
        for word in ["", *_TOKEN.findall(text.lower())]:
            seed = hashlib.sha256(word.encode()).digest()[:8]
            weight = 1.0 if word else 0.1  # the empty word keeps an empty text off zero
            rng = np.random.default_rng(int.from_bytes(seed, "big"))
            total += weight * rng.standard_normal(self.dimension)
        return total / np.linalg.norm(total)
