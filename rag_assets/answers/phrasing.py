"""A short answer as a sentence: the small model writes it, code holds it to what was read."""

import re

from rag_assets.answers.prompts import phrase_messages
from rag_assets.answers.repair import complete
from rag_assets.answers.spans import folded
from rag_assets.models.protocols import ChatModel, Completion
from rag_assets.questions.asked import language_of
from rag_assets.questions.english import AUXILIARY, QUESTION_WORD
from rag_assets.questions.spans import read
from rag_assets.retrieval.terms import content_words, numbers

MOST_TOKENS = 60
MOST_OWN_WORDS = 30  # of a sentence that is told as it stands
_ASKS = re.compile(rf"(?:{AUXILIARY}|{QUESTION_WORD})\s", re.IGNORECASE)
_AT = re.compile(r"\bat (?P<what>.+)$", re.IGNORECASE)
_DENIALS = frozenset(
    [
        "no",
        "not",
        "never",
        "none",
        "neither",
        "nor",
        "without",
        "cannot",
        "n't",
        "nicht",
        "kein",
        "keine",
        "ne",
        "pas",
    ]
)


def phrased(
    question: str, answer: str, place: str, model: ChatModel, *, own: str = "", timeout_s: float
) -> tuple[str, Completion | None]:
    """The answer as one sentence, and the call; the answer itself where no sentence holds.

    Small models write English. To a question in another language the document's own sentence is
    told where it is short, and the answer alone where not.

    A sentence holds if it has the answer word for word, no number and no denial but those of
    answer, question and place, and no other word of content.

    Args:
        question: as asked.
        answer: copied from a document.
        place: the sentence or row that it was copied from, with its headings.
        model: writes.
        own: the document's sentence that states the answer; "" where a table does.
        timeout_s: of the call.
    """
    if len(answer.split()) > MOST_TOKENS // 3 or _is_sentence(answer):
        return answer, None
    messages = phrase_messages(question, answer)
    if model.count_chat(messages) + MOST_TOKENS > model.max_model_len:
        return answer, None
    own = " ".join(own.split()) if len(own.split()) <= MOST_OWN_WORDS else ""
    if language_of(question) != "en":
        return own or answer, None
    done = complete(model, messages, max_tokens=MOST_TOKENS, timeout_s=timeout_s)
    said = " ".join(done.text.split())
    is_whole = done.finish_reason == "stop"
    if not is_whole or not holds(said, question, answer, place):
        return answer, done
    return (said if is_well_formed(said, answer) else own or answer), done


def is_well_formed(sentence: str, answer: str) -> bool:
    """Whether it is a statement, and has no "at" before what is no time: "costs at 14.00"."""
    if sentence.rstrip().endswith("?") or _ASKS.match(sentence):
        return False
    found = _AT.search(sentence)
    is_at_answer = found is not None and folded(found["what"]).startswith(folded(answer))
    return not is_at_answer or not answer[:1].isdigit() or read(answer, "time") is not None


def holds(sentence: str, question: str, answer: str, place: str) -> bool:
    """Whether the sentence says no more than the question and the answer together."""
    if f" {folded(answer)} " not in f" {folded(sentence)} ":
        return False
    given = f"{question}\n{answer}"
    known_numbers = numbers(answer) | (numbers(question) & numbers(place))
    return (
        numbers(sentence) <= known_numbers
        and content_words(sentence) <= content_words(given) | content_words(place)
        and denials(sentence) <= denials(given)
    )


def denials(text: str) -> frozenset[str]:
    """The words of a text that deny."""
    words = folded(text.replace("n't", " not").replace("n\u2019t", " not")).split()
    return frozenset(words) & _DENIALS


def _is_sentence(text: str) -> bool:
    return len(text.split()) > 5 and text.rstrip()[-1:] in ".!?"
