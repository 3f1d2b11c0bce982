"""Harder versions of questions and documents, for ladders of robustness.

All are pure: the same text and seed give the same result. A higher rate changes what a lower one
changed, in the same way, and more; so the steps of a ladder differ in nothing but the rate.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Literal

from rag_assets.evaluations.sampling import sample
from rag_assets.lake.identity import value_hash
from rag_assets_tests.suites.datasets import Document

MIN_TYPO_LETTERS = 4
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_TOKEN = re.compile(r"\w+(?:['’.\-]\w+)*")  # noqa: RUF001 the typographic apostrophe is meant


def _neighbours() -> Mapping[str, str]:
    """Letters beside and diagonally below or above on a QWERTY keyboard."""
    near: dict[str, str] = {}
    for row, letters in enumerate(_ROWS):
        for column, letter in enumerate(letters):
            beside = letters[max(0, column - 1) : column] + letters[column + 1 : column + 2]
            above = _ROWS[row - 1][column : column + 2] if row else ""
            below = _ROWS[row + 1][max(0, column - 1) : column + 1] if row < 2 else ""
            near[letter] = beside + above + below
    return near


_NEAR = _neighbours()


def _random(name: str, seed: int, text: str) -> Random:
    return Random(value_hash([name, seed, text]))


def _check_rate(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise ValueError(f"a rate must be in [0, 1], got {rate}")


def typos(text: str, rate: float, seed: int) -> str:
    """Slips of the hand: a neighbouring key, two letters swapped, one left out, one doubled.

    Each word gets one with probability ``rate``. Numbers and words of less than four letters stay:
    a slip turns them into others (1994 into 1995, "not" into "now"), and with that the question
    into one whose answer is another. First letters stay, as they mostly do when people type.
    Scripts without upper and lower case stay, too: their slips are of another kind.

    Raises:
        ValueError: the rate is not in [0, 1].
    """
    _check_rate(rate)
    random = _random("typos", seed, text)

    def slip(match: re.Match[str]) -> str:
        word = match[0]
        # All are drawn for every word, so that the rate does not shift what later words draw.
        chance, kind, place, pick = (random.random() for _ in range(4))
        return _slip(word, kind, place, pick) if chance < rate and _may_slip(word) else word

    return _TOKEN.sub(slip, text)


def _may_slip(word: str) -> bool:
    return (
        sum(char.isalpha() for char in word) >= MIN_TYPO_LETTERS
        and not any(char.isnumeric() or char == "_" for char in word)
        and word.lower() != word.upper()
    )


def _slip(word: str, kind: float, place: float, pick: float) -> str:
    """One slip in a word; ``kind``, ``place`` and ``pick`` in [0, 1) choose which."""
    letters = [i for i, char in enumerate(word) if char.isalpha()][1:]
    at = letters[int(place * len(letters))]
    char, after = word[at], word[at + 1 : at + 2]
    near = _NEAR.get(char.lower(), "")
    if kind < 0.25 and near:
        key = near[int(pick * len(near))]
        return word[:at] + (key.upper() if char.isupper() else key) + word[at + 1 :]
    if kind < 0.5 and after.isalpha() and after != char:
        return word[:at] + after + char + word[at + 2 :]
    if kind < 0.75:
        return word[:at] + word[at + 1 :]
    return word[:at] + char + word[at:]


# What is read -> what it is taken for.
_CONFUSIONS: Mapping[str, tuple[str, ...]] = {
    "rn": ("m",), "m": ("rn",), "cl": ("d",), "d": ("cl",), "vv": ("w",), "w": ("vv",),
    "l": ("1", "I"), "1": ("l", "I"), "I": ("l", "1"), "O": ("0",), "0": ("O",),
    "e": ("c",), "c": ("e",), "h": ("b",), "S": ("5",), "5": ("S",), "B": ("8",), "8": ("B",),
    " ": ("",), "": ("-\n",),
}  # fmt: skip
_LOST_SPACE = 0.2  # against a misread character: a page loses few of its many spaces ...
_LINE_END = 0.05  # ... and breaks few of its long words, which have many places for it
_CONFUSABLE = re.compile(r"rn|cl|vv|[mdwlI1O0echS5B8]|(?<=\w) (?=\w)|(?<=[a-z]{3})(?=[a-z]{3})")


def ocr_noise(text: str, rate: float, seed: int) -> str:
    r"""Misreadings of a scanned page: l for 1, O for 0, m for rn, lost spaces, hyphenation.

    Unlike ``typos`` it changes numbers: recognition does not know what matters.

    Args:
        text: what stands on the page.
        rate: expected misreadings by character of the text. They fall on the places where one is
            possible; where these are too few for the rate, all are misread that can be.
        seed: another seed, other misreadings.

    Raises:
        ValueError: the rate is not in [0, 1].
    """
    _check_rate(rate)
    weights = [_weight(match[0]) for match in _CONFUSABLE.finditer(text)]
    share = rate * len(text) / (sum(weights) or 1.0)
    random = _random("ocr_noise", seed, text)

    def misread(match: re.Match[str]) -> str:
        chance, pick = random.random(), random.random()
        if chance >= share * _weight(match[0]):
            return match[0]
        taken_for = _CONFUSIONS[match[0]]
        return taken_for[int(pick * len(taken_for))]

    return _CONFUSABLE.sub(misread, text)


def _weight(read: str) -> float:
    return {" ": _LOST_SPACE, "": _LINE_END}.get(read, 1.0)


QUESTION_WORDS = frozenset(("what", "which", "who", "whom", "whose", "when", "where", "why", "how"))
# "may", "will", "can" and "us" are missing: as names they carry the question. So are negations.
STOP_WORDS = QUESTION_WORDS | frozenset(
    (
        "a", "an", "the", "is", "are", "was", "were", "be", "been", "being", "am", "do", "does",
        "did", "has", "have", "had", "would", "should", "could", "of", "in", "on", "at", "to",
        "for", "by", "with", "from", "as", "and", "or", "that", "this", "these", "those", "there",
        "it", "its",
    )
)  # fmt: skip


_PUNCTUATION = ".,;:!?\"'()[]“”‘’«»¿¡"  # noqa: RUF001 typographic quotes are meant


def content_words(question: str) -> list[str]:
    """An English question's words in their order, without ``STOP_WORDS``; these ask, those mean.

    A capitalised word is a name (``WHO``, ``IT``) unless the question begins with it.
    """
    words = [word.strip(_PUNCTUATION) for word in question.split()]
    return [
        word
        for i, word in enumerate(words)
        if any(char.isalnum() for char in word)  # C++ and $5 keep their signs, a dash alone goes
        and not (word in STOP_WORDS or (i == 0 and word.istitle() and word.lower() in STOP_WORDS))
    ]


def _polite(question: str) -> str:
    inner = _uncapitalised(question)
    if inner is None:
        return f"Could you please answer this for me: {question}"
    return f"Could you tell me {inner}"


def _keywords(question: str) -> str:
    return " ".join(content_words(question)) or question


def _imperative(question: str) -> str:
    inner = _uncapitalised(question)
    told = f"Answer this: {question}" if inner is None else f"Tell me {inner}"
    return _without_mark(told) + "."


def _plain(question: str) -> str:
    return _without_mark(question).lower()


def _in_context(question: str) -> str:
    return f"I am reading about this and want to be sure that I have it right. {question}"


def _uncapitalised(question: str) -> str | None:
    """The question as a clause; None if no question word begins it ("tell me is it" is wrong)."""
    first = re.match(r"\w+", question)
    if first is None or first[0].lower() not in QUESTION_WORDS or first[0].isupper():
        return None
    return first[0].lower() + question[first.end() :]


def _without_mark(question: str) -> str:
    return question.rstrip("?. \t\n")


REWORDINGS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "polite": _polite,
        "keywords": _keywords,
        "imperative": _imperative,
        "plain": _plain,
        "context": _in_context,
    }
)


def reworded(question: str) -> Mapping[str, str]:
    """The same English question in other words, by rule: rule -> question, for ``REWORDINGS``.

    No rule drops a word of ``content_words``. For other languages the frames would be foreign
    bodies: measure those with a model's paraphrases.
    """
    return {rule: reword(question.strip()) for rule, reword in REWORDINGS.items()}


CopyKind = Literal["exact", "words", "boilerplate"]
_COPY_KINDS: tuple[CopyKind, ...] = ("exact", "words", "boilerplate")
_BOILERPLATE = (
    "\n\nThis page was archived for reference. It may be shared with attribution; "
    "please report errors to the editors."
)
# Exchanged without touching a fact; keys are lower case, so that no sentence's beginning is hit.
_EXCHANGED = {
    "the": "this", "and": "and also", "but": "yet", "which": "that", "also": "too",
    "however": "still", "usually": "mostly", "often": "frequently", "because": "since",
}  # fmt: skip
_WORDS_BY_CHANGE = 40


@dataclass(frozen=True, slots=True)
class Duplicated:
    """Documents with copies among them; both mappings go by the copy's id."""

    documents: tuple[Document, ...]
    originals: Mapping[str, str]
    kinds: Mapping[str, CopyKind]


def duplicated(documents: Iterable[Document], share: float, seed: int) -> Duplicated:
    """The documents, and after every one of a ``share`` of them a copy ``<id>~copy1``.

    By turns a copy is exact, has a few function words exchanged (one in forty words, at least
    one), or has a notice appended. Where there is no word to exchange, it gets the notice.

    Raises:
        ValueError: the share is not in [0, 1], or a document's id is already a copy's.
    """
    _check_rate(share)
    given = list(documents)
    chosen = sample(given, round(share * len(given)), seed=seed)
    kinds = {doc.id: _COPY_KINDS[turn % len(_COPY_KINDS)] for turn, doc in enumerate(chosen)}
    taken = {document.id for document in given}
    out: list[Document] = []
    originals: dict[str, str] = {}
    kind_of: dict[str, CopyKind] = {}
    for document in given:
        out.append(document)
        if document.id not in kinds:
            continue
        copy_id = f"{document.id}~copy1"
        if copy_id in taken:
            raise ValueError(f"expected documents without copies, got {copy_id!r} among them")
        text, kind_of[copy_id] = _copied(document.text, kinds[document.id], seed)
        out.append(replace(document, id=copy_id, text=text))
        originals[copy_id] = document.id
    return Duplicated(tuple(out), originals, kind_of)


def _copied(text: str, kind: CopyKind, seed: int) -> tuple[str, CopyKind]:
    if kind == "exact":
        return text, kind
    if kind == "words":
        places = [m for m in re.finditer(r"\w+", text) if m[0] in _EXCHANGED]
        n_changes = max(1, len(text.split()) // _WORDS_BY_CHANGE)
        picked = _random("words", seed, text).sample(places, min(n_changes, len(places)))
        for match in sorted(picked, key=lambda m: m.start(), reverse=True):
            text = text[: match.start()] + _EXCHANGED[match[0]] + text[match.end() :]
        if picked:
            return text, kind
    return text + _BOILERPLATE, "boilerplate"


def paraphrase_messages(question: str) -> list[dict[str, str]]:
    """Chat messages that ask a small model for one paraphrase; check it with ``acceptable``."""
    return [
        {
            "role": "system",
            "content": (
                "You rephrase questions. Reply with one question in the same language that asks "
                "for exactly the same in other words. Keep every name and every number as it is "
                "spelled. Add nothing, do not answer, and write only the question."
            ),
        },
        {"role": "user", "content": f"Rephrase this question:\n{question.strip()}"},
    ]


_MARKS = ("?", "？", "؟")  # noqa: RUF001 the marks of Chinese and Arabic are meant
_SENTENCE_BEGINS = re.compile(r"(?:^|[.!?:]\s+)\W*$")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")


def acceptable(original: str, paraphrase: str) -> bool:
    """Whether a model's paraphrase may stand for the original, in doubt not.

    It must be one question on one line with the same numbers and the same names (words with a
    capital), none added: a model that knows the answer likes to put it in. And it must differ in
    more than case and punctuation. At a sentence's beginning the capital says nothing: there the
    original's word is taken for a name unless it is a stop word, the paraphrase's is not.
    """
    text = paraphrase.strip()
    n_marks = sum(text.count(mark) for mark in _MARKS)
    if "\n" in text or n_marks != 1 or not text.endswith(_MARKS):
        return False
    words, words_before = _words(text), _words(original)
    if words == words_before:
        return False
    if sorted(_NUMBER.findall(text)) != sorted(_NUMBER.findall(original)):
        return False
    inside, beginning = _names(original)
    kept = inside | (beginning - STOP_WORDS)
    return kept <= set(words) and _names(text)[0] <= set(words_before)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in re.findall(r"\w+", text)]


def _names(text: str) -> tuple[set[str], set[str]]:
    """Capitalised words, casefolded: those inside of sentences, those at their beginning.

    A word all in capitals is a name anywhere: ``NASA``.
    """
    inside: set[str] = set()
    beginning: set[str] = set()
    for match in re.finditer(r"\w{2,}", text):
        word = match[0]
        begins = _SENTENCE_BEGINS.search(text[: match.start()])
        if word[0].isupper():
            (beginning if begins and not word.isupper() else inside).add(word.casefold())
    return inside, beginning
