"""Names in a question that no document holds: "MV Heron" where the documents know MV Tern.

Search always finds something, and a small model answers from it as if it had been asked about that.
A name is a word with a capital, or several in a row; a code ("HX-200"); or what stands in quotes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rag_assets.index.search import Hit, IndexReader
from rag_assets.retrieval.languages import GERMAN, language_of
from rag_assets.retrieval.spelling import folded, is_held, near_spelling
from rag_assets.retrieval.terms import STOP_WORDS, sentences, stem
from rag_assets.retrieval.times import NAMES_OF_TIMES

N_READ = 20  # chunks read for a name of several words
_TOKEN = re.compile(r"[^\W_]+(?:[\u2019'&./-][^\W_]+)*")
_QUOTED = re.compile(
    '"([^"]{2,80})"|\u201c([^\u201d]{2,80})\u201d|\u201e([^\u201c\u201d]{2,80})[\u201c\u201d]'
    "|\u00ab([^\u00bb]{2,80})\u00bb"
)
_POSSESSIVE = re.compile("['\u2019]s?$")
_MEASURE = re.compile(r"\d+(?:[.,:]\d+)*[^\W\d_]{1,4}")  # 500ml, 7th, 1990s, 10am
_PARTS = re.compile(r"[^\W\d_]+|\d+")
_PAIR = re.compile(r"\b(?:von|zwischen)\s+(\w+)\s+(?:nach|und|bis)\s+(\w+)")
MOST_TITLED = 0.5  # share of small words with a capital that makes a headline: "What Does It Cost"


@dataclass(frozen=True, slots=True)
class Name:
    """A name of a question, and whether the documents hold it.

    Attributes:
        text: as the question writes it.
        state: "held" as it is written, but for case and accents; "near", where only another
            spelling is held; or "unknown".
        taken_as: the other spelling; "" if there is none.
    """

    text: str
    state: Literal["held", "near", "unknown"]
    taken_as: str = ""

    def told(self) -> str:
        """A sentence for the reader of an answer; "" of a name that is held."""
        if self.state == "held":
            return ""
        if self.state == "near":
            return f'No document mentions "{self.text}"; it is taken as "{self.taken_as}".'
        return f'No document mentions "{self.text}".'


def unknown_names(reader: IndexReader, question: str) -> list[Name]:
    """The names of a question that no document holds as they are written, in their order.

    Args:
        reader: the generation to search.
        question: any text.
    """
    return [name for name in names_of(reader, question) if name.state != "held"]


def names_of(reader: IndexReader, question: str) -> list[Name]:
    """All names of a question, each with whether the documents hold it; see ``unknown_names``."""
    if not reader.has_text_index:
        return []
    return [_looked_up(reader, words) for words in dict.fromkeys(written_names(question))]


def telling(reader: IndexReader, names: Sequence[str]) -> dict[str, float]:
    """How much each name tells of a place that lacks it, in [0, 1].

    The name of a company stands in half of its documents, and their passages are about it all the
    same: such a name tells nothing. One that few documents hold tells most.
    """
    return {name: max(0.0, 1.0 - 2.0 * reader.share_with(name)) for name in names}


def written_names(question: str) -> Iterator[tuple[str, ...]]:
    """What is written as a name: its words, without those that begin a sentence.

    In German, where all nouns have capitals, one word alone is no name, but for the two of a way
    ("von Norrick nach Fell").
    """
    for found in _QUOTED.finditer(question):
        yield tuple(_TOKEN.findall(" ".join(filter(None, found.groups()))))
    rest = _QUOTED.sub(" , ", question)
    language = language_of(question)
    common = language.words | STOP_WORDS | NAMES_OF_TIMES
    told = [rest[start:end] for start, end in sentences(rest)]
    is_titled = _is_titled([w for one in told for w in _TOKEN.findall(one)[1:]], common)
    pairs = {name for found in _PAIR.finditer(rest) for name in found.groups()}
    for sentence in told:
        for run in _runs(sentence, common, is_titled=is_titled):
            is_alone = len(run) == 1 and not _is_code(run[0]) and run[0] not in pairs
            if not (is_alone and language is GERMAN):
                yield run


def _is_titled(words: Sequence[str], common: frozenset[str]) -> bool:
    """Whether words within sentences begin with capitals anyway, so that these say nothing."""
    small = [word for word in words if word.casefold() in common and word.isalpha()]
    told_by = small or (words if len(words) > 2 else [])
    share = sum(word[0].isupper() for word in told_by) / max(1, len(told_by))
    return share >= MOST_TITLED if small else share == 1


def _runs(sentence: str, common: frozenset[str], *, is_titled: bool) -> Iterator[tuple[str, ...]]:
    """Words with capitals that follow each other, and codes."""
    run: list[str] = []
    reached = -1
    is_first = True
    for found in _TOKEN.finditer(sentence):
        word = _POSSESSIVE.sub("", found[0])
        joins = sentence[reached : found.start()].isspace() if run else True
        is_name = _is_code(word) or (
            word[:1].isupper()
            and word.casefold() not in common
            and len(word) > 1
            and not is_first
            and not is_titled
        )
        if run and not (is_name and joins):
            yield tuple(run)
            run = []
        if is_name:
            run.append(word)
            reached = found.start() + len(word)
        is_first = False
    if run:
        yield tuple(run)


def _is_code(word: str) -> bool:
    """Letters with digits, or capitals alone; no measure and no number in words."""
    has_digit = any(char.isdigit() for char in word)
    has_letter = any(char.isalpha() for char in word)
    return has_digit and has_letter and _MEASURE.fullmatch(word) is None


def _looked_up(reader: IndexReader, words: Sequence[str]) -> Name:
    text = " ".join(words)
    apart = " ".join(_PARTS.findall(text))  # a code as the documents may write it: HX200, HX-200
    hits = reader.search(f"{text} {apart}", None, limit=N_READ, n_candidates=N_READ)
    if len(words) == 1 and _is_code(text):
        code = r"[\W_]*".join(_PARTS.findall(folded(text)))
        whole = re.compile(rf"(?<![^\W_]){code}(?![^\W_])")
        is_found = any(whole.search(folded(_read(hit))) for hit in hits)
        return Name(text, "held" if is_found else "unknown")
    parts = _stems(text)
    if any(parts <= _stems(_read(hit)) for hit in hits):
        return Name(text, "held")
    taken = []
    for word in words:
        if all(is_held(reader, part) for part in re.findall(r"[^\W_]+", word)):
            taken.append(word)
            continue
        near = near_spelling(reader, word, only_names=True)
        if near is None:
            return Name(text, "unknown")
        taken.append(near)
    if taken == list(words):  # of several words each is held, in no place with the others
        return Name(text, "held" if len(words) == 1 else "unknown")
    return Name(text, "near", " ".join(taken))


def _read(hit: Hit) -> str:
    chunk = hit.chunk
    return "\n".join([chunk.uri, chunk.title, *chunk.heading_path, chunk.text])


def _stems(text: str) -> set[str]:
    return {stem(word) for word in re.findall(r"[^\W_]+", folded(text))}
