"""What the rest of the package asks of a model; any object that does this may take its place.

``rag_assets.contracts`` tests such an object.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, Required, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

ChatRole = Literal["slm", "llm"]
Message = Mapping[str, str]  # role and content
# Eight descriptions at once take two minutes on two cores without AVX-512 (8 tokens/s in all, where
# one with it gives 40). An engine that has died is a broken connection, which nobody waits for.
CHAT_TIMEOUT_S = 600.0
BATCH_PRIORITY = 1  # after what is asked by hand, which has 0


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of a chat model.

    ``finish_reason`` is the engine's own (``stop``, ``length``, ...). ``cached_prompt_tokens`` of
    ``prompt_tokens`` came from the prefix cache. ``mean_logprob`` is over the answer's tokens
    (natural logarithm), None if there are none. ``text`` leaves out a given prefix, and what the
    model thought aloud; ``thought`` says whether it did. ``first`` holds the likeliest first tokens
    of the answer with their log-probabilities, where ``top_logprobs`` asked for them and the server
    gives them.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    seconds: float
    mean_logprob: float | None
    thought: bool = False
    first: Mapping[str, float] = field(default_factory=dict)


class ChatOptions(TypedDict, total=False):
    """How a chat is to be answered; what hands a chat on need not know its options.

    max_tokens: of the answer.
    temperature: 0 if not given, which is the likeliest answer.
    json_schema: that the answer has to be of; not together with a prefix.
    timeout_s: CHAT_TIMEOUT_S if not given.
    prefix: beginning of the answer, which the model goes on with.
    thinking: whether a model that can think aloud does; it does not if not given.
    cache_salt: prompts of another one are not found in the engine's prefix cache.
    top_logprobs: how many of the likeliest first tokens are told, at most 20; none if not given.
    priority: 0 if not given; an engine that has more requests than it takes at once takes those of
        lower numbers first.
    heard: called with the text so far whenever there is more; only for models that have ``streams``
        set.
    """

    max_tokens: Required[int]
    temperature: float
    json_schema: Mapping[str, object] | None
    timeout_s: float
    prefix: str
    thinking: bool
    cache_salt: str
    top_logprobs: int
    priority: int
    heard: Callable[[str], None]


class ChatModel(Protocol):
    """A model that answers chats; threads share it."""

    @property
    def name(self) -> ChatRole:
        """Its role."""

    @property
    def model_id(self) -> str:
        """Which model."""

    @property
    def revision(self) -> str:
        """Which weights."""

    @property
    def max_model_len(self) -> int:
        """Tokens of prompt and answer together."""

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        """Answer ``messages``.

        Raises:
            ValueError: a prefix and a schema were given.
            EngineUnavailableError: nobody answers.
            ModelRequestError: refused, too long, or timed out.
        """

    def count_chat(self, messages: Sequence[Message]) -> int:
        """Exact prompt tokens of ``messages`` without a prefix."""


class Embedder(Protocol):
    """A model that turns texts into unit vectors; threads share it."""

    @property
    def model_id(self) -> str:
        """Which model."""

    @property
    def revision(self) -> str:
        """Which weights."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """The window, special tokens included."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of ``texts``, (n, dimension) float32, each of length 1, in the given order.

        Raises:
            ValueError: a text exceeds the window; nothing is ever cut silently.
            EngineUnavailableError: nobody answers.
            ModelRequestError: the engine refused.
        """

    def count(self, text: str) -> int:
        """Exact tokens of ``text``, special tokens included: compare with ``max_tokens``."""


class Encoding(Protocol):
    """A tokenised text."""

    def __len__(self) -> int:
        """How many tokens."""

    @property
    def offsets(self) -> Sequence[tuple[int, int]]:
        """Half-open character span of each token, in order."""

    def token_to_chars(self, token: int) -> tuple[int, int]:
        """The span of one token."""


class Counter(Protocol):
    """The part of a tokenizer that chunking needs; special tokens are never counted."""

    @property
    def is_additive(self) -> bool:
        """Whether texts joined by white space have the sum of their tokens."""

    def count(self, text: str) -> int:
        """Tokens of a text."""

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""

    def encode(self, texts: Sequence[str]) -> Sequence[Encoding]:
        """Each text tokenised."""
