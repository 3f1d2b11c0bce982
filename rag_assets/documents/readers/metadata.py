"""What a document states about itself, as the tables keep it: dates, language, licence."""

import re
from datetime import date
from typing import Any

_DATE = re.compile(r"\s*(\d{4})-(\d{2})-(\d{2})(?!\d)")
_LANGUAGE = re.compile(r"\s*([A-Za-z]{2})(?:[-_].*)?\s*", re.DOTALL)
_SPDX_NAME = r"\(?[A-Za-z0-9][A-Za-z0-9.+-]{1,60}\)?"
_SPDX = re.compile(
    rf"SPDX-License-Identifier:[ \t]*({_SPDX_NAME}(?: (?:AND|OR|WITH) {_SPDX_NAME}){{0,9}})"
)
_HEAD_CHARS = 4000  # a licence line stands at the top


def iso_date(stated: str | None) -> str | None:
    """``YYYY-MM-DD`` of an ISO 8601 date or time; None for anything else, a bare year included."""
    match = _DATE.match(stated or "")
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        return None


def language_code(stated: str | None) -> str | None:
    """ISO 639-1 code of a language tag like ``en-GB``; None for one without two letters."""
    match = _LANGUAGE.fullmatch(stated or "")
    return match[1].lower() if match else None


def licence_line(text: str) -> str | None:
    """The expression behind ``SPDX-License-Identifier:`` in the first 4,000 characters."""
    match = _SPDX.search(text[:_HEAD_CHARS])
    return match[1] if match else None


def facts(**stated: str | None) -> dict[str, Any]:
    """Fields of ``Extracted`` by what a file states, in the tables' form; those it does state."""
    found = {name: _FORMS.get(name, or_none)(text) for name, text in stated.items()}
    return {name: text for name, text in found.items() if text}


def or_none(stated: str | None) -> str | None:
    """The text with its white space folded; None if nothing is left."""
    return " ".join((stated or "").split()) or None


_FORMS = {"created": iso_date, "modified": iso_date, "language": language_code}
