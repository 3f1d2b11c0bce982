"""Scanned pages: PDFium renders them, ``ocr`` reads them."""

import math
from collections.abc import Iterator

import numpy as np
import pypdfium2

from rag_assets.documents.readers import ocr
from rag_assets.documents.readers.blocks import Block
from rag_assets.documents.readers.pdf.joining import joined_text

POINTS_PER_INCH = 72
MAX_PIXELS = 30_000_000  # a sheet of A2 has 17 million; larger ones are rendered more coarsely
SHORT_LINE = 0.7  # of the page's longest line, in characters; a shorter one ends a paragraph


def scanned_blocks(pdf: pypdfium2.PdfDocument) -> list[Block]:
    """Paragraphs of pages that hold pictures of text; ``ocr.is_available`` has to be true.

    One page is rendered at a time. A page that cannot be rendered costs that page only.
    """
    numbers: list[int] = []
    texts = ocr.read_pages(_images(pdf, numbers))
    return [
        Block("paragraph", text, page=numbers[-1] + 1)
        for page in texts
        for text in _paragraphs(page)
    ]


def _images(pdf: pypdfium2.PdfDocument, numbers: list[int]) -> Iterator[np.ndarray]:
    """The pages as RGB; ``numbers`` grows by the number of each, counted from 0."""
    for number in range(len(pdf)):
        try:
            page = pdf[number]
        except pypdfium2.PdfiumError:
            continue
        width, height = page.get_size()
        finest = math.sqrt(MAX_PIXELS / max(width * height, 1.0))
        scale = min(ocr.DPI / POINTS_PER_INCH, finest)
        bitmap = page.render(scale=scale, rev_byteorder=True)
        image = bitmap.to_numpy()[:, :, :3].copy()
        bitmap.close()
        page.close()
        numbers.append(number)
        yield image


def _paragraphs(text: str) -> Iterator[str]:
    lines = [line for row in text.splitlines() if (line := " ".join(row.split()))]
    full = SHORT_LINE * max(map(len, lines), default=0)
    group: list[str] = []
    for line in lines:
        group.append(line)
        if len(line) < full:
            yield joined_text(group)
            group = []
    if group:
        yield joined_text(group)
