"""A question of a conversation, so that it stands alone; what was said before is never evidence.

Rules write out most that people ask ("And in 2024?", "Who built it?"). Where they do not tell, the
large model does; its words must be those of the conversation.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag_assets.answers.prompts import Message, as_data
from rag_assets.answers.repair import complete
from rag_assets.models.protocols import ChatModel, Completion
from rag_assets.questions.leaning import leans, written_out
from rag_assets.retrieval.terms import content_words, coverage, numbers

MOST_TURNS = 4  # that are read
MOST_TOKENS = 48
MOST_ANSWER_WORDS = 60
KEPT = 0.5  # share of the question's own words that have to stay
_MARKER = re.compile(r"\s*\[\d+\]")
_SYSTEM = (
    "Rewrite the next question of a conversation so that it can be understood alone. Take names "
    "from the conversation in place of words such as it, there or that one. Do not answer it. "
    "Reply with the rewritten question alone."
)
_DEMONSTRATIONS = (
    (
        "Question: Who runs the bakery at Orlen?\nAnswer: Jana Miro runs the bakery at Orlen.\n"
        "Next question: And since when?",
        "Since when does Jana Miro run the bakery at Orlen?",
    ),
    (
        "Question: How high is the tower of Lira?\nAnswer: 48 m.\n"
        "Next question: Is it higher than that of Sorau?",
        "Is the tower of Lira higher than the tower of Sorau?",
    ),
    (
        "Question: When does the clinic open on Mondays?\nAnswer: At 8:00.\n"
        "Next question: And close?",
        "When does the clinic close on Mondays?",
    ),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of before and what was answered."""

    question: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Alone:
    """A question that stands alone, and the call of the model that wrote it, if one did."""

    text: str
    call: Completion | None = None


def stand_alone(
    question: str, turns: Sequence[Turn], model: ChatModel, *, timeout_s: float
) -> Alone:
    """The question as it would be asked by somebody who has said nothing before.

    Args:
        question: the last one.
        turns: before it, the oldest first.
        model: is asked where the rules do not tell.
        timeout_s: of the call.

    Raises:
        EngineUnavailableError: nobody answers.
        ModelRequestError: refused, or timed out.
    """
    if not turns or not leans(question):
        return Alone(question)
    before = _last_of(turns[-MOST_TURNS:])
    by_rule = written_out(question, before.question, before.answer)
    if by_rule is not None:
        return Alone(by_rule)
    messages = _messages(question, before)
    if model.count_chat(messages) + MOST_TOKENS > model.max_model_len:
        return Alone(question)
    done = complete(model, messages, max_tokens=MOST_TOKENS, timeout_s=timeout_s)
    said = " ".join(done.text.split())
    is_right = done.finish_reason == "stop" and _holds(said, question, before)
    return Alone(said if is_right else question, done)


def _last_of(turns: Sequence[Turn]) -> Turn:
    """The last turn, its question written out as far as the rules go."""
    before = Turn("")
    for turn in turns:
        question = turn.question
        if before.question and leans(question):
            question = written_out(question, before.question, before.answer) or question
        answer = " ".join(_MARKER.sub("", turn.answer).split()[:MOST_ANSWER_WORDS])
        before = Turn(question, answer)
    return before


def _messages(question: str, before: Turn) -> list[Message]:
    chat: list[Message] = [{"role": "system", "content": _SYSTEM}]
    for asked, alone in _DEMONSTRATIONS:
        chat.append({"role": "user", "content": asked})
        chat.append({"role": "assistant", "content": alone})
    said = (
        f"Question: {as_data(before.question)}\nAnswer: {as_data(before.answer)}\n"
        f"Next question: {as_data(question)}"
    )
    return [*chat, {"role": "user", "content": said}]


def _holds(said: str, question: str, before: Turn) -> bool:
    """Whether it is a question, in words of the conversation, and still asks what was asked."""
    known = f"{before.question}\n{before.answer}\n{question}"
    own, words = content_words(question), content_words(said)
    return (
        said.endswith("?")
        and words <= content_words(known)
        and numbers(question) <= numbers(said) <= numbers(known)
        and (not own or coverage(own, words) >= KEPT)
    )
