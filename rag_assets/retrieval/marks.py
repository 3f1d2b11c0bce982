"""What marks a document among others of its kind: its file's name, its version, its date."""

import re
from datetime import UTC, date, datetime

from rag_assets.index.paths import file_name
from rag_assets.index.search import IndexedChunk

UNDATED = datetime.fromtimestamp(0, UTC)  # of a file whose source states no date
VERSION = re.compile(
    r"(?<![^\W_])(?:(?:version|release|revision|rev|ver)[ _.-]?(?:\d+(?:[._-]\d+)*[a-z]?|[a-z])"
    r"|v[ _.]?\d+(?:[._-]\d+)*[a-z]?)(?![^\W_])",
    re.IGNORECASE,
)


def version_mark(chunk: IndexedChunk) -> str:
    """The version in its document's title, else in its path: "v2.1", "rev C"; "" if none is."""
    for text in (chunk.title, chunk.uri):
        found = VERSION.search(text)
        if found is not None:
            return found[0]
    return ""


def version_key(mark: str) -> tuple[int, ...]:
    """Orders versions: 2.10 comes after 2.1, rev C after rev B."""
    letter = re.search(r"(?<![^\W_])[a-z]$|(?<=\d)[a-z]$", mark.casefold())
    numbers = tuple(map(int, re.findall(r"\d+", mark)))
    return (*numbers, ord(letter[0])) if letter else numbers


def day_of(chunk: IndexedChunk) -> date | None:
    """The day that the document states, else that of its file; None if neither is known."""
    if chunk.stated:
        return date.fromisoformat(chunk.stated)
    return None if chunk.modified_at == UNDATED else chunk.modified_at.date()


def marks(chunk: IndexedChunk) -> str:
    """Name of the file, version where neither that nor the title says it, and date."""
    name, version, day = file_name(chunk.uri), version_mark(chunk), day_of(chunk)
    is_said = version.casefold() in f"{name} {chunk.title}".casefold()
    parts = (name, "" if is_said else version, day.isoformat() if day else "")
    return ", ".join(filter(None, parts))
