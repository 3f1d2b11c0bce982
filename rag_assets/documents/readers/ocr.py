"""Scanned pages to paragraphs by RapidOCR, if it is installed: the extra ``rag-assets[ocr]``.

Its models come inside the wheel (PP-OCRv6 small, Apache-2.0; Latin and Chinese scripts), so that
nothing is fetched when it runs. A page of 32 lines at 150 dpi took 18 s on two busy cores.
"""

import math
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_assets.documents.readers.blocks import Block
from rag_assets.documents.readers.pdf.joining import joined_text

if TYPE_CHECKING:  # who only asks whether scans are read does not wait for PDFium
    import pypdfium2

DPI = 150  # at which pages are rendered
POINTS_PER_INCH = 72
MAX_PIXELS = 30_000_000  # a sheet of A2 has 17 million; larger ones are rendered more coarsely
SHORT_LINE = 0.7  # of the page's longest line, in characters; a shorter one ends a paragraph


def is_available() -> bool:
    """Whether the library and its runtime are installed."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def scanned_blocks(pdf: "pypdfium2.PdfDocument") -> list[Block]:
    """Paragraphs of pages that hold pictures of text; ``is_available`` has to be true.

    One page is rendered at a time. A page that cannot be rendered costs that page only.
    """
    return [
        Block("paragraph", text, page=number)
        for number, image in _images(pdf)
        for text in _paragraphs(page_text(image))
    ]


def page_text(image: np.ndarray) -> str:
    """A page's text, a line for each line found, from top to bottom.

    Args:
        image: height x width x 3, uint8, RGB; rendered at ``DPI``.
    """
    found = _engine()(np.ascontiguousarray(image[:, :, ::-1]))  # it expects OpenCV's BGR
    return "\n".join(found.txts or ())


@cache
def _engine() -> Any:  # noqa: ANN401 - it has no types
    from rapidocr import RapidOCR

    # Pages stand upright, and turning each line to make sure costs a third model.
    return RapidOCR(params={"Global.log_level": "critical", "Global.use_cls": False})


def _images(pdf: "pypdfium2.PdfDocument") -> Iterator[tuple[int, np.ndarray]]:
    """The number of each page, from 1, and the page as RGB."""
    from pypdfium2 import PdfiumError

    for number in range(len(pdf)):
        try:
            page = pdf[number]
        except PdfiumError:
            continue
        width, height = page.get_size()
        finest = math.sqrt(MAX_PIXELS / max(width * height, 1.0))
        bitmap = page.render(scale=min(DPI / POINTS_PER_INCH, finest), rev_byteorder=True)
        image = bitmap.to_numpy()[:, :, :3].copy()
        bitmap.close()
        page.close()
        yield number + 1, image


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
