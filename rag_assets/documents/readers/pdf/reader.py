"""PDF to blocks by PDFium, page by page; pdfplumber's table finder where rules form a grid.

PDFium gives a page's text in two milliseconds where pdfplumber takes a hundred or more. So PDFium
reads every page, and pdfplumber's algorithm is asked about PDFium's drawings where there are rules
enough for a table. A document without any text is read from pictures of its pages (``ocr``).
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import pypdfium2
import pypdfium2.raw as pdfium

from rag_assets.documents.readers import ocr
from rag_assets.documents.readers.blocks import Block, Extracted, RejectedError, first_heading
from rag_assets.documents.readers.pdf.blocks import PageLines, blocks_of
from rag_assets.documents.readers.pdf.columns import lines_in_order
from rag_assets.documents.readers.pdf.facts import facts_of, outline_of
from rag_assets.documents.readers.pdf.page import Handle, PageText, Run
from rag_assets.documents.readers.pdf.tables import Table, characters_in, find_tables, table_text

MAX_PAGES = 20_000  # of a document; at 5 ms each they just fit into a reader's time


def read_pdf(data: bytes) -> Extracted:
    """Text of a PDF, page by page; a page that cannot be read costs that page only.

    Raises:
        RejectedError: ``encrypted``, ``corrupt``, ``too large``, or ``no text`` (a scan without
            the extra for OCR, or nothing but pictures).
    """
    with closing(_opened(data)) as pdf:
        pages, n_pages = _pages(pdf), len(pdf)
        blocks = blocks_of(pages, outline_of(pdf))
        if not pages:
            raise RejectedError("corrupt", f"none of the PDF's {n_pages} pages could be read")
        blocks = blocks or _scanned(pdf)
        facts = {"title": first_heading(blocks), **facts_of(pdf, data)}
        return Extracted("application/pdf", blocks, **facts)


def _scanned(pdf: pypdfium2.PdfDocument) -> list[Block]:
    """Blocks of a document whose pages hold no text that could be read as such."""
    if not ocr.is_available():
        raise RejectedError(
            "no text",
            f"none of the PDF's {len(pdf)} pages holds text; if they are scans, "
            "the extra rag-assets[ocr] reads them",
        )
    blocks = ocr.scanned_blocks(pdf)
    if not blocks:
        raise RejectedError("no text", f"OCR found no text on the PDF's {len(pdf)} pages, either")
    return blocks


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            raise RejectedError("encrypted", "the PDF needs a password to be opened") from error
        if error.err_code == pdfium.FPDF_ERR_SECURITY:
            raise RejectedError("encrypted", "the PDF is encrypted in an unknown way") from error
        raise RejectedError("corrupt", f"not a readable PDF: {error}") from error
    if len(pdf) > MAX_PAGES:
        n_pages = len(pdf)
        pdf.close()
        raise RejectedError("too large", f"expected at most {MAX_PAGES} pages, got {n_pages}")
    return pdf


def _pages(pdf: pypdfium2.PdfDocument) -> list[PageLines]:
    pages = []
    for number in range(len(pdf)):
        with _loaded(pdf, number) as handles:
            if handles is not None:
                pages.append(_page(*handles, number + 1))
    return pages


@contextmanager
def _loaded(pdf: pypdfium2.PdfDocument, number: int) -> Iterator[tuple[Handle, Handle] | None]:
    """PDFium's handles of a page and its text; None if it is broken."""
    page = pdfium.FPDF_LoadPage(pdf, number)
    textpage = pdfium.FPDFText_LoadPage(page) if page else None
    try:
        yield (page, textpage) if textpage else None
    finally:
        if textpage:
            pdfium.FPDFText_ClosePage(textpage)
        if page:
            pdfium.FPDF_ClosePage(page)


def _page(page: Handle, textpage: Handle, number: int) -> PageLines:
    text = PageText(page, textpage)
    runs = text.runs()
    if runs and (found := find_tables(page, text.frame)):
        runs = _with_tables(text, runs, found)
    return PageLines(text.frame.size[1], lines_in_order(text, runs, number))


def _with_tables(text: PageText, runs: list[Run], found: Sequence[Table]) -> list[Run]:
    """The runs without what stands in tables, and a run for each table."""
    hidden = bytearray(len(text.text))
    tables = []
    for table in found:
        near = [run for run in runs if run.touches(table.box)]
        boxes = (item for item in text.character_boxes(near) if not hidden[item[0]])
        shown, places = table_text(table, text.text, characters_in(table.box, boxes))
        if not shown:  # an empty frame, or one around a paragraph
            continue
        for place in places:
            hidden[place] = True
        x0, top, x1, _ = table.box
        stands = (-1, -1, x0, x1, (table.box,), top, 0.0, text.frame.turns)
        tables.append(Run(*stands, table=shown))
    return [*text.visible(runs, hidden), *tables] if tables else runs
