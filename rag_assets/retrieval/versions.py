"""Which documents are one thing at several times, and which of them is the newer."""

import re
from datetime import date

from rag_assets.index.search import IndexedChunk
from rag_assets.retrieval.marks import VERSION, day_of, version_key, version_mark
from rag_assets.retrieval.times import NAMED_TIME, span_of


def is_newer(one: IndexedChunk, other: IndexedChunk) -> bool:
    """Whether ``one`` is of a later state of the thing that ``other`` is of.

    They are of one thing if their paths are the same but for times and versions, if their titles
    are, or if one is known to replace the other.
    """
    if one.document_id == other.document_id or one.uri == other.superseded_by:
        return one.document_id != other.document_id
    if other.uri == one.superseded_by:
        return False
    is_one_thing = any(
        before != after and before and after and _timeless(before) == _timeless(after)
        for before, after in ((one.uri, other.uri), (one.title, other.title))
    )
    return is_one_thing and age_of(one) > age_of(other)


def age_of(chunk: IndexedChunk) -> tuple[tuple[int, ...], date]:
    """Orders documents from old to new: by version, then by the last day that they name.

    A path or title that names no time leaves the day that the document states, or its file's.
    """
    named = NAMED_TIME.finditer(f"{chunk.uri}\n{chunk.title}")
    last = max((span_of(found).last for found in named), default=day_of(chunk) or date.min)
    return version_key(version_mark(chunk)), last


def names_version(question: str, chunk: IndexedChunk) -> bool:
    """Whether a question names the version that the chunk's document is of: "release 2.1"."""
    mark = re.search(r"\d+(?:[._-]\d+)*[a-z]?$|[a-z]$", version_mark(chunk), re.IGNORECASE)
    if mark is None:
        return False
    is_short = mark[0].isalnum()  # "3 boats" names no version 3
    named = [m[0] for m in VERSION.finditer(question)] if is_short else [question]
    number = re.sub(r"[._-]", "[._-]", re.escape(mark[0]).replace("\\", ""))
    whole = re.compile(rf"(?<![^\W_])(?<!\d[._-])v?{number}(?![^\W_]|[._-]\d)", re.IGNORECASE)
    return any(whole.search(one) for one in named)


def _timeless(text: str) -> str:
    """The text without times and versions, which it must name; else what no other text equals."""
    left = VERSION.sub(" ", NAMED_TIME.sub(" ", text))
    return " ".join(re.findall(r"[^\W_]+|[/:]", left.casefold())) if left != text else text
