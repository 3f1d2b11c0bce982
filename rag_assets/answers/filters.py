"""Filters that callers give: which documents are searched, checked and turned into SQL.

No SQL comes from outside: what is compared are columns that are listed here, with values that are
quoted. Columns that name other documents (copies, newer versions) are not listed, as they could be
asked about documents that the caller may not read.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from rag_assets.answers.questions import QuestionError
from rag_assets.index.search import IndexReader
from rag_assets.lake.store import quoted
from rag_assets.retrieval.marks import UNDATED

MOST_VALUES = 100  # of one filter
_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*", re.DOTALL)
_DAY = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_FILE_DAY = "CAST(modified_at AS DATE)"
_DATED = f"modified_at > timestamp '{UNDATED:%Y-%m-%d %H:%M:%S}'"


class FilterError(QuestionError):
    """A filter means nothing to the index; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents are read; a document has to meet all that are given.

    Attributes:
        source: names of sources, any of them.
        type: types of documents, any of them.
        language: codes such as "en", any of them.
        since: first day; "2024" and "2024-03" begin with theirs. A document's day is the one that
            it states, else that of its file.
        until: last day; "2024" and "2024-03" end with theirs.
        where: comparisons "column op value" with =, !=, <, <=, > or >=.
    """

    source: Sequence[str] = ()
    type: Sequence[str] = ()
    language: Sequence[str] = ()
    since: str = ""
    until: str = ""
    where: Sequence[str] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> "Filters":
        """The filters in a JSON object; a list may be a single text.

        Raises:
            FilterError: a name is unknown, or a value no text.
        """
        if given is not None and not isinstance(given, Mapping):
            raise FilterError(f"expected filters as an object, got {type(given).__name__}")
        known = {field.name: field for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in (given or {}).items():
            if name not in known:
                raise FilterError(f"there is no filter {name!r:.80}; known: {', '.join(known)}")
            if value is None:
                continue
            is_list = known[name].default == ()
            several = value if isinstance(value, list) and is_list else [value]
            if not all(isinstance(one, str) for one in several):
                kind = "text or a list of texts" if is_list else "text"
                raise FilterError(f"expected filter {name} to be {kind}, got {value!r:.80}")
            values[name] = tuple(several) if is_list else value
        return cls(**values)

    @property
    def given(self) -> dict[str, Any]:
        """Those that are given, as a JSON object."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value if isinstance(value, str) else list(value)
            for name, value in found.items()
            if value
        }

    def sql(self, reader: IndexReader) -> str | None:
        """A condition over the index's columns; None where nothing is filtered.

        Raises:
            FilterError: a column is unknown, or a value does not fit it.
        """
        columns = [name for name in _COLUMNS if name in reader.columns]
        for name, value in self.given.items():
            if isinstance(value, list) and len(value) > MOST_VALUES:
                raise FilterError(f"filter {name} has {len(value)} values, at most {MOST_VALUES}")
        parts = []
        if self.source:
            begins = (f"starts_with(uri, {_text(f'{_source(one)}:')})" for one in self.source)
            parts.append(" OR ".join(begins))
        for column, values in (("document_type", self.type), ("language", self.language)):
            if values:
                parts.append(f"{column} IN ({', '.join(map(_text, values))})")
        if self.since:
            parts.append(_by_day(">=", _days(self.since)[0], columns))
        if self.until:
            parts.append(_by_day("<=", _days(self.until)[1], columns))
        parts += [_condition(one, columns) for one in self.where]
        return " AND ".join(f"({part})" for part in parts) or None


NO_FILTERS = Filters()


def _condition(text: str, columns: Collection[str]) -> str:
    found = _CONDITION.fullmatch(text)
    if found is None or not found[3]:
        raise FilterError(
            'expected a comparison such as "page >= 3", with =, !=, <, <=, > or >=, got '
            f"{text!r:.200}"
        )
    column, op, value = found.groups()
    if column not in columns:
        raise FilterError(f"there is no column {column!r:.80}; there are {', '.join(columns)}")
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return _COLUMNS[column](column, op, value)


def _compare_text(column: str, op: str, value: str) -> str:
    compared = f"{column} {op} {_text(value)}"
    # Unknown is "": it is neither before nor after anything.
    return compared if op in ("=", "!=") else f"{column} != '' AND {compared}"


def _compare_list(column: str, op: str, value: str) -> str:
    if op not in ("=", "!="):
        raise FilterError(f"{column} is a list: expected = (has) or != (has not), got {op!r}")
    return f"{'' if op == '=' else 'NOT '}array_has({column}, {_text(value)})"


def _compare_number(column: str, op: str, value: str) -> str:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise FilterError(f"expected {column} to be compared with a number, got {value!r:.80}")
    return f"{column} {op} {value}"


def _compare_day(column: str, op: str, value: str) -> str:
    first, last = _days(value)
    if op in ("=", "!="):
        within = f"{_FILE_DAY} BETWEEN {_sql_day(first)} AND {_sql_day(last)}"
        return f"{_DATED} AND {'' if op == '=' else 'NOT '}({within})"
    return f"{_DATED} AND {_FILE_DAY} {op} {_sql_day(first if op in ('<', '>=') else last)}"


_COLUMNS: Mapping[str, Callable[[str, str, str], str]] = {
    "uri": _compare_text,
    "title": _compare_text,
    "language": _compare_text,
    "document_type": _compare_text,
    "topics": _compare_list,
    "page": _compare_number,
    "stated": _compare_text,
    "modified_at": _compare_day,
}


def _by_day(op: str, day: date, columns: Collection[str]) -> str:
    """The document's own day, else that of its file, compared; what has neither is left out."""
    by_file = f"{_DATED} AND {_FILE_DAY} {op} {_sql_day(day)}"
    if "stated" not in columns:
        return by_file
    return f"stated != '' AND stated {op} '{day}' OR (stated IS NULL OR stated = '') AND {by_file}"


def _sql_day(day: date) -> str:
    return f"DATE '{day}'"


def _days(text: str) -> tuple[date, date]:
    """First and last day of a year, a month or a day."""
    found = _DAY.fullmatch(text.strip())
    try:
        if found is not None:
            year, month, day = (int(one) if one else None for one in found.groups())
            first = date(year or 0, month or 1, day or 1)
            if day:
                return first, first
            last = month or 12
            return first, date(first.year, last, monthrange(first.year, last)[1])
    except ValueError:
        pass
    raise FilterError(f"expected a day such as 2024, 2024-03 or 2024-03-31, got {text!r:.80}")


def _source(name: str) -> str:
    if not _SOURCE.fullmatch(name):
        raise FilterError(f"expected the name of a source, got {name!r:.80}")
    return name


def _text(value: str) -> str:
    """A value as SQL text."""
    plain = value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return quoted([plain])
