"""Which questions are accepted, and which part of a long one is embedded."""

import re
import unicodedata

from rag_assets.answers.policy import MODES, Mode
from rag_assets.errors import RagError
from rag_assets.models.protocols import ChatModel
from rag_assets.retrieval.languages import language_of

MAX_CHARS_PER_TOKEN = 8  # English runs at 4-5; more only in text that no limit on tokens would pass
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class QuestionError(RagError):
    """The question cannot be answered as asked; the message says what to change."""


class QuestionTooLongError(QuestionError):
    """The question is longer than the stated limit."""


def check_mode(mode: str) -> Mode:
    """The mode, if it is one.

    Raises:
        QuestionError: it is not auto, fact or deep.
    """
    for known in MODES:
        if mode == known:
            return known
    raise QuestionError(f"mode must be one of {', '.join(MODES)}; got {mode!r}")


def plain_question(question: str) -> str:
    """The question, NFC, without control characters and outer white space.

    Raises:
        QuestionError: it is empty, or no text.
    """
    if not isinstance(question, str):
        raise QuestionError(f"a question must be text; got {type(question).__name__}")
    text = question.encode("utf-8", "replace").decode("utf-8")  # lone surrogates become "?"
    text = unicodedata.normalize("NFC", _CONTROL.sub(" ", text)).strip()
    if not any(char.isalnum() for char in text):
        raise QuestionError("the question is empty; ask something in words")
    return text


def check_question(question: str, model: ChatModel, *, max_tokens: int) -> str:
    """The question, NFC, without control characters and outer white space.

    Args:
        question: as the user wrote it.
        model: counts the tokens.
        max_tokens: longest question answered, in tokens of ``model``.

    Raises:
        QuestionError: it is empty, or no text.
        QuestionTooLongError: it is longer than ``max_tokens``.
    """
    text = plain_question(question)
    # Characters first: tokenising a megabyte to refuse it would be the hang this limit prevents.
    size = ""
    if len(text) > max_tokens * MAX_CHARS_PER_TOKEN:
        size = f"{len(text.split()):,} words in {len(text):,} characters"
    elif (n_tokens := model.count_chat([{"role": "user", "content": text}])) > max_tokens:
        size = f"{n_tokens:,} tokens"
    if size:
        raise QuestionTooLongError(
            f"the question has {size}; at most {max_tokens:,} tokens are answered (about "
            f"{max_tokens * 3 // 4:,} words). Ask the question alone and put long texts into a "
            "source"
        )
    return text


def bad_filter(where: object, why: str) -> QuestionError:
    """The error for a filter that the index cannot apply."""
    return QuestionError(
        "where must be an SQL condition over the index's columns, for example "
        f"\"uri = 'docs:a.md'\"; got {where!r:.200}: {why}"
    )


def asks_yes_or_no(question: str) -> bool:
    """Whether "yes" or "no" would answer it: no word asks for a thing, and no choice is offered."""
    language = language_of(question)
    return (
        language.opening.search(question) is not None
        and language.asking.search(question) is None
        and language.choice.search(question) is None
    )


def offers_choice(question: str) -> bool:
    """Whether the answer may be one of the question's own words: "Alder or Tern?"."""
    return language_of(question).choice.search(question) is not None
