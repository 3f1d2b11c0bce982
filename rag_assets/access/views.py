"""Which documents a caller may read: the same rule as a SQL filter of the index and in Python."""

import hashlib
import unicodedata
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from rag_assets.lake.store import quoted


@dataclass(frozen=True, slots=True)
class Place:
    """A document, or all documents whose uris begin alike, and the groups that may read them.

    Attributes:
        text: the uri, or the beginning of uris.
        is_whole: whether it is a document's whole uri.
        groups: that may read; None for everyone.
    """

    text: str
    is_whole: bool
    groups: frozenset[str] | None

    @property
    def forms(self) -> tuple[str, ...]:
        """Its text as file systems may write it: accents are part of a letter, or stand alone."""
        made = (unicodedata.normalize(form, self.text) for form in ("NFC", "NFD"))
        return tuple(dict.fromkeys((self.text, *made)))

    def admits(self, groups: AbstractSet[str]) -> bool:
        """Whether a member of these groups may read it."""
        return self.groups is None or not self.groups.isdisjoint(groups)

    def holds(self, uri: str) -> bool:
        """Whether a document is in it."""
        return uri in self.forms if self.is_whole else uri.startswith(self.forms)

    def meets(self, other: "Place") -> bool:
        """Whether a document may be in both."""
        return any(map(self.holds, other.forms)) or any(map(other.holds, self.forms))

    @property
    def sql(self) -> str:
        """Whether a row is in it, as a condition over the index's column ``uri``."""
        if self.is_whole:
            return f"uri IN ({quoted(self.forms)})"
        begins = " OR ".join(f"starts_with(uri, {quoted([form])})" for form in self.forms)
        return f"({begins})"


@dataclass(frozen=True, slots=True)
class View:
    """What a member of some groups may read.

    Attributes:
        places: the first that holds a document decides; a document in none is nobody's.
        groups: of the caller.
    """

    places: Sequence[Place]
    groups: frozenset[str]

    def sees(self, uri: str) -> bool:
        """Whether the document may be read, and named."""
        first = next((place for place in self.places if place.holds(uri)), None)
        return first is not None and first.admits(self.groups)

    @property
    def where(self) -> str:
        """The same as a SQL filter over the index's columns."""
        parts = []
        for at, place in enumerate(self.places):
            if place.admits(self.groups):
                closed = [
                    f"NOT {other.sql}"
                    for other in self.places[:at]
                    if not other.admits(self.groups) and other.meets(place)
                ]
                parts.append(f"({' AND '.join([place.sql, *closed])})")
        return " OR ".join(parts) or "false"

    @property
    def salt(self) -> str:
        """Keeps prompts apart, in an engine's prefix cache, from those of whoever reads others."""
        return hashlib.sha256(self.where.encode()).hexdigest()
