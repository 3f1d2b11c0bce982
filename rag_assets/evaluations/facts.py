"""Whether a fact stands in an answer: how golden questions, with their numbers, are judged.

Unlike SQuAD's normal form it keeps what tells numbers apart: 14:30, 3.5, 40 %.
"""

import re
import unicodedata

from rag_assets.answers.claims import MARKER

_MARKER = re.compile(r"[ \t\u00a0]*" + MARKER.pattern)


def _joined(thousands: re.Match[str]) -> str:
    return re.sub(r"\D", "", thousands.group())


def folded(text: str) -> str:
    """Without case, punctuation and typography: "1,240 Tons." becomes "1240 tons"."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"(?<=\w)[-\u2010-\u2015]", " ", text)  # "10-day", "1994-1996"; not "-2"
    text = re.sub(r"\s+%", "%", text)
    text = re.sub(r"(?<!\d)(\d{1,3})((?:[,\u202f\xa0 ]\d{3})+)(?!\d)", _joined, text)
    return " ".join(re.sub(r"[^\w.:%+-]+|(?<!\d)[.:]|[.:](?!\d)", " ", text).split())


def holds(answer: str, form: str) -> bool:
    """Whether an accepted spelling stands in the answer as whole words ("42" is not in "1428")."""
    return f" {folded(form)} " in f" {folded(answer)} "


def without_markers(text: str) -> str:
    """The text without citation markers, "[1]", "[1][2]" or "[1, 2]", and the blanks before them.

    What is a marker says :data:`rag_assets.answers.claims.MARKER`.
    """
    return _MARKER.sub("", text).strip()
