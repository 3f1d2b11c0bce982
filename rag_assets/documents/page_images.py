"""A page of a PDF as a picture, with boxes over a quote.

PDFium reads files that anybody may have written, so each picture is drawn in a process of its own
(``python -m rag_assets.documents.page_images``), which has little memory, little time and none of
the secrets of this one's environment.
"""

import io
import json
import math
import os
import re
import resource
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import closing

import pypdfium2
from PIL import Image, ImageChops, ImageDraw

from rag_assets.documents.readers.blocks import RejectedError

SCALE = 1.5  # 108 dots an inch: text of 8 points can be read
MAX_PIXELS = 3_000_000  # A3 at this scale has 2.2 million; larger pages are drawn more coarsely
MAX_SIDE = 4000  # pixels, of a page that is a ribbon
MAX_BYTES = 200_000_000  # of a PDF
TIMEOUT_S = 20.0
MEMORY_BYTES = 2 * 2**30  # address space
MIN_PART = 8  # letters and digits: of a part of a quote that is looked for by itself
_PARTS = re.compile(r"\n|\s\|\s|(?<=[.!?;])\s")
_SHADE = (255, 236, 120)
_EDGE = (190, 110, 0)
Box = tuple[float, float, float, float]


def page_image(data: bytes, number: int, quote: str) -> bytes:
    """A page as PNG, with a box around each line of the quote; without one where it is not found.

    Args:
        data: the PDF.
        number: of the page, from 1.
        quote: text of the document; white space and punctuation do not count.

    Raises:
        RejectedError: it cannot be opened, or has no such page.
    """
    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise RejectedError("corrupt", f"not a readable PDF: {error}") from error
    with closing(pdf):
        if not 1 <= number <= len(pdf):
            raise RejectedError("no page", f"expected a page from 1 to {len(pdf)}, got {number}")
        try:
            page = pdf[number - 1]
        except pypdfium2.PdfiumError as error:
            raise RejectedError("corrupt", f"page {number} cannot be read: {error}") from error
        width, height = page.get_size()
        scale = min(SCALE, math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / max(width, height))
        bitmap = page.render(scale=scale)
        picture = bitmap.to_pil().convert("RGB")
        place = bitmap.get_posconv(page)
        boxes = []
        for left, bottom, right, top in _boxes(page, quote):
            (xa, ya), (xb, yb) = place.to_bitmap(left, bottom), place.to_bitmap(right, top)
            boxes.append((min(xa, xb) - 2, min(ya, yb) - 2, max(xa, xb) + 2, max(ya, yb) + 2))
        return _png(picture, boxes)


def _png(picture: Image.Image, boxes: list[Box]) -> bytes:
    marks = Image.new("RGB", picture.size, "white")
    pen = ImageDraw.Draw(marks)
    for box in boxes:
        pen.rectangle(box, fill=_SHADE, outline=_EDGE, width=2)
    picture = ImageChops.multiply(picture, marks)  # what is written stays as dark as it is
    out = io.BytesIO()
    picture.quantize(128).save(out, "PNG")  # a quarter of the bytes, and text looks the same
    return out.getvalue()


def _boxes(page: pypdfium2.PdfPage, quote: str) -> Iterator[Box]:
    """Where the quote stands, line by line, in the page's own coordinates."""
    textpage = page.get_textpage()
    letters: list[str] = []
    places: list[int] = []
    for place in range(textpage.count_chars()):
        for letter in _letters(chr(pypdfium2.raw.FPDFText_GetUnicode(textpage, place))):
            letters.append(letter)
            places.append(place)
    text = "".join(letters)
    for start, end in _found(text, quote):
        first, last = places[start], places[end - 1]
        for number in range(textpage.count_rects(first, last + 1 - first)):
            yield textpage.get_rect(number)


def _found(text: str, quote: str) -> Iterator[tuple[int, int]]:
    """Spans of the quote, or of those of its parts that stand in the text."""
    whole = _letters(quote)
    if whole and (start := text.find(whole)) >= 0:
        yield start, start + len(whole)
        return
    for part in map(_letters, _PARTS.split(quote)):
        if len(part) >= MIN_PART and (start := text.find(part)) >= 0:
            yield start, start + len(part)


def _letters(text: str) -> str:
    """Letters and digits alone: hyphens, cells and line ends are written in many ways."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in folded if sign.isalnum())


def drawn(data: bytes, number: int, quote: str) -> bytes:
    """Like ``page_image``, in a process of its own.

    Raises:
        RejectedError: also if that takes too long, or dies.
    """
    if len(data) > MAX_BYTES:
        limit = f"expected a PDF of at most {MAX_BYTES:,} bytes, got {len(data):,}"
        raise RejectedError("too large", limit)
    head = json.dumps({"page": number, "quote": quote}).encode() + b"\n"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rag_assets.documents.page_images"],
            input=head + data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=TIMEOUT_S,
            env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        )
    except subprocess.TimeoutExpired as error:
        raise RejectedError("timeout", f"drawing took longer than {TIMEOUT_S:g} s") from error
    if done.returncode or not done.stdout.startswith(b"\x89PNG"):
        raise RejectedError("crash", f"the page was not drawn (exit code {done.returncode})")
    return done.stdout


def main() -> int:
    """Draw what standard input says: a line of JSON, then the PDF."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (int(TIMEOUT_S), int(TIMEOUT_S)))
    asked = json.loads(sys.stdin.buffer.readline())
    try:
        picture = page_image(sys.stdin.buffer.read(), asked["page"], asked["quote"])
    except RejectedError:
        return 1
    sys.stdout.buffer.write(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
