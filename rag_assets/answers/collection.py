"""Questions about the documents as a whole, answered from what the index says of each of them.

"How many documents are there about fares?", "What is the newest report?", "What is this about?" No
passage answers these, and no model is asked.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rag_assets.index.search import IndexedChunk
from rag_assets.retrieval.marks import day_of
from rag_assets.retrieval.terms import content_words

MOST_NAMED = 5
_COUNTS = re.compile(r"\b(?:how many|wie viele|number of)\b", re.IGNORECASE)
_NEWEST = re.compile(r"\b(newest|latest|most recent|neueste\w*)\b", re.IGNORECASE)
_OLDEST = re.compile(r"\b(oldest|älteste\w*)\b", re.IGNORECASE)
_GENERAL = content_words(
    "document documents file files source sources collection corpus library index text texts paper "
    "papers page pages newest latest recent oldest list show many here dokument dokumente datei"
)


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence about the documents, and the ones that it names."""

    text: str
    documents: tuple[IndexedChunk, ...]


def told_of(question: str, documents: Sequence[IndexedChunk]) -> Told | None:
    """The answer from what is known of the documents; None if that does not tell.

    Args:
        question: about the documents as a whole.
        documents: the first chunk of each.
    """
    subject = content_words(question) - _GENERAL
    of_subject = [one for one in documents if subject <= _known(one)]
    if newest := _NEWEST.search(question) or _OLDEST.search(question):
        dated = [one for one in of_subject if day_of(one) is not None]
        if not dated:
            return None
        pick = min if _OLDEST.search(question) else max
        found = pick(dated, key=lambda one: (str(day_of(one)), one.uri))
        return Told(f'The {newest[1].casefold()} is "{found.title}" of {day_of(found)}', (found,))
    if _COUNTS.search(question):
        what = f" on {', '.join(sorted(subject))}" if subject else ""
        named = tuple(of_subject[:MOST_NAMED]) if subject else ()
        return Told(f"{_documents(len(of_subject))}{what}", named)
    if subject - content_words("about topics subjects covered"):
        if not of_subject:
            return None
        named = tuple(of_subject[:MOST_NAMED])
        more = len(of_subject) - len(named)
        titles = ", ".join(f'"{one.title}"' for one in named)
        rest = f" and {more} more" if more else ""
        return Told(f"{_documents(len(of_subject))}: {titles}{rest}", named)
    return _about(documents)


def _about(documents: Sequence[IndexedChunk]) -> Told | None:
    """What kinds of documents there are, and what they are about."""
    if not documents:
        return None
    types = Counter(one.document_type for one in documents if one.document_type)
    topics = Counter(topic for one in documents for topic in one.topics)
    said = _documents(len(documents))
    if types:
        said += ", of the types " + ", ".join(f"{t} ({n})" for t, n in types.most_common(8))
    if topics:
        said += "; about " + ", ".join(topic for topic, _ in topics.most_common(8))
    named = tuple(documents[:MOST_NAMED])
    return Told(f"{said}; for example " + ", ".join(f'"{one.title}"' for one in named), named)


def _documents(n: int) -> str:
    return f"{n:,} document{'s' if n != 1 else ''}"


def _known(document: IndexedChunk) -> frozenset[str]:
    """Words of a document's title, place, type and topics."""
    place = re.sub(r"[/_.:-]+", " ", document.uri)
    words = [document.title, place, document.document_type, *document.topics]
    return content_words(" ".join(words))
