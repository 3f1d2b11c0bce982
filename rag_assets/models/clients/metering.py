"""Models that count what they are asked; a refresh reports it, and plans learn their rates."""

from collections.abc import Sequence
from threading import Lock
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from rag_assets.models.protocols import ChatModel, ChatOptions, Completion, Embedder, Message


class MeteredChat:
    """A ChatModel with counters: answers, and the tokens of their prompts and texts."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.name, self.max_model_len = model.name, model.max_model_len
        self.model_id, self.revision = model.model_id, model.revision
        self.count_chat = model.count_chat
        self.n_calls = self.prompt_tokens = self.completion_tokens = 0
        self._lock = Lock()

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        """See :class:`ChatModel`."""
        answer = self._model.complete(messages, **options)
        with self._lock:
            self.n_calls += 1
            self.prompt_tokens += answer.prompt_tokens
            self.completion_tokens += answer.completion_tokens
        return answer


class MeteredEmbedder:
    """An Embedder that counts the texts it is given."""

    def __init__(self, model: Embedder) -> None:
        self._model = model
        self.dimension, self.max_tokens = model.dimension, model.max_tokens
        self.model_id, self.revision = model.model_id, model.revision
        self.count = model.count
        self.n_texts = 0
        self._lock = Lock()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :class:`Embedder`."""
        vectors = self._model.embed(texts)
        with self._lock:
            self.n_texts += len(texts)
        return vectors
