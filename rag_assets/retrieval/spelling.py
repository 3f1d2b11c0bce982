"""Typing errors: which word of the documents a word that stands in none of them is meant to be.

The text index holds stems, and LanceDB's own fuzzy search compares those: "Normndy" finds nothing,
and "univercity" what any of fifty stems is near to. So the spellings that one slip of the hand
leads to are looked up themselves, all in one search, and the texts found say which of them exist.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from rag_assets.index.search import Hit, IndexReader
from rag_assets.retrieval.languages import language_of
from rag_assets.retrieval.terms import STOP_WORDS

MIN_LETTERS = 4  # of a word that may be a slip; shorter ones are one slip from too many others
MIN_TWO_SLIPS = 6  # letters of a word that may hold two
N_READ = 20  # chunks read for the words in them
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORD = re.compile(r"[^\W\d_]+")
_ASKED = re.compile(r"\b[^\W\d_]+\b(?!['\u2019](?:t|re|ve|ll|d)\b)")  # no half of "aren't"
# What is no letter with a mark above it.
_UNMARKED = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th"})


def folded(text: str) -> str:
    """Lower case, without accents, as the text index folds it."""
    parted = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in parted if not unicodedata.combining(c)).translate(_UNMARKED)


def slips(word: str) -> set[str]:
    """The spellings that one slip makes of a folded word.

    A letter is left out, added, exchanged, or swapped with the next. First letters stay, as people
    mostly get them right. What only adds or drops an ending is left out: that is another form of
    the word, or another word ("purse", "purser").
    """
    made = set()
    for place in range(1, len(word)):
        head, tail = word[:place], word[place:]
        made.add(head + tail[1:])
        made.add(head + tail[1:2] + tail[:1] + tail[2:])
        for letter in _LETTERS:
            made.add(head + letter + tail)
            made.add(head + letter + tail[1:])
    return made - {word, word[:-1]}


def is_held(reader: IndexReader, word: str) -> bool:
    """Whether a chunk holds the word, in any form that its stem has."""
    return bool(reader.search(word, None, limit=1, n_candidates=1))


def near_spelling(reader: IndexReader, word: str, *, only_names: bool = False) -> str | None:
    """The word of the documents that this one is a slip of; None if there is none.

    Of several the one is taken that is nearest, then the most frequent in what was found.

    Args:
        reader: the generation to search.
        word: one that no chunk holds.
        only_names: whether it has to be written with a capital, and to be longer than other words
            by a letter, for two slips by two: names are near to each other.
    """
    wanted = folded(word)
    if len(wanted) < MIN_LETTERS + only_names or not wanted.isascii():
        return None
    near = slips(wanted)
    hits = reader.search(" ".join(sorted(near)), None, limit=N_READ, n_candidates=N_READ)
    found = Counter(
        other
        for other in _words(hits)
        if folded(other) in near and (other[0].isupper() or not only_names)
    )
    if not found and len(wanted) >= MIN_TWO_SLIPS + 2 * only_names:
        found = _two_slips(wanted, near, reader.search_near(wanted, limit=N_READ))
        found = Counter({o: n for o, n in found.items() if o[0].isupper() or not only_names})
    return max(found, key=lambda other: (found[other], other)) if found else None


def _two_slips(wanted: str, near: set[str], hits: Iterable[Hit]) -> Counter[str]:
    """Words two slips away, of those that LanceDB's fuzzy search finds."""
    return Counter(
        other
        for other in _words(hits)
        if folded(other)[:2] == wanted[:2]
        and abs(len(other) - len(wanted)) <= 1
        and not near.isdisjoint(slips(folded(other)))
    )


def respelled(reader: IndexReader, question: str, hits: Sequence[Hit]) -> str:
    """The question with its typing errors put right by the words of the documents.

    A question in a language that none of what was found is in stays as it is.

    Args:
        reader: the generation to search.
        question: any text.
        hits: what the search found for it: words in them need no look-up.
    """
    language = language_of(question)
    is_told = any(word.casefold() in language.words for word in _WORD.findall(question))
    if is_told and hits and all(hit.chunk.language != language.code for hit in hits):
        return question
    read = {folded(word) for word in _words(hits)}
    common = language.words | STOP_WORDS
    mended: dict[str, str] = {}
    for word in dict.fromkeys(_ASKED.findall(question)):
        plain = word.casefold()
        if len(word) < MIN_LETTERS or plain in common or folded(word) in read:
            continue
        if is_held(reader, word):
            continue
        is_name = word[0].isupper() and not question.lstrip().startswith(word)
        near = near_spelling(reader, word, only_names=is_name)
        if near is not None:
            mended[word] = near
    return _ASKED.sub(lambda match: mended.get(match[0], match[0]), question)


def _words(hits: Iterable[Hit]) -> list[str]:
    texts = ("\n".join([hit.chunk.title, *hit.chunk.heading_path, hit.chunk.text]) for hit in hits)
    return [word for text in texts for word in _WORD.findall(text)]
