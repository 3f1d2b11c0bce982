"""The time that a question asks about, and which chunks are of that time."""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from rag_assets.index.search import IndexedChunk
from rag_assets.retrieval.marks import day_of, version_key, version_mark

OF_THE_TIME = 1.5  # factor on a chunk's score where its document or section is of the time
NEWEST = 1.25  # factor for the newest of the documents found; 1 for the oldest
OLDER = 0.7  # factor, for each newer one of the same name, where the newest is asked for
_MONTHS = {
    name: number
    for number, names in enumerate(
        """
        january januar jänner janvier enero gennaio janeiro januari jan
        february februar février febrero febbraio fevereiro februari feb
        march märz mars marzo março maart mar
        april avril abril aprile apr
        may mai mayo maggio maio mei
        june juni juin junio giugno junho jun
        july juli juillet julio luglio julho jul
        august août agosto augustus aug
        september septembre septiembre settembre setembro sept sep
        october oktober octobre octubre ottobre outubro oct okt
        november novembre noviembre novembro nov
        december dezember décembre diciembre dicembre dezembro dec dez
        """.strip().splitlines(),
        start=1,
    )
    for name in names.split()
}
_WEEKDAYS = """
monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag
samstag sonnabend sonntag lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes miércoles
jueves viernes sábado domingo lunedì martedì mercoledì giovedì venerdì sabato domenica segunda terça
quarta quinta sexta maandag dinsdag woensdag donderdag vrijdag zaterdag zondag
"""
NAMES_OF_TIMES = frozenset(_MONTHS) | frozenset(_WEEKDAYS.split())
_MONTH = rf"({'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_YEAR = r"(?<![^\W_])(?<!\d[.,:])([12]\d{3})(?![^\W_]|[.,:]\d)"
_ISO = r"(?<!\d)([12]\d{3})[-_/.](0[1-9]|1[0-2])(?:[-_/.](?:0[1-9]|[12]\d|3[01]))?(?![^\W_])"
_OF_MONTH = (
    rf"{_MONTH}(?:\s+\d{{1,2}}(?:st|nd|rd|th)?,?)?[\s_-]+(?:de\s+|of\s+)?([12]\d{{3}})(?!\d)"
)
NAMED_TIME = re.compile(rf"{_ISO}|(?<![^\W_]){_OF_MONTH}|{_YEAR}", re.IGNORECASE)
# Before a year that is asked about; after a number of things: "in 2025", but "for 1800 kg".
_ASKS_YEAR = re.compile(
    r"\b(?:in|of|for|during|by|through|year|im|jahr|für|en|de|del|nel|em|van|and|und|et|y|e|to)\s+$",
    re.IGNORECASE,
)
_UNIT = re.compile(r"\s*(?:[^\W\d_]{1,3}\b(?<!on)(?<!in)(?<!at)(?<!or)(?<!and)|[€$£%])", re.I)
_BETWEEN = re.compile(
    rf"\b(?:between|from|zwischen|von|entre|de|tra|tussen|van)\s+{_YEAR}\s*"
    rf"(?:and|to|until|through|und|bis|et|à|y|a|e|en|tot|[-\u2013])\s*(?:in\s+)?{_YEAR}",
    re.IGNORECASE,
)
_SINCE = re.compile(rf"\b(?:since|after|seit|nach|depuis|après|desde|dal|sinds)\s+{_YEAR}", re.I)
_BEFORE = re.compile(rf"\b(?:before|until|vor|bis|avant|antes de|prima del|voor)\s+{_YEAR}", re.I)
_NEWEST = re.compile(
    r"""\b(?:now|nowadays|today|tonight|current(?:ly)?|at\s+present|latest|newest|most\s+recent
    |up\s+to\s+date|these\s+days|jetzt|heute|heutzutage|aktuell\w*|derzeit|momentan|zurzeit
    |neueste\w*|maintenant|aujourd['\u2019]hui|actuel\w*|ahora|hoy|actual(?:es|mente)?|último|última
    |adesso|oggi|attual\w*|agora|hoje|atual\w*|vandaag|huidige?|nieuwste)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_STEPS = (
    (-1, r"last|previous|past|letzte[snm]?|vorige[snm]?|vorig|vergangene[snm]?"),
    (0, r"this|diese[snm]?|dit|cette|este|questo"),
    (1, r"next|coming|nächste[snm]?|kommende[snm]?|volgend"),
)
_A_YEAR, _A_MONTH = r"(?:year|jahr|jaar|année|año|anno|ano)", r"(?:month|monat|maand|mois|mes)"
_RELATIVE_YEAR = (
    *((steps, re.compile(rf"\b(?:{words})\s+{_A_YEAR}\b", re.I)) for steps, words in _STEPS),
    (-2, re.compile(r"\bthe year before last\b", re.IGNORECASE)),
    (-1, re.compile(rf"\b(?:vorjahr\w*|{_A_YEAR}\s+(?:dernière|pasado|passado|scorso))\b", re.I)),
)
_RELATIVE_MONTH = tuple(
    (steps, re.compile(rf"\b(?:{words})\s+{_A_MONTH}\b", re.I)) for steps, words in _STEPS
)
# Present tense, and nothing that asks for another time or for all of them.
_PRESENT = re.compile(
    r"\b(?:is|are|do|does|has|have|can|may|must|costs?|ist|sind|hat|haben|kann|darf|muss|kostet|"
    r"kosten)\b",
    re.IGNORECASE,
)
_NOT_NOW = re.compile(
    r"\b(?:was|were|did|had|will|when|since|ever|first|last|history|each|every|all|years?|list|"
    r"war|waren|hatten?|wann|wird|werden|seit)\b",
    re.IGNORECASE,
)
_AT_TIME = re.compile(
    rf"\b(?:in|on|of|during|for|im(?: Jahr)?|am)\s+(?:the\s+)?(?:year\s+)?(?:\d{{1,2}}\.?\s+)?"
    rf"(?:{_ISO}|{_OF_MONTH}|{_YEAR})|\b(?:right\s+)?(?:now|nowadays|today|tonight|currently|"
    r"at\s+present|these\s+days|jetzt|heute|heutzutage|derzeit|momentan|zurzeit)\b",
    re.IGNORECASE,
)
_Age = tuple[tuple[int, ...], date]  # version, last day
_AGELESS: _Age = ((), date.min)


@dataclass(frozen=True, slots=True)
class Span:
    """Days from ``first`` to ``last``, both included."""

    first: date
    last: date

    def meets(self, other: "Span") -> bool:
        """Whether they share a day."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Times:
    """The times that a question asks about.

    Attributes:
        spans: all of them.
        newest: whether it asks how things are now, or for the newest of something.
        words: how documents write what the question leaves to the calendar: of "last month" in
            November 2026 these are "October" and "2026", of "today" it is "2026".
    """

    spans: tuple[Span, ...] = ()
    newest: bool = False
    words: tuple[str, ...] = ()


NO_TIMES = Times()


@dataclass(frozen=True, slots=True)
class Period:
    """The days that an answer is to be of.

    Attributes:
        spans: of these; empty: of any.
        is_named: whether the question names them, other than as "now".
    """

    spans: tuple[Span, ...] = ()
    is_named: bool = False


ANY_TIME = Period()


def wanted_times(question: str, today: date) -> Times:
    """The times that a question asks about, read on the day on which it is asked."""
    ranges = [Span(_year(a).first, _year(b).last) for a, b in _BETWEEN.findall(question) if a <= b]
    ranges += [Span(_year(year).first, date.max) for year in _SINCE.findall(question)]
    ranges += [Span(date.min, _year(year).last) for year in _BEFORE.findall(question)]
    spans = ranges or [
        span_of(found)
        for found in NAMED_TIME.finditer(question)
        if found[5] is None or _is_year(question, found)
    ]
    words: list[str] = []
    for steps, pattern in _RELATIVE_YEAR:
        if pattern.search(question):
            spans.append(_year(today.year + steps))
            words.append(str(today.year + steps))
    for steps, pattern in _RELATIVE_MONTH:
        if pattern.search(question):
            year, month = divmod(today.year * 12 + today.month - 1 + steps, 12)
            spans.append(_month(year, month + 1))
            words += [calendar.month_name[month + 1], str(year)]
    newest = _NEWEST.search(question) is not None
    if newest and not words:
        words.append(str(today.year))
    return Times(tuple(dict.fromkeys(spans)), newest, tuple(dict.fromkeys(words)))


def period_of(question: str, today: date) -> Period:
    """The days that an answer to a question, asked today, is to be of."""
    times = wanted_times(question, today)
    if times.spans:
        return Period(times.spans, is_named=True)
    return Period((Span(today, today),)) if is_of_now(question) else ANY_TIME


def without_time(question: str) -> str:
    """The question without the one time that it names; as it is where it names several."""
    if len(NAMED_TIME.findall(question)) + len(_NEWEST.findall(question)) != 1:
        return question
    return " ".join(_AT_TIME.sub("", question).split()).replace(" ?", "?")


def is_of_now(question: str) -> bool:
    """Whether a question asks how things are on the day on which it is asked.

    It says so, or it is in the present tense and names no time.
    """
    if _NEWEST.search(question):
        return True
    return _PRESENT.search(question) is not None and _NOT_NOW.search(question) is None


_STEPS_IN_WORDS = (
    (-1, "last|previous", "letzte[snm]?|vorige[snm]?|vergangene[snm]?"),
    (0, "this", "diese[snm]?"),
    (1, "next", "nächste[snm]?|kommende[snm]?"),
)
_BEFORE_TIME = r"\b(?:(in|of|during|for|since|until|before|after|by|from|to) )?(?<!the )"


def dated(question: str, today: date) -> str:
    """The question with the year, month or day that it leaves to the calendar.

    In 2026 "last year" is "in 2025", and "last year's" is "the 2025". "The last year of the war"
    stays, and so do "today" and "now": whoever reads them is told the day.
    """
    for steps, english, german in _STEPS_IN_WORDS:
        year, month = divmod(today.year * 12 + today.month - 1 + steps, 12)
        times = {
            "year": f"{today.year + steps}",
            "month": f"{calendar.month_name[month + 1]} {year}",
        }
        for noun, when in times.items():
            owned, plain = (
                rf"(?<!the )\b(?:{english}) {noun}['\u2019]s\b",
                f"(?:{english}) {noun}\\b",
            )
            question = re.sub(owned, f"the {when}", question, flags=re.IGNORECASE)
            question = _put(rf"{_BEFORE_TIME}{plain}", "in", when, question)
        german_year = rf"\b(?:(im|seit|bis|vor|nach|ab) (?:dem )?)?(?:{german}) jahr\b"
        question = _put(german_year, "im", times["year"], question)
    question = _put(rf"{_BEFORE_TIME}the year before last\b", "in", str(today.year - 2), question)
    for steps, word in ((-1, "yesterday"), (1, "tomorrow")):
        day = today + timedelta(days=steps)
        when = f"{day.day} {day:%B %Y}"
        question = _put(rf"\b()(?<!on ){word}\b(?!['\u2019])", "on", when, question)
    return question


def _put(pattern: str, preposition: str, when: str, question: str) -> str:
    """The question with a time in place of a pattern, behind the preposition of its first group."""

    def put(found: re.Match[str]) -> str:
        before = found[1] or (preposition if found.start() else preposition.capitalize())
        return f"{before} Jahr {when}" if before.casefold() == "im" else f"{before} {when}"

    return re.sub(pattern, put, question, flags=re.IGNORECASE)


def _is_year(question: str, found: re.Match[str]) -> bool:
    """Whether four digits alone are a year: they are asked for as one, and no unit follows."""
    asked = _ASKS_YEAR.search(question[: found.start()])
    return asked is not None and _UNIT.match(question[found.end() :]) is None


def span_of(found: re.Match[str]) -> Span:
    """The days of a match of ``NAMED_TIME``."""
    iso_year, iso_month, month, of_year, year = found.groups()
    if iso_year:
        return _month(int(iso_year), int(iso_month))
    return _month(int(of_year), _MONTHS[month.casefold()]) if month else _year(year)


def _year(year: int | str) -> Span:
    return Span(date(int(year), 1, 1), date(int(year), 12, 31))


def _month(year: int, month: int) -> Span:
    return Span(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))


def timeliness(chunks: Sequence[IndexedChunk], times: Times) -> list[float]:
    """A factor on each chunk's score: higher where it is of the time, and where it is newer.

    Where the newest is asked for, chunks of one name, but for dates and versions in it, are one
    thing at several times, and each newer one lowers the older ones.
    """
    spans = [_spans_of(chunk) for chunk in chunks]
    factors = [
        OF_THE_TIME if any(own.meets(asked) for own in of for asked in times.spans) else 1.0
        for of in spans
    ]
    if not times.newest:
        return factors
    ages = [_age(chunk, of) for chunk, of in zip(chunks, spans, strict=True)]
    order = sorted(set(ages) - {_AGELESS})
    versions: dict[str, set[_Age]] = {}
    for chunk, age in zip(chunks, ages, strict=True):
        versions.setdefault(_thing(chunk), set()).add(age)
    for place, (chunk, age) in enumerate(zip(chunks, ages, strict=True)):
        if age in order[1:]:
            factors[place] *= 1 + (NEWEST - 1) * order.index(age) / (len(order) - 1)
        factors[place] *= OLDER ** sum(other > age for other in versions[_thing(chunk)])
    return factors


def _spans_of(chunk: IndexedChunk) -> list[Span]:
    """The times that a chunk's file, title and headings name; else its document's day."""
    named = "\n".join([chunk.uri, chunk.title, *chunk.heading_path])
    day = day_of(chunk)
    return [span_of(found) for found in NAMED_TIME.finditer(named)] or (
        [Span(day, day)] if day else []
    )


def _age(chunk: IndexedChunk, spans: Sequence[Span]) -> _Age:
    """Orders documents from old to new: by version, then by the last day of their times."""
    last = max((span.last for span in spans), default=date.min)
    return version_key(version_mark(chunk)), last


def _thing(chunk: IndexedChunk) -> str:
    """What a chunk is about, whatever its time: title and headings without numbers and months."""
    words = re.findall(r"[^\W\d_]+", " ".join([chunk.title, *chunk.heading_path]).casefold())
    return " ".join(word for word in words if word not in _MONTHS and len(word) > 1)
