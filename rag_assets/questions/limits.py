"""Whether a value in a question keeps to the limit or the hours that a sentence states.

Small models cannot tell that 230 cm is more than "not higher than 210 cm", or that 19:30 lies
between 07:00 and 21:00. Where question and sentence are plain, code compares; else it says nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag_assets.questions.spans import read
from rag_assets.questions.times import is_year
from rag_assets.questions.values import IncommensurableError, Value, compared
from rag_assets.retrieval.terms import terms
from rag_assets.retrieval.times import NAMES_OF_TIMES

_NUMERAL = (
    r"(?:\d[\d.,'\u2019]*\d|\d|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
)
_AMOUNT = re.compile(
    rf"(?<![\w.,:])(?:[€$£] ?)?{_NUMERAL}(?![\w:]|[.,]\d)"
    r"(?:[ -](?!(?:too|enough|is|are|be|or|of|for|allowed|okay|ok|at|on|in|to|per)\b)[^\W\d_]\w*)?",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?:(?<![\w.,:])(?:[01]?\d|2[0-4]):[0-5]\d(?!\d)(?: ?[ap]\.?m\b)?"
    r"|(?<![\w.,:])(?:1[0-2]|[1-9]) ?[ap]\.?m\b|\b(?:noon|midnight)\b)",
    re.IGNORECASE,
)
_AT = re.compile(
    rf"\b(?:at|by|after|um) (?P<at>{_CLOCK.pattern}|(?:[01]\d|2[0-3])[0-5]\d(?! ?[a-z%€$£]))", re.I
)
_WITHIN = re.compile(
    r"\b(?:can|may|allowed|permitted|open|use|fit|carry|bring|take|valid|accept(?:ed|s)?|okay|ok|"
    r"possible|bear|hold|enough|sufficient|within)\b",
    re.IGNORECASE,
)
_BEYOND = re.compile(r"\btoo \w+|\b(?:closed|exceeds?|over the limit|forbidden|prohibited)\b", re.I)
_DENIED = re.compile(r"\b(?:not|no|never|without)\b|n't\b", re.IGNORECASE)
_MORE = r"(?:more|higher|heavier|longer|wider|larger|taller|older|bigger|greater|faster|later) than"
_LESS = r"(?:less|fewer|lower|lighter|shorter|narrower|smaller|younger|slower|earlier) than"
_NOT = r"(?:no|not|never|n't|cannot)\s+(?:\w+\s+){0,2}?"
_MOST = re.compile(
    r"(?:\bup to|\bat most|\bmaximum(?: \w+)?(?: of| is|:)?|\bmax\.?|"
    rf"\blimit(?:ed)?(?: of| to| is|:)|\b{_NOT}{_MORE}|"
    rf"\b{_NOT}(?:exceed|over|above)|bis zu|höchstens|maximal)\s*$",
    re.IGNORECASE,
)
_LEAST = re.compile(
    rf"(?:\bat least|\bminimum(?: \w+)?(?: of| is|:)?|\bmin\.?|\b{_NOT}{_LESS}|"
    rf"\b{_NOT}(?:under|below)|mindestens)\s*$",
    re.IGNORECASE,
)
_AFTER_MOST = re.compile(r"\s*(?:or (?:less|fewer|under)|at (?:the )?most|maximum)\b", re.I)
_AFTER_LEAST = re.compile(r"\s*(?:or (?:more|over|older)|and (?:over|above|older)|minimum)\b", re.I)
_HOURS = re.compile(
    rf"(?:from |between )?(?P<a>{_CLOCK.pattern})\s*(?:to|until|till|and|-|\u2013|bis)\s*"
    rf"(?P<b>{_CLOCK.pattern})",
    re.IGNORECASE,
)
_OPENS = re.compile(rf"\bopens? at (?P<at>{_CLOCK.pattern})", re.IGNORECASE)
_CLOSES = re.compile(rf"\bcloses? at (?P<at>{_CLOCK.pattern})", re.IGNORECASE)
_DIMENSIONS = tuple(
    frozenset(words.split())
    for words in (
        "high higher height tall taller low lower",
        "wide wider width broad narrow narrower",
        "long longer length short shorter",
        "heavy heavier weight weigh weighs load bear bears light lighter",
        "deep deeper depth draught",
    )
)


@dataclass(frozen=True, slots=True)
class Limit:
    """The lowest and the highest value that keeps to it; None: none."""

    least: Value | None
    most: Value | None


def value_in(question: str) -> Value | None:
    """The one amount or time of day that a question for yes or no names; None for none."""
    clock = _AT.search(question)
    if clock:
        return read(clock["at"], "time")
    found = [value for _, _, value in _amounts(question)]
    return found[0] if len(found) == 1 else None


def keeps(question: str, sentence: str) -> bool | None:
    """Yes or no by the limit in a sentence; None where code cannot tell.

    Args:
        question: for yes or no, with one value: "Can a van of 230 cm use the lift?"
        sentence: of a document: "Vehicles must not be higher than 210 cm."
    """
    value = value_in(question)
    within, beyond = _WITHIN.search(question), _BEYOND.search(question)
    if value is None or _DENIED.search(question) or not (within or beyond):
        return None
    if _names(sentence) - _names(question) or _is_of_other(question, sentence):
        return None
    limits = _hours_in(sentence) if value.kind == "time" else _limits_in(sentence)
    said = {kept for limit in limits if (kept := _kept(value, limit)) is not None}
    if not said:
        return None
    kept = True in said if value.kind == "time" else said == {True}
    if value.kind != "time" and len(said) > 1:
        return None
    return not kept if beyond else kept


def _names(text: str) -> frozenset[str]:
    """Weekdays and months: hours of a Sunday say nothing of other days."""
    words = re.findall(r"[^\W\d_]+", text.casefold())
    return frozenset(word.removesuffix("s") for word in words if word.removesuffix("s") in _DAYS)


_DAYS = NAMES_OF_TIMES - {"may", "mar", "mars", "sept", "march"}


def _is_of_other(question: str, sentence: str) -> bool:
    """Whether the question asks for the height and the sentence is of the width."""
    asked, told = (set(re.findall(r"[a-z]+", text.casefold())) for text in (question, sentence))
    of = [words for words in _DIMENSIONS if words & asked]
    return bool(of) and any(words & told for words in _DIMENSIONS) and not any(
        words & told for words in of
    )  # fmt: skip


def _amounts(text: str) -> Iterator[tuple[int, int, Value]]:
    for found in _AMOUNT.finditer(text):
        digits = re.match(r"\d{4}(?!\d)", found[0])
        if digits and len(found[0]) == 4 and is_year(text, found.start(), found.end()):
            continue
        value = read(found[0].replace("-", " "))
        if value is not None and value.kind in ("number", "measure", "money"):
            number = re.match(rf"(?:[€$£] ?)?{_NUMERAL}", found[0], re.IGNORECASE)
            yield found.start(), found.start() + len(number[0]) if number else found.end(), value


def _limits_in(sentence: str) -> Iterator[Limit]:
    for start, end, value in _amounts(sentence):
        unit = re.match(r"[ -][^\W\d_]+", sentence[end:])
        behind = sentence[end + (len(unit[0]) if unit else 0) :]
        if _MOST.search(sentence[:start]) or _AFTER_MOST.match(behind):
            yield Limit(None, value)
        elif _LEAST.search(sentence[:start]) or _AFTER_LEAST.match(behind):
            yield Limit(value, None)


def _hours_in(sentence: str) -> Iterator[Limit]:
    ranges = list(_HOURS.finditer(sentence))
    for found in ranges:
        yield Limit(read(found["a"], "time"), read(found["b"], "time"))
    opens, closes = _OPENS.search(sentence), _CLOSES.search(sentence)
    if not ranges and opens and closes:
        yield Limit(read(opens["at"], "time"), read(closes["at"], "time"))


def _kept(value: Value, limit: Limit) -> bool | None:
    """Whether a value keeps to a limit; at the closing hour nobody knows."""
    try:
        low = None if limit.least is None else compared(value, limit.least)
        high = None if limit.most is None else compared(value, limit.most)
    except IncommensurableError:
        return None
    if value.kind != "time":
        return (low is None or low >= 0) and (high is None or high <= 0)
    if limit.least is None or limit.most is None or low is None or high is None or high == 0:
        return None
    if compared(limit.least, limit.most) > 0:  # over midnight
        return low >= 0 or high < 0
    return low >= 0 and high < 0


_SUBJECT = re.compile(
    r"^\W*(?:is|are|will|would|does|do|can) (?:the |a |an )?(?P<of>(?:[\w'-]+ ){1,5}?)"
    r"(?=(?:open|closed|at|in|on|of|by|be|still|already)\b)",
    re.IGNORECASE,
)
_WITHOUT_SUBJECT = re.compile(r"^\W*(?:it|they|we|open|opening|daily|hours)\b|\|", re.IGNORECASE)


def _speaks_of(question: str, sentence: str, title: str) -> bool:
    """Whether hours are those of what a question names: "the kiosk"."""
    found = _SUBJECT.match(question)
    of = terms(found["of"]) if found else frozenset()
    return of <= terms(sentence) or (
        of <= terms(title) and _WITHOUT_SUBJECT.search(sentence) is not None
    )


def told_by(question: str, sentences: list[str], title: str = "") -> tuple[bool, int] | None:
    """Yes or no, and the index of the sentence whose limit tells it; None where code cannot.

    Of several, those that share most words with the question count, and they must agree. Hours are
    those of their sentence's subject, or of the title where it has none.
    """
    wanted = terms(question)
    is_of_hours = _AT.search(question) is not None
    said = [
        (len(wanted & terms(sentence)), kept, n)
        for n, sentence in enumerate(sentences)
        if (kept := keeps(question, sentence)) is not None
        and (not is_of_hours or _speaks_of(question, sentence, title))
    ]
    best = [one for one in said if one[0] == max(said)[0]]
    if len({kept for _, kept, _ in best}) != 1:
        return None
    return best[0][1], best[0][2]
