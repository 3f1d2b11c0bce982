"""PDF to blocks by pdfplumber: headings from font size, ruled tables, page numbers.

Lines in a page's margin that stand at the same height on most pages (running headers, footers,
page numbers) are left out; digits in them are not compared, so that "Page 3" and "Page 4" are the
same line. Between the margins nothing is left out: there, equal lines are rows of figures.
"""

import io
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pdfplumber
from pdfminer.pdfdocument import PDFPasswordIncorrect
from pdfplumber.page import Page
from pdfplumber.utils.exceptions import PdfminerException

from rag_assets.documents.blocks import Block, Extracted, RejectedError

HEADING_RATIO = 1.12  # a heading is set at least this much larger than the body text
MAX_HEADING_CHARS = 160  # longer large print is a display paragraph, not a heading
MARGIN = (
    0.08  # of the page's height, above and below; text set an inch from the edge begins at 0.09
)
PARAGRAPH_GAP = 1.6  # line pitch, in the line's height, above which a new paragraph begins


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    size: float  # points
    top: float
    bottom: float
    page: int
    in_margin: bool


def read_pdf(data: bytes) -> Extracted:
    """Text of a PDF, page by page.

    Raises:
        RejectedError: ``encrypted``, ``corrupt``, or ``no text`` (a scan, or no page at all).
    """
    try:
        with pdfplumber.open(io.BytesIO(data)) as pdf:
            pages = [_page(page) for page in pdf.pages]
            title = str((pdf.metadata or {}).get("Title") or "").strip()
    except PdfminerException as error:
        if isinstance(error.args[0] if error.args else None, PDFPasswordIncorrect):
            raise RejectedError("encrypted", "the PDF needs a password to be opened") from error
        raise RejectedError("corrupt", f"not a readable PDF: {error!r}") from error
    lines = _without_running_lines([line for page_lines, _ in pages for line in page_lines], pages)
    tables = [table for _, page_tables in pages for table in page_tables]
    if not lines and not tables:
        raise RejectedError("no text", f"none of the PDF's {len(pages)} pages holds text (a scan?)")
    blocks = _blocks(lines, tables)
    if not title:
        title = next((b.text for b in blocks if b.kind == "heading"), "")
    return Extracted("application/pdf", blocks, title=title)


def _page(page: Page) -> tuple[list[_Line], list[tuple[int, float, str]]]:
    """Lines outside tables, and tables as (page, top, text)."""
    number = int(page.page_number)
    tables, outside = [], page
    for table in page.find_tables():
        rows = [[" ".join((cell or "").split()) for cell in row] for row in table.extract()]
        text = "\n".join(" | ".join(row) for row in rows if any(row))
        if text:
            tables.append((number, float(table.bbox[1]), text))
            outside = outside.outside_bbox(table.bbox, strict=False)
    lines = [_line(line, page) for line in outside.extract_text_lines() if line["text"].strip()]
    page.close()
    return lines, tables


def _line(line: dict[str, Any], page: Page) -> _Line:
    sizes = Counter(round(char["size"], 1) for char in line["chars"])
    margin = MARGIN * float(page.height)
    return _Line(
        text=" ".join(line["text"].split()),
        size=sizes.most_common(1)[0][0],
        top=line["top"],
        bottom=line["bottom"],
        page=int(page.page_number),
        in_margin=line["top"] < margin or line["bottom"] > float(page.height) - margin,
    )


def _without_running_lines(lines: list[_Line], pages: list[Any]) -> list[_Line]:
    if len(pages) < 2:
        return lines

    def place(line: _Line) -> tuple[str, int]:
        return re.sub(r"\d+", "#", line.text), round(line.top / 4)

    seen = Counter(key for key, _ in {(place(line), line.page) for line in lines})
    most = max(2, len(pages) // 2)
    return [line for line in lines if not line.in_margin or seen[place(line)] < most]


def _blocks(lines: list[_Line], tables: list[tuple[int, float, str]]) -> list[Block]:
    body = Counter[float]()
    for line in lines:
        body[line.size] += len(line.text)
    body_size = body.most_common(1)[0][0] if body else 0.0
    larger = sorted({s for s in body if s >= body_size * HEADING_RATIO}, reverse=True)
    placed = [(page, top, Block("table", text, page=page)) for page, top, text in tables]
    for group in _groups(lines):
        first = group[0]
        text = " ".join(line.text for line in group)
        if first.size in larger and len(text) <= MAX_HEADING_CHARS:
            block = Block("heading", text, min(larger.index(first.size) + 1, 6), first.page)
        else:
            block = Block("paragraph", text, page=first.page)
        placed.append((first.page, first.top, block))
    return [block for _, _, block in sorted(placed, key=lambda item: item[:2])]


def _groups(lines: list[_Line]) -> list[list[_Line]]:
    """Lines that belong together: same size, same page, no wide gap between them."""
    groups: list[list[_Line]] = []
    for before, line in pairwise([None, *lines]):
        if line is None:
            continue
        joined = (
            before is not None
            and before.page == line.page
            and before.size == line.size
            and 0 <= line.top - before.top <= PARAGRAPH_GAP * (line.bottom - line.top)
            and not re.match(r"[-\u2022*]\s|\d+[.)]\s", line.text)
        )
        if joined:
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups
