"""Word's formats to blocks.

mammoth reads .docx: it turns styles, numbering, merged cells, footnotes and tracked changes into
HTML of the same structure, which python-docx leaves to its user.
"""

import io
import re

import mammoth
from lxml import html
from striprtf.striprtf import rtf_to_text

from rag_assets.documents.readers.archives import Archive, parsing
from rag_assets.documents.readers.blocks import Extracted, first_heading, well_formed
from rag_assets.documents.readers.html.tree import blocks_of
from rag_assets.documents.readers.media_types import DOCX
from rag_assets.documents.readers.metadata import or_none
from rag_assets.documents.readers.text.plaintext import first_title, text_blocks

_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
_RTF_INFO = re.compile(r"\{\\(title|author) ([^{}\\]{1,300})\}")
_RTF_ROW = re.compile(r"^([^|\n]*+\|.*)\|$", re.MULTILINE)  # by striprtf: a bar behind each cell
_HEX_DATA = re.compile(r"(?:[0-9a-fA-F]{32,}+\s*+){8,}+")  # of a picture: striprtf is slow on it
_BACK_LINK = "↑"  # from a footnote to its place, by mammoth


def read_docx(data: bytes) -> Extracted:
    """A Word document with its footnotes; headers, footers, comments and pictures are left out.

    Raises:
        RejectedError: ``corrupt``, ``too large``.
    """
    archive = Archive(data)
    with parsing("Word document"):
        converted = mammoth.convert_to_html(
            io.BytesIO(data), style_map=_STYLES, convert_image=lambda _: []
        )
        root = html.fragment_fromstring(converted.value, create_parent="div")
    for link in [e for e in root.iter("a") if e.text == _BACK_LINK]:
        link.drop_tree()
    blocks = blocks_of(root)
    return Extracted(DOCX, blocks, **{"title": first_heading(blocks), **archive.properties()})


def read_rtf(data: bytes) -> Extracted:
    """The text of an RTF file: paragraphs, and rows of tables as lines with bars between cells.

    Raises:
        RejectedError: ``corrupt``.
    """
    source = _HEX_DATA.sub("", data.decode("latin-1"))  # RTF is ASCII and escapes the rest
    with parsing("RTF file"):
        # Two halves make a character before a title or the like is cut from the text.
        text = well_formed(rtf_to_text(source, errors="replace"))  # type: ignore[no-untyped-call]
        blocks = text_blocks(_RTF_ROW.sub(_row, text))
    info = {key: text for key, text in _RTF_INFO.findall(source[:100_000]) if text.strip()}
    return Extracted(
        "application/rtf",
        blocks,
        title=info.get("title", "").strip() or first_title(blocks),
        author=or_none(info.get("author")),
    )


def _row(match: re.Match[str]) -> str:
    return " | ".join(" ".join(cell.split()) for cell in match[1].split("|"))
