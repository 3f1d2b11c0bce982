"""``GET /v1/documents/ID``: a document's text."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request

from rag_assets.access.rules import Caller
from rag_assets.answers.answerer import Answerer
from rag_assets.errors import RagError
from rag_assets.index.search import IndexedChunk, IndexReader
from rag_assets.retrieval.marks import UNDATED
from rag_assets.retrieval.passages import pieces_of
from rag_assets.serving.keys import caller_of

MOST_CHARS = 50_000  # of a document's text at once


class UnknownDocumentError(RagError):
    """There is no such document, or it may not be read."""


def document_of(reader: IndexReader, wanted: str) -> dict[str, Any]:
    """A document by its id, or by that of a chunk; of a long one the part around the chunk.

    Raises:
        UnknownDocumentError: the reader has neither.
    """
    around = reader.chunks([wanted]).get(wanted)
    chunks = reader.document(around.document_id if around else wanted)
    if not chunks:
        raise UnknownDocumentError(
            f"there is no document {wanted!r:.80}; search gives ids, those of the generation in "
            "service"
        )
    at = 0 if around is None else [chunk.chunk_id for chunk in chunks].index(wanted)
    part = _around(chunks, at)
    head = part[0]
    return {
        "id": wanted,
        "document_id": head.document_id,
        "uri": head.uri,
        "title": head.title,
        "text": _text(part),
        "is_whole": len(part) == len(chunks),
        "document_type": head.document_type,
        "language": head.language,
        "topics": list(head.topics),
        "stated": head.stated,
        "modified_at": "" if head.modified_at == UNDATED else head.modified_at.isoformat(),
        "superseded_by": head.superseded_by,
        "aliases": list(head.copies),
    }


def _around(chunks: Sequence[IndexedChunk], at: int) -> Sequence[IndexedChunk]:
    """Chunks on both sides of one, as many as MOST_CHARS hold."""
    low, high, room = at, at + 1, MOST_CHARS - len(chunks[at].text)
    while low > 0 or high < len(chunks):
        grown = False
        if high < len(chunks) and len(chunks[high].text) <= room:
            room -= len(chunks[high].text)
            high, grown = high + 1, True
        if low > 0 and len(chunks[low - 1].text) <= room:
            room -= len(chunks[low - 1].text)
            low, grown = low - 1, True
        if not grown:
            break
    return chunks[low:high]


def _text(chunks: Sequence[IndexedChunk]) -> str:
    """Their text with a blank line between sections, each character once."""
    sections: dict[str, list[IndexedChunk]] = {}
    for chunk in chunks:
        sections.setdefault(chunk.section_id, []).append(chunk)
    return "\n\n".join(
        "\n".join(piece.text for piece in pieces_of(section)) for section in sections.values()
    )


def add_documents(app: FastAPI, answerer: Callable[[Caller], Answerer]) -> None:
    """The route."""

    @app.get("/v1/documents/{wanted}")
    def document(wanted: str, request: Request) -> dict[str, Any]:
        return document_of(answerer(caller_of(request)).reader, wanted)
