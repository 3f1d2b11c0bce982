"""A model whose chats all have an option of their caller's."""

from collections.abc import Sequence
from typing import Unpack

from rag_assets.models.protocols import ChatModel, ChatOptions, Completion, Message


class ChatFor:
    """A ChatModel for one kind of caller.

    Args:
        model: answers.
        cache_salt: of callers who read the same, whose prompts an engine keeps apart from others'
            in its prefix cache; how quickly it answers tells others nothing.
        priority: of all chats.
    """

    def __init__(self, model: ChatModel, *, cache_salt: str = "", priority: int = 0) -> None:
        self._model, self._salt, self._priority = model, cache_salt, priority
        self.name, self.max_model_len = model.name, model.max_model_len
        self.model_id, self.revision = model.model_id, model.revision
        self.count_chat = model.count_chat
        self.counts_exactly = bool(getattr(model, "counts_exactly", True))

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        """See :class:`ChatModel`."""
        if self._salt:
            options["cache_salt"] = self._salt
        if self._priority:
            options["priority"] = self._priority
        return self._model.complete(messages, **options)
