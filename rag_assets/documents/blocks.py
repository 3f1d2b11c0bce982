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
    language: str | None = None  # if the document itself declares one
