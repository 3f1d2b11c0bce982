"""Times that a question names: "in 2025", "last year", "now", "between 2022 and 2024", "newest".

A number from 1500 to 2099 is a year only where the words around it say so: "1800 kg" and
"at 1930" are none.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

TimeKind = Literal["now", "past", "future", "year", "range", "day", "newest", "oldest"]

_YEAR = r"(?:1[5-9]\d\d|20\d\d)"
_UNIT = (
    r"(?:\s*(?:kg|km|m|t|kWh|MW|kW|euros?|EUR|CHF|USD|dollars?|pounds?|tonnes?|passengers?|people|"
    r"cars?|metres?|meters?|hours?|minutes?|seats?|members?|%|percent|crowns?|francs?|o'clock|"
    r"litres?|words?|pages?|copies|requests?|employees|visitors?|patients?|steps?)\b|[.,]\d|"
    r"\s*[€$£%]|:\d\d)"
)
_CLOCK_BEFORE = re.compile(r"\b(?:at|open at|close at|clock)\s+$", re.IGNORECASE)
_BEFORE = re.compile(
    r"(?:\b(?:in|since|during|of|for|by|until|till|before|after|from|to|between|and|or|year|years|"
    r"vs\.?|than|spring|summer|autumn|fall|winter|season|budget|report|census|edition|"
    r"the|early|late|mid|im|seit|vor|nach|jahr|bis|en|depuis|than in|January|February|March|April|"
    r"May|June|July|August|September|October|November|December|\d{1,2}(?:st|nd|rd|th)?,?)"
    r"|[,(\u2013-])\s*$",
    re.IGNORECASE,
)
_RANGE = re.compile(
    rf"\b(?:between|from|over|during|zwischen|von)\s+(?P<first>{_YEAR})\s*"
    rf"(?:and|to|until|till|through|und|bis|[-\u2013])\s*(?:in )?(?P<last>{_YEAR})\b"
    rf"|\b(?P<first2>{_YEAR})\s*[-\u2013]\s*(?P<last2>{_YEAR})\b",
    re.IGNORECASE,
)
_RELATIVE: tuple[tuple[TimeKind, str, int], ...] = (
    ("now", r"now|today|currently|at present|at the moment|current|present|these days|this year|"
            r"as of today|nowadays|heute|jetzt|zurzeit|aktuell\w*|dieses jahr|aujourd'hui|"
            r"actuellement", 0),
    ("past", r"the year before last|vorletztes jahr", -2),
    ("past", r"last year|previous year|the year before|letztes jahr|letzten jahr|im vorjahr", -1),
    ("future", r"next year|the coming year|nächstes jahr", 1),
    ("newest", r"newest|latest|most recent(?:ly)?|neueste\w*|aktuellste\w*", 0),
    ("oldest", r"oldest|earliest", 0),
)  # fmt: skip
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
MONTH = rf"(?i:{'|'.join(_MONTHS)})"
_DAY = re.compile(
    rf"\b(?:(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?P<m>{'|'.join(_MONTHS)})"
    rf"|(?P<m2>{'|'.join(_MONTHS)})\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,?"
    rf"|(?P<m3>{'|'.join(_MONTHS)})),?\s+(?P<y>{_YEAR})\b"
    rf"|\b(?P<iso>{_YEAR}-\d\d-\d\d)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class When:
    """A time as a question names it.

    Attributes:
        text: the words.
        kind: what they are.
        first: first year; of "last year" the years from this one (-1); 0 for now.
        last: last year, likewise.
        start: first day of a ``day``, "" otherwise (ISO).
        end: last day of it.
    """

    text: str
    kind: TimeKind
    first: int = 0
    last: int = 0
    start: str = ""
    end: str = ""

    def period(self, today: date) -> tuple[date, date] | None:
        """First and last day, None for the newest and the oldest."""
        if self.kind == "day":
            return date.fromisoformat(self.start), date.fromisoformat(self.end)
        if self.kind in ("year", "range"):
            return date(self.first, 1, 1), date(self.last, 12, 31)
        if self.kind == "now":
            return today, today
        if self.kind in ("past", "future"):
            year = today.year + self.first
            return date(year, 1, 1), date(year, 12, 31)
        return None


def times_in(question: str) -> tuple[When, ...]:
    """The times that ``question`` names, in order."""
    found: list[tuple[int, When]] = []
    taken: list[tuple[int, int]] = []

    def free(match: re.Match[str]) -> bool:
        if any(match.start() < end and start < match.end() for start, end in taken):
            return False
        taken.append(match.span())
        return True

    days = [(match, when) for match in _DAY.finditer(question) if (when := _day(match))]
    found.extend((match.start(), when) for match, when in days if free(match))
    for match in _RANGE.finditer(question):
        first, last = match["first"] or match["first2"], match["last"] or match["last2"]
        if int(first) <= int(last) and free(match):
            found.append((match.start(), When(match.group(), "range", int(first), int(last))))
    for match in re.finditer(rf"(?<![\w.,:/-]){_YEAR}(?![\w/])", question):
        if is_year(question, match.start(), match.end()) and free(match):
            year = int(match.group())
            found.append((match.start(), When(match.group(), "year", year, year)))
    for kind, words, years in _RELATIVE:
        found.extend(
            (match.start(), When(match.group(), kind, years, years))
            for match in re.finditer(rf"\b(?:{words})\b", question, re.IGNORECASE)
            if free(match)
        )
    return tuple(when for _, when in sorted(found, key=lambda item: item[0]))


def is_year(question: str, start: int, end: int) -> bool:
    """Whether the four digits at ``start`` are a year by the words around them."""
    if re.match(_UNIT, question[end:], re.IGNORECASE):
        return False
    before = question[:start]
    if _CLOCK_BEFORE.search(before):
        return False
    if start == 0 or re.match(r"\W*$", before):
        return True
    if _BEFORE.search(before):
        return True
    # "the 2024 freight rate", "annual report 2023": beside a noun and no unit behind.
    return re.search(r"[a-z]\s$", before) is not None and not re.search(
        r"\b(?:is|are|than|least|most|only|about|over|under|below|above|cost|costs|exactly|room|"
        r"number|channel|gate|line|route|flight|train|bus|call|dial|extension|port|code|article|"
        r"section|paragraph|clause|no|nr)\.?\s$",
        before, re.IGNORECASE,
    )  # fmt: skip


def _day(match: re.Match[str]) -> When | None:
    if match["iso"]:
        iso = match["iso"]
        try:
            date.fromisoformat(iso)
        except ValueError:
            return None
        return When(match.group(), "day", int(iso[:4]), int(iso[:4]), iso, iso)
    year = int(match["y"])
    month = _MONTHS.index((match["m"] or match["m2"] or match["m3"]).casefold()) + 1
    number = match["d"] or match["d2"]
    try:
        start = date(year, month, int(number) if number else 1)
    except ValueError:
        return None
    after = date(year + month // 12, month % 12 + 1, 1)
    end = start if number else after - timedelta(days=1)
    return When(match.group(), "day", year, year, start.isoformat(), end.isoformat())
