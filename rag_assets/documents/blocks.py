"""What every reader returns: a title and blocks of text in reading order."""

from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["heading", "paragraph", "list", "table", "code"]


class RejectedError(Exception):
    """These bytes give no document; ``reason`` is a short name to group by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


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
