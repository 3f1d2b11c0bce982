"""What a client of OpenAI's interface asks for: each parameter is honoured, refused or ignored.

=============================================  =====================================================
honoured                                       ``model``, ``messages``, ``stream``,
                                               ``stream_options``, ``max_completion_tokens`` or
                                               ``max_tokens``, ``user``, our own
                                               ``sources_in_text`` and ``filters``
refused                                        what would give another kind of answer: see
                                               ``_REFUSED``, and parts of messages that are no text
ignored, and named in ``rag.ignored``          all else
=============================================  =====================================================
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rag_assets.answers.follow_ups import Turn
from rag_assets.answers.policy import MODES, Mode
from rag_assets.answers.questions import QuestionError
from rag_assets.serving.housekeeping import question_beside_documents

PREFIX = "rag-"  # models are rag-auto, rag-fact and rag-deep: the mode is the model
_TEXT = ("text", "refusal")  # types of parts
_OF_CALLERS = ("system", "developer", "user")


class ParameterError(QuestionError):
    """A parameter asks for what an answer from documents cannot be; ``param`` names it."""

    def __init__(self, param: str, message: str, code: str = "unsupported_parameter") -> None:
        super().__init__(f"{param}: {message}")
        self.param, self.code = param, code


class UnknownModelError(QuestionError):
    """There is no such model."""


_REFUSED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "n": (lambda n: n != 1, "one answer is given; leave it out or set it to 1"),
    "logprobs": (bool, "the words of an answer are not all a model's; leave it out"),
    "top_logprobs": (bool, "the words of an answer are not all a model's; leave it out"),
    "tools": (bool, "nothing is called; leave it out"),
    "functions": (bool, "nothing is called; leave it out"),
    "tool_choice": (lambda one: one not in ("none", "auto"), "nothing is called; leave it out"),
    "function_call": (lambda one: one not in ("none", "auto"), "nothing is called; leave it out"),
    "stop": (bool, "a sentence that is cut is not the one that was checked; leave it out"),
    "response_format": (
        lambda given: not isinstance(given, dict) or given.get("type") != "text",
        "answers are text; leave it out or set its type to text",
    ),
    "audio": (bool, "answers are text; leave it out"),
    "modalities": (lambda given: given != ["text"], "answers are text; leave it out"),
}


class ChatMessage(BaseModel):
    """A turn; its content is text, or parts, all of them text."""

    model_config = ConfigDict(extra="ignore")

    role: str
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        """The text of the turn."""
        if isinstance(self.content, list):
            parts = (part.get("text") for part in self.content if part.get("type") in _TEXT)
            return "\n".join(text for text in parts if isinstance(text, str))
        return self.content or ""


class StreamOptions(BaseModel):
    """How a stream ends."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


SOURCES = "\n\nSources:\n"  # before the list of sources that ends a text


class ChatRequest(BaseModel):
    """Body of ``POST /v1/chat/completions``."""

    model_config = ConfigDict(extra="allow")

    model: str = "rag-auto"
    messages: list[ChatMessage]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    user: str | None = Field(default=None, max_length=512)
    filters: dict[str, Any] | None = Field(default=None, description="which documents are read")
    sources_in_text: bool = Field(
        default=True, description="whether the text ends in a list of its sources"
    )

    def check(self) -> None:
        """Refuse what would give another kind of answer.

        Raises:
            ParameterError: a parameter asks for it.
        """
        for name, (is_refused, advice) in _REFUSED.items():
            given = self._extra.get(name)
            if given is not None and is_refused(given):
                raise ParameterError(name, f"not supported here; {advice}")
        if self.stream_options is not None and not self.stream:
            raise ParameterError("stream_options", "it goes with stream: true alone")
        for i, message in enumerate(self.messages):
            parts = message.content if isinstance(message.content, list) else []
            for j, part in enumerate(parts if message.role in _OF_CALLERS else []):
                if part.get("type") not in _TEXT:
                    raise ParameterError(
                        f"messages[{i}].content[{j}]",
                        f"only text is read, got a part of type {part.get('type')!r:.40}",
                    )

    @property
    def ignored(self) -> list[str]:
        """The parameters that change nothing."""
        return sorted(name for name, given in self._extra.items() if given is not None)

    @property
    def most_tokens(self) -> int | None:
        """Longest text of an answer, in tokens."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with what was used."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def _extra(self) -> Mapping[str, Any]:
        return self.model_extra or {}

    def question(self) -> str:
        """The last turn of the user; no other turn is read.

        Raises:
            QuestionError: no turn is the user's.
        """
        turns = [message for message in self.messages if message.role == "user"]
        if not turns:
            raise ParameterError(
                "messages", "expected a turn of the user, whose last one is the question; got none",
                "invalid_value",
            )  # fmt: skip
        return question_beside_documents(turns[-1].text())

    def turns(self) -> list[Turn]:
        """The conversation before the question."""
        return turns_of(self.messages)

    def mode(self) -> Mode:
        """The mode that the model's name asks for.

        Raises:
            UnknownModelError: there is no such model.
        """
        return mode_of(self.model)


def turns_of(messages: Sequence[ChatMessage]) -> list[Turn]:
    """The questions before the user's last turn, each with its answer; nothing else is read."""
    asked = [n for n, message in enumerate(messages) if message.role == "user"]
    found = []
    for n, following in pairwise(asked):
        replies = [one.text() for one in messages[n + 1 : following] if one.role == "assistant"]
        answer = replies[-1].partition(SOURCES)[0] if replies else ""
        found.append(Turn(question_beside_documents(messages[n].text()), answer))
    return found


def mode_of(model: str) -> Mode:
    """The mode that a model's name asks for.

    Raises:
        UnknownModelError: there is no such model.
    """
    for mode in MODES:
        if model == f"{PREFIX}{mode}":
            return mode
    known = ", ".join(f"{PREFIX}{mode}" for mode in MODES)
    raise UnknownModelError(f"there is no model {model!r:.80}; choose one of {known}")
