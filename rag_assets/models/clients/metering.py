"""Models that count what they are asked; a refresh reports it, and plans learn their rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from rag_assets.models.protocols import (
    CHAT_TIMEOUT_S,
    ChatModel,
    ChatRole,
    Completion,
    Embedder,
    Message,
)


@dataclass(slots=True)
class MeteredChat:
    """A ChatModel with counters: answers, and the tokens of their prompts and texts."""

    model: ChatModel
    n_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    _lock: Lock = field(default_factory=Lock)

    @property
    def name(self) -> ChatRole:
        """See :class:`ChatModel`."""
        return self.model.name

    @property
    def model_id(self) -> str:
        """See :class:`ChatModel`."""
        return self.model.model_id

    @property
    def revision(self) -> str:
        """See :class:`ChatModel`."""
        return self.model.revision

    @property
    def max_model_len(self) -> int:
        """See :class:`ChatModel`."""
        return self.model.max_model_len

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        json_schema: Mapping[str, object] | None = None,
        timeout_s: float = CHAT_TIMEOUT_S,
        prefix: str = "",
        thinking: bool = False,
        cache_salt: str = "",
    ) -> Completion:
        """See :class:`ChatModel`."""
        answer = self.model.complete(
            messages,
            max_tokens=max_tokens,
            temperature=temperature,
            json_schema=json_schema,
            timeout_s=timeout_s,
            prefix=prefix,
            thinking=thinking,
            cache_salt=cache_salt,
        )
        with self._lock:
            self.n_calls += 1
            self.prompt_tokens += answer.prompt_tokens
            self.completion_tokens += answer.completion_tokens
        return answer

    def count_chat(self, messages: Sequence[Message]) -> int:
        """See :class:`ChatModel`."""
        return self.model.count_chat(messages)


@dataclass(slots=True)
class MeteredEmbedder:
    """An Embedder that counts the texts it is given."""

    model: Embedder
    n_texts: int = 0
    _lock: Lock = field(default_factory=Lock)

    @property
    def model_id(self) -> str:
        """See :class:`Embedder`."""
        return self.model.model_id

    @property
    def revision(self) -> str:
        """See :class:`Embedder`."""
        return self.model.revision

    @property
    def dimension(self) -> int:
        """See :class:`Embedder`."""
        return self.model.dimension

    @property
    def max_tokens(self) -> int:
        """See :class:`Embedder`."""
        return self.model.max_tokens

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :class:`Embedder`."""
        vectors = self.model.embed(texts)
        with self._lock:
            self.n_texts += len(texts)
        return vectors

    def count(self, text: str) -> int:
        """See :class:`Embedder`."""
        return self.model.count(text)
