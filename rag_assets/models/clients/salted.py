"""A model whose prompts an engine keeps apart from others', in its prefix cache."""

from collections.abc import Sequence
from typing import Unpack

from rag_assets.models.protocols import ChatModel, ChatOptions, Completion, Message


class SaltedChat:
    """A ChatModel for callers who read the same; how quickly it answers tells others nothing."""

    def __init__(self, model: ChatModel, salt: str) -> None:
        self._model, self._salt = model, salt
        self.name, self.max_model_len = model.name, model.max_model_len
        self.model_id, self.revision = model.model_id, model.revision
        self.count_chat = model.count_chat
        self.counts_exactly = bool(getattr(model, "counts_exactly", True))

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        """See :class:`ChatModel`."""
        options["cache_salt"] = self._salt
        return self._model.complete(messages, **options)
