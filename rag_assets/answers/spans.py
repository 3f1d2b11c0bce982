"""Where an answer stands in a passage: the sentences or rows that hold the words a model copied.

Models copy nearly word for word: case, white space, quotation marks and articles differ. What they
copy is compared without these. An answer of several parts ("Rowan, Alder and Tern") may stand in
several places. Words that stand nowhere together were not copied, and such an answer is none.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from rag_assets.retrieval.passages import Passage, Piece, cells_of
from rag_assets.retrieval.terms import coverage, terms

MOST_PLACES = 8
_PART = re.compile(r"[,;\n\u2022&]|\band\b|\bund\b|\bet\b", re.IGNORECASE)
_LEADING = re.compile(r"^(?:(?:the|a|an|der|die|das|ein|eine|le|la|les)\s+)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """Where an answer stands.

    Attributes:
        units: the sentences or rows that hold it, in reading order; at least one.
        whole: whether it stands there word for word, not only all of its words.
    """

    units: tuple[Piece, ...]
    whole: bool


def located(answer: str, passage: Passage, question: str) -> Span | None:
    """Where the answer stands in the passage; None if nowhere.

    Args:
        answer: as the model copied it.
        passage: what it read.
        question: of several places with the answer, the one that speaks most of this is taken.
    """
    units = passage.units()
    wanted = terms(question)
    answer = _LEADING.sub("", answer.strip(" .\"'\u201c\u201d\u2018\u2019"))
    for text in (answer, *([whole] if (whole := _without_unit(answer)) else [])):
        if found := _word_for_word(text, units, wanted):
            return Span(found, whole=True)
    parts = [part.strip() for part in _PART.split(answer) if any(map(str.isalnum, part))]
    if 1 < len(parts) <= MOST_PLACES:
        places = [_word_for_word(_LEADING.sub("", part), units, wanted) for part in parts]
        if all(places):
            return Span(_in_order(units, [unit for place in places for unit in place]), whole=True)
    said = terms(answer)
    held = [index for index, unit in enumerate(units) if said and said <= terms(unit.text)]
    if not held:
        return None
    return Span((units[_nearest(held, units, wanted)],), whole=False)


def completed(cut: str, passage: Passage, question: str) -> tuple[str, Span] | None:
    """The whole of an answer whose copy was cut, and where it stands; None if nowhere.

    It goes on to the end of the sentence, or of the cell, in which the copy ends; where the copy
    is not word for word the passage's, it is all of the sentences or rows that hold it. The copy's
    last word may be cut, too.
    """
    if not folded(cut):
        return None
    units = passage.units()
    begun = re.compile(r"(?<!\w)" + r"\s+".join(map(re.escape, cut.split())), re.IGNORECASE)
    places = {n: found for n, unit in enumerate(units) if (found := begun.search(unit.text))}
    if places:
        nearest = _nearest([*places], units, terms(question))
        unit, found = units[nearest], places[nearest]
        bar = unit.text.find(" |", found.end()) if unit.is_row else -1
        end = bar if bar >= 0 else len(unit.text)
        return unit.text[found.start() : end].strip(), Span((unit,), whole=True)
    for text in (cut, cut.rpartition(" ")[0]):
        span = located(text, passage, question) if text.strip() else None
        if span is not None:
            return " ".join(map(_told, span.units)), span
    return None


def _told(unit: Piece) -> str:
    return ", ".join(filter(None, cells_of(unit.text))) if unit.is_row else unit.text.strip()


_PRONOUN = re.compile(
    r"^\W*(?:she|he|it|they|this|these|its|their|sie|er|es|dies\w*|elle|il|ils|elles)\b",
    re.IGNORECASE,
)


def with_subject(found: Sequence[Piece], passage: Passage, question: str) -> tuple[Piece, ...]:
    """The places with the sentence beside one that says what it leaves out.

    Before "She has no lift" that is the sentence that names her, where the question does, too.
    After a sentence that only names her it is the one that says of her what is asked.
    """
    units = passage.units()
    wanted = terms(question)
    places = [n for n, unit in enumerate(units) if unit in found]
    if len(places) != 1 or found[0].is_row:
        return tuple(found)
    at = places[0]
    said = wanted & terms(units[at].text)
    if _PRONOUN.match(units[at].text):
        around = [at - 1, at] if at and wanted & terms(units[at - 1].text) - said else [at]
    else:
        more = units[at + 1].text if at + 1 < len(units) else ""
        is_of_it = _PRONOUN.match(more) and len(wanted & terms(more)) > len(said)
        around = [at, at + 1] if is_of_it else [at]
    return tuple(units[n] for n in around if n == at or not units[n].is_row)


def _without_unit(answer: str) -> str:
    """Of a number with a word behind it the number: tables name the unit in the header."""
    found = re.match(r"[^\w]*(\d[\d.,:'\u2019\u00a0\u202f ]*\d|\d)\s*[^\W\d]{1,15}\.?$", answer)
    return found.group(1) if found else ""


def _word_for_word(text: str, units: Sequence[Piece], wanted: frozenset[str]) -> tuple[Piece, ...]:
    """The unit that holds the text, or those that it runs over; none where it does not stand."""
    sought = folded(text)
    if not sought:
        return ()
    folds = [folded(unit.text) for unit in units]
    holding = [index for index, fold in enumerate(folds) if _holds(fold, sought)]
    if holding:
        return (units[_nearest(holding, units, wanted)],)
    joined = " ".join(folds)
    at = f" {joined} ".find(f" {sought} ")
    if at < 0:
        return ()
    ends = list(accumulate(len(fold) + 1 for fold in folds))
    begins = [0, *ends[:-1]]
    over = zip(units, begins, ends, strict=True)
    return tuple(unit for unit, begin, end in over if at < end and begin < at + len(sought))


def _holds(fold: str, sought: str) -> bool:
    return f" {sought} " in f" {fold} "


def _nearest(indices: Sequence[int], units: Sequence[Piece], wanted: frozenset[str]) -> int:
    return max(indices, key=lambda index: (coverage(wanted, terms(units[index].text)), -index))


def _in_order(units: Sequence[Piece], found: Sequence[Piece]) -> tuple[Piece, ...]:
    return tuple(unit for unit in units if unit in found)


def folded(text: str) -> str:
    """The words and numbers of a text in lower case, a blank between them.

    "2.10" stays apart from "210", and "7:05" whole; "1 745" is one number.
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"(?<=\d)[ '\u2019](?=\d{3}(?!\d))", "", text)
    return " ".join(re.findall(r"\d+(?:[.,:/-]\d+)*|[^\W\d_]+|[%\u20ac$\u00a3]", text))
