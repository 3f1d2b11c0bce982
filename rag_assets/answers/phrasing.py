"""A short answer as a sentence: the small model writes it, code holds it to what was read."""

from rag_assets.answers.prompts import phrase_messages
from rag_assets.answers.repair import complete
from rag_assets.answers.spans import folded
from rag_assets.models.protocols import ChatModel, Completion
from rag_assets.retrieval.terms import content_words, numbers

MOST_TOKENS = 60
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
    question: str, answer: str, place: str, model: ChatModel, *, timeout_s: float
) -> tuple[str, Completion | None]:
    """The answer as one sentence, and the call; the answer itself where no sentence holds.

    A sentence holds if it has the answer word for word, no number and no denial but those of
    answer, question and place, and no other word of content.

    Args:
        question: as asked.
        answer: copied from a document.
        place: the sentence or row that it was copied from, with its headings.
        model: writes.
        timeout_s: of the call.
    """
    if len(answer.split()) > MOST_TOKENS // 3 or _is_sentence(answer):
        return answer, None
    messages = phrase_messages(question, answer)
    if model.count_chat(messages) + MOST_TOKENS > model.max_model_len:
        return answer, None
    done = complete(model, messages, max_tokens=MOST_TOKENS, timeout_s=timeout_s)
    said = " ".join(done.text.split())
    is_whole = done.finish_reason == "stop"
    return (said if is_whole and holds(said, question, answer, place) else answer), done


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
