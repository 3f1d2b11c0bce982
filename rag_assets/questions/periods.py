"""Which rows and sentences of a passage are of the time that a question asks about.

A row that is of another year answers "in 2025" with the wrong number, and small models take it. So
what is of another time is taken out before a passage is read.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from rag_assets.documents.readers.tables import has_header
from rag_assets.questions.asked import language_of
from rag_assets.questions.spans import dates_in
from rag_assets.questions.times import is_year
from rag_assets.retrieval.passages import Passage, Piece, cells_of, is_rule
from rag_assets.retrieval.terms import terms
from rag_assets.retrieval.times import Period, Span, without_time

_TO = re.compile(
    r"\s*(?:-|\u2013|to|until|till|through|and|bis(?: zum)?|und|au|à|tot|y|a|al|\|)\s*", re.I
)
_FROM = re.compile(
    r"\b(?:since|from|as of|after|starting|effective|seit|ab|vom|von|nach|depuis|desde|dal|sinds|"
    r"vanaf)(?: the| dem)?\s*$",
    re.IGNORECASE,
)
_UNTIL = re.compile(
    r"\b(?:until|till|before|up to|through|bis(?: zum)?|vor|jusqu'au|hasta|fino al|tot)\s*$", re.I
)
_YEAR = re.compile(r"(?<![\w.,:/-])(?:1[5-9]\d\d|20\d\d)(?![\w]|[.,:]\d)")
# Of "2024/25" and "2024-25" the second year.
_SHORT = re.compile(r"[/\u2013-](\d\d)(?!\d|[/-]\d)")
# Heads of columns that say when a row holds; "Built" and "Born" do not.
_PERIOD = re.compile(
    r"\b(?:year|date|day|month|season|period|quarter|week|time|when|from|to|since|until|till|valid|"
    r"effective|start|end|jahr|datum|tag|monat|saison|zeitraum|ab|von|vom|bis|seit|gültig|beginn|"
    r"ende|année|du|au|depuis)\b",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"\b(?:from|since|start|effective|ab|von|vom|seit|beginn|du|depuis)\b", re.I)
_ENDS = re.compile(r"\b(?:to|until|till|end|bis|ende|au)\b", re.IGNORECASE)


def spans_in(text: str) -> list[Span]:
    """The times that a text names: "in 2024", "1 May 2025 to 30 June 2025", "since March 2024"."""
    found = [(start, end, Span(day.first, day.last)) for start, end, day in dates_in(text)]
    for match in _YEAR.finditer(text):
        start, end = match.span()
        if any(a < end and start < b for a, b, _ in found):
            continue
        if not (text.strip() == match[0] or is_year(text, start, end)):
            continue
        last = year = int(match[0])
        if short := _SHORT.match(text, end):
            last, end = year - year % 100 + int(short[1]), short.end()
        if last >= year:
            found.append((start, end, Span(date(year, 1, 1), date(last, 12, 31))))
    return _joined(text, sorted(found, key=lambda one: one[0]))


def _joined(text: str, found: Sequence[tuple[int, int, Span]]) -> list[Span]:
    """Each time, or the range from one to the next, or all that is since or until it."""
    spans: list[Span] = []
    n = 0
    while n < len(found):
        start, end, span = found[n]
        before = text[:start]
        following = found[n + 1] if n + 1 < len(found) else None
        is_pair = following and _TO.fullmatch(text, end, following[0])
        is_list = is_pair and text[end : found[n + 1][0]].strip() in ("and", "und", "y")
        if following and is_pair and span.first <= following[2].last and not (
            is_list and not re.search(r"\b(?:between|from|zwischen|von)\s*$", before, re.I)
        ):  # fmt: skip
            spans.append(Span(span.first, following[2].last))
            n += 2
            continue
        if _FROM.search(before):
            span = Span(span.first, date.max)
        elif _UNTIL.search(before):
            span = Span(date.min, span.last)
        spans.append(span)
        n += 1
    return spans


def of_time(passage: Passage, period: Period, question: str) -> tuple[Passage, str]:
    """The passage without what is of another time, and the question to ask of it.

    Where rows of its tables are of the time, the question need not name it: a row "from 1 October
    2025" does not say "today". Where columns are, a question of now names the year of its column.

    A row is of the times in its columns that say when it holds. A sentence that is of another time
    stays unless one of the passage is of the time, and where it alone has a word of the question.

    Args:
        passage: as it was found.
        period: that is asked about. Where the question does not name it, as for "now", rows of
            other times stay unless one is of the time.
        question: that it is read for.
    """
    asked, named = period.spans, period.is_named
    if not asked:
        return passage, question
    units = passage.units()
    rows = _periods(units)
    said = {
        n: spans
        for n, unit in enumerate(units)
        if not unit.is_row and (spans := spans_in(unit.text))
    }
    meets = {n for n, spans in {**rows, **said}.items() if _meet(spans, asked)}
    out = {n for n in rows if n not in meets and (named or meets & rows.keys())}
    if meets and named:
        out |= {n for n in said if n not in meets}
    rest = " ".join(unit.text for n, unit in enumerate(units) if n not in out)
    lost = terms(question) - terms(f"{passage.title}\n{rest}")
    out -= {n for n in out & said.keys() if lost & terms(units[n].text)}
    kept = [n for n in range(len(units)) if n not in out]
    of_it = passage.with_units(kept) if out and kept else passage
    if meets & rows.keys():
        return of_it, without_time(question)
    if not named and any(_meet(spans_in(head), asked) for head in _heads(units)):
        year = f"{'im Jahr' if language_of(question) == 'de' else 'in'} {asked[0].first.year}"
        return of_it, f"{without_time(question).rstrip(' ?.')} {year}?"
    return of_it, question


def is_of_another_time(passage: Passage, asked: Sequence[Span]) -> bool:
    """Whether its titles name times, none of them asked about, and its text does not name one."""
    titled = spans_in(passage.title)
    return bool(asked and titled) and not _meet([*titled, *spans_in(passage.text)], asked)


def in_asked_column(answer: str, row: Piece, passage: Passage, asked: Sequence[Span]) -> str:
    """The answer, or the cell beside it that stands below a time that is asked about.

    An answer below no time, and one below a time that is asked about, stays.
    """
    header = _header_of(row, passage.units())
    cells = cells_of(row.text)
    if not asked or header is None or len(header) != len(cells):
        return answer
    heads = [spans_in(head) for head in header]
    of_it = [n for n, cell in enumerate(cells) if answer.casefold() in cell.casefold()]
    if not of_it or any(not heads[n] or _meet(heads[n], asked) for n in of_it):
        return answer
    right = [cell for cell, spans in zip(cells, heads, strict=True) if _meet(spans, asked)]
    return right[0] if len(right) == 1 else answer


def _meet(spans: Sequence[Span], asked: Sequence[Span]) -> bool:
    return any(own.meets(other) for own in spans for other in asked)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row's times: from a column "From" without one "To" they end where the next begins."""

    spans: tuple[Span, ...]
    is_open: bool
    thing: tuple[str, ...]


def _periods(units: Sequence[Piece]) -> dict[int, tuple[Span, ...]]:
    """The times of the rows that have some, by their index."""
    rows: dict[int, _Row] = {}
    for n, unit in enumerate(units):
        if unit.is_row and not is_rule(unit.text):
            header = _header_of(unit, units)
            cells = cells_of(unit.text)
            if cells != header and (row := _row(cells, header)):
                rows[n] = row
    return {n: _closed(row, list(rows.values())) for n, row in rows.items()}


def _row(cells: Sequence[str], header: Sequence[str] | None) -> _Row | None:
    heads = header if header is not None and len(header) == len(cells) else [""] * len(cells)
    timed = [
        (head, cell, spans)
        for n, (head, cell) in enumerate(zip(heads, cells, strict=True))
        if (spans := spans_in(cell)) and (_PERIOD.search(head) or n == 0)
    ]
    if not timed:
        return None
    thing = tuple(cell.casefold() for cell in cells if not any(map(str.isdigit, cell)))
    is_open = False
    if len(timed) > 1 and not header:
        spans = [Span(timed[0][2][0].first, timed[1][2][-1].last)]
    else:
        begins = [spans[0] for head, _, spans in timed if _BEGINS.search(head)]
        ends = [spans[-1] for head, _, spans in timed if _ENDS.search(head)]
        is_open = bool(begins) and not ends
        spans = [span for _, _, spans in timed for span in spans]
        if begins or ends:
            spans = [
                Span(begins[0].first if begins else date.min, ends[0].last if ends else date.max)
            ]
    return _Row(tuple(spans), is_open, thing)


def _closed(row: _Row, rows: Sequence[_Row]) -> tuple[Span, ...]:
    if not row.is_open:
        return row.spans
    (span,) = row.spans
    later = [
        other.spans[0].first
        for other in rows
        if other.thing == row.thing and other.spans[0].first > span.first
    ]
    return (replace(span, last=min(later) - timedelta(days=1)),) if later else row.spans


def _heads(units: Sequence[Piece]) -> list[str]:
    """The names of all columns of a passage's tables."""
    firsts = [
        unit
        for n, unit in enumerate(units)
        if unit.is_row and not (n and _is_of_table(units[n - 1]))
    ]
    rows = [cells_of(first.text) for first in firsts]
    return [head for cells in rows if has_header([cells]) for head in cells]


def _header_of(row: Piece, units: Sequence[Piece]) -> list[str] | None:
    """The names of a row's columns: the first row of its table, where that names columns."""
    at = next((n for n, unit in enumerate(units) if unit == row), 0)
    while at > 0 and _is_of_table(units[at - 1]):
        at -= 1
    cells = cells_of(units[at].text)
    return cells if has_header([cells]) else None


def _is_of_table(unit: Piece) -> bool:
    return unit.is_row or is_rule(unit.text)
