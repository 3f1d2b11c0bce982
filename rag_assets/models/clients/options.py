"""A model whose chats all have an option of their caller's."""

import threading
from collections.abc import Sequence
from typing import Unpack

from rag_assets.models.clients.leaving import waiting
from rag_assets.models.protocols import ChatModel, ChatOptions, ChatRole, Completion, Message
from rag_assets.telemetry import Fact, set_facts, span


class ChatFor:
    """A ChatModel for one kind of caller.

    Args:
        model: answers.
        cache_salt: of callers who read the same, whose prompts an engine keeps apart from others'
            in its prefix cache; how quickly it answers tells others nothing.
        priority: of all chats.
        gone: set when nobody waits for the answers any more; then chats end.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        cache_salt: str = "",
        priority: int = 0,
        gone: threading.Event | None = None,
    ) -> None:
        self._model, self._salt, self._priority = model, cache_salt, priority
        self._gone = gone or threading.Event()
        self.name: ChatRole = model.name
        self.model_id, self.revision = model.model_id, model.revision
        self.count_chat = model.count_chat
        self.counts_exactly = bool(getattr(model, "counts_exactly", True))
        self.streams = bool(getattr(model, "streams", False))

    @property
    def max_model_len(self) -> int:
        """Tokens of prompt and answer together."""
        return self._model.max_model_len

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        """See :class:`ChatModel`.

        Raises:
            GoneError: nobody waits for the answer any more.
        """
        if self._salt:
            options["cache_salt"] = self._salt
        if self._priority:
            options["priority"] = self._priority
        facts: dict[str, Fact] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": self.model_id,
            "gen_ai.request.max_tokens": options["max_tokens"],
            "rag.model": self.name,
        }
        with waiting(self._gone), span(f"chat {self.model_id}", facts, is_call=True):
            done = self._model.complete(messages, **options)
            if isinstance(done, Completion):  # a model of one's own may return anything
                set_facts(_facts_of(done))
        return done


def _facts_of(done: Completion) -> dict[str, Fact]:
    return {
        "gen_ai.usage.input_tokens": done.prompt_tokens,
        "gen_ai.usage.cache_read.input_tokens": done.cached_prompt_tokens,
        "gen_ai.usage.output_tokens": done.completion_tokens,
        "gen_ai.response.finish_reasons": [done.finish_reason],
    }
