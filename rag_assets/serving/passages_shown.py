"""What a citation opens: its place in the document, and the pages of a PDF that it stands on.

Nothing is named by its path: who asks names an answer and a number in it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rag_assets.answers.journal import find_answer
from rag_assets.lake.store import LakeError, LakeStore, quoted
from rag_assets.sources.catalog import source_name

Sees = Callable[[str], bool]
AROUND = 12_000  # characters of the document that are shown before and behind a quote, at most
PDF = "application/pdf"
CHANGED = "The document has changed since this answer was given. Ask again to read it as it is now."
GONE = "The document is no longer here. This is what was quoted from it."


@dataclass(frozen=True, slots=True)
class Shown:
    """A citation in its document.

    Attributes:
        citation: its record, without what the caller may not know.
        blocks: of the document around the quote: kind, level, page, and parts of text, each with
            whether it is quoted.
        is_cut: whether text before them, and behind them, is left out.
        note: what the reader must know; "" if nothing.
        pages: of the PDF that the quote stands on.
        raw_hash: of the PDF's bytes; "" where there are none.
    """

    citation: Mapping[str, Any]
    blocks: tuple[Mapping[str, Any], ...] = ()
    is_cut: tuple[bool, bool] = (False, False)
    note: str = ""
    pages: tuple[int, ...] = ()
    raw_hash: str = ""

    def to_record(self) -> dict[str, Any]:
        """As JSON prints it."""
        return {
            "citation": dict(self.citation),
            "blocks": [dict(block) for block in self.blocks],
            "is_cut": {"before": self.is_cut[0], "behind": self.is_cut[1]},
            "note": self.note,
            "pages": list(self.pages),
        }


def answer_seen(store: LakeStore, answer_id: str, sees: Sees) -> dict[str, Any] | None:
    """The record of an answer; None without one, or if the caller may not read all it is made of.

    Args:
        store: whose journal is read.
        answer_id: that the answer said.
        sees: whether the caller may read a document, by its uri.
    """
    try:
        record: dict[str, Any] = find_answer(store, answer_id)["record"]
    except LakeError:  # no answer has that id
        return None
    read = [one["uri"] for one in (*record["citations"], *record["evidence"])]
    return record if all(map(sees, read)) else None


def passage_shown(store: LakeStore, citation: Mapping[str, Any]) -> Shown:
    """A citation, which the caller may read, in its document."""
    document = _document(store, citation)
    if document is None:
        return Shown(citation, _quote_alone(citation), note=GONE)
    span = _place(document["text"], citation)
    if span is None:
        return Shown(citation, _quote_alone(citation), note=CHANGED)
    low, high = max(span[0] - AROUND, 0), span[1] + AROUND
    blocks = [one for one in document["blocks"] if one["start"] < high and low < one["end"]]
    quoted_blocks = [one for one in blocks if one["start"] < span[1] and span[0] < one["end"]]
    pages = sorted({one["page"] for one in quoted_blocks if one["page"] is not None})
    is_pdf = document["media_type"] == PDF and store.has_blob(document["raw_hash"])
    return Shown(
        citation,
        tuple(_block(document["text"], one, span, (low, high)) for one in blocks),
        (low > 0, high < len(document["text"])),
        pages=tuple(pages) if is_pdf else (),
        raw_hash=document["raw_hash"] if is_pdf else "",
    )


def _document(store: LakeStore, citation: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row of the document as it is now, wherever its source keeps it."""
    source = citation["uri"].partition(":")[0]
    where = f"document_id IN ({quoted([citation['document_id']])})"
    columns = ["uri", "raw_hash", "media_type", "text", "blocks"]
    for partition in store.partitions("documents"):
        if source_name(partition) == source:
            for row in store.rows("documents", partition, columns=columns, where=where):
                if row["uri"] == citation["uri"]:  # the one that the rules were asked about
                    return row
    return None


def _place(text: str, citation: Mapping[str, Any]) -> tuple[int, int] | None:
    """Where the quote stands now; None if it does not, or in several places that were not meant."""
    quote, start = citation["quote"], citation["char_start"]
    if text[start : citation["char_end"]] == quote:
        return start, citation["char_end"]
    if text.count(quote) != 1:
        return None
    start = text.index(quote)
    return start, start + len(quote)


def _block(
    text: str, block: Mapping[str, Any], span: tuple[int, int], window: tuple[int, int]
) -> dict[str, Any]:
    start, end = max(block["start"], window[0]), min(block["end"], window[1])
    cuts = sorted({start, end, *(place for place in span if start < place < end)})
    parts = [
        {"text": text[a:b], "is_quoted": span[0] <= a and b <= span[1]} for a, b in pairwise(cuts)
    ]
    return {
        "kind": block["kind"], "level": block["level"], "page": block["page"], "parts": parts
    }  # fmt: skip


def _quote_alone(citation: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    parts = [{"text": citation["quote"], "is_quoted": True}]
    block = {"kind": "paragraph", "level": 0, "page": citation["page"], "parts": parts}
    return (block,)
