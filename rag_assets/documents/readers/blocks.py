"""What every reader returns: a title and blocks of text in reading order."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rag_assets.errors import RagError

BlockKind = Literal["heading", "paragraph", "list", "table", "code"]
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class RejectedError(RagError):
    """These bytes give no document; ``reason`` is a short name to group by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = well_formed(detail)  # it may quote the file


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document; ``level`` is 1 (highest) to 6 for a heading, else 0."""

    kind: BlockKind
    text: str
    level: int = 0
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a reader got out of a file's bytes."""

    media_type: str
    blocks: list[Block]
    title: str = ""
    encoding: str | None = None
    language: str | None = None  # ISO 639-1, if the document itself declares one
    author: str | None = None
    created: str | None = None  # YYYY-MM-DD, as the document states it; so the next one
    modified: str | None = None
    licence: str | None = None
    link_share: float = 0.0  # of the text's characters, those that are link texts; [0, 1]


@dataclass(frozen=True, slots=True)
class Span:
    """A block's place in the normalised text: ``text[start:end]``, half-open."""

    kind: str
    level: int
    start: int
    end: int
    page: int | None


def first_heading(blocks: Iterable[Block]) -> str:
    """The text of the first heading; empty if there is none."""
    return next((block.text for block in blocks if block.kind == "heading"), "")


def well_formed(text: str) -> str:
    """The text in a form that UTF-8, and so Arrow, can hold.

    Formats that escape characters as UTF-16 (RTF, JSON) let a file write surrogates. A pair of
    them becomes the character that it means, a lone one U+FFFD.
    """
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
