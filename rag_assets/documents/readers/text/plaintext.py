"""Plain text to blocks: paragraphs between blank lines, underlined and capital headings.

Source code is text, too, but keeps its layout and has no headings.
"""

import re
from collections.abc import Sequence

from rag_assets.documents.readers.blocks import Block, Extracted, first_heading
from rag_assets.documents.readers.decoding import decode
from rag_assets.documents.readers.metadata import licence_line

MAX_HEADING_CHARS = 80
_UNDERLINE = re.compile(r"[=\-~]{3,}")
_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_CODE_SIGNS = re.compile(r"[=;{}<>_\\]")  # MAX_FARE = 10, SELECT FARE FROM LINES;


def read_text(data: bytes) -> Extracted:
    """Blocks of a text file; line breaks inside a paragraph are kept."""
    text, encoding = decode(data)
    blocks = text_blocks(text)
    licence = licence_line(text)
    return Extracted("text/plain", blocks, first_title(blocks), encoding, licence=licence)


def read_source(data: bytes) -> Extracted:
    """Blocks of program text or settings, parted by blank lines; its file's name is its title."""
    text, encoding = decode(data)
    parts = _BLANK_LINES.split(text.replace("\r\n", "\n").replace("\r", "\n"))
    blocks = [Block("code", part.strip("\n")) for part in parts if part.strip()]
    return Extracted("text/x-source", blocks, encoding=encoding, licence=licence_line(text))


def text_blocks(text: str) -> list[Block]:
    """Headings and paragraphs of a text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    blocks: list[Block] = []
    for paragraph in _BLANK_LINES.split(text):
        lines = [line.rstrip() for line in paragraph.split("\n") if line.strip()]
        if len(lines) >= 2 and _UNDERLINE.fullmatch(lines[1].strip()):
            level = 1 if lines[1].strip()[0] == "=" else 2
            blocks.append(Block("heading", lines[0].strip(), level))
            lines = lines[2:]
        elif lines and _is_capital_heading(lines[0]):
            blocks.append(Block("heading", lines[0].strip(), 2))
            lines = lines[1:]
        if lines:
            blocks.append(Block("paragraph", "\n".join(lines)))
    return blocks


def first_title(blocks: Sequence[Block]) -> str:
    """The first heading, else the first line, cut at 80 characters."""
    title = first_heading(blocks)
    if not title and blocks:
        title = blocks[0].text.split("\n")[0][:MAX_HEADING_CHARS].strip()
    return title


def _is_capital_heading(line: str) -> bool:
    line = line.strip()
    if len(line) > MAX_HEADING_CHARS or not line == line.upper() != line.lower():
        return False
    # Scripts without case do not count: a Chinese sentence that names the "ASL" is no heading.
    n_cased = sum(char.upper() != char.lower() for char in line)
    n_letters = sum(char.isalpha() for char in line)
    return n_cased >= max(4, n_letters / 2) and not _CODE_SIGNS.search(line)
