"""What PDFium knows of a page: its text in runs with place, size and face.

A call into PDFium costs a third of a microsecond (``pdf_calls``), a page has some 3,000 characters
and is extracted in two milliseconds. So the text is fetched in one call, and at most three
characters of each line are asked about; each character only in tables (``character_boxes``) and on
pages whose fonts do not name all their signs.
"""

import ctypes
import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from statistics import median_low
from typing import NamedTuple

import pypdfium2.raw as pdfium

from rag_assets.documents.readers.pdf import calls

# PDFium writes U+FFFE for a hyphen at a line's end and carries on with the next line.
_LINE_END = re.compile("\r\n|\r|\n|\ufffe|\x02")
_BOLD = re.compile(r"bold|black|heavy|demi|[-_]medi\b|CMBX|CMSSBX|SFBX", re.IGNORECASE)
_MONO = re.compile(r"mono|courier|consol|menlo|typewriter|CMTT|CMSLTT|SFTT|t1xtt", re.IGNORECASE)
_FIXED_PITCH = 1  # bit of a font's flags, PDF 32000-1 table 123
SHORT_RUN = 24  # characters
DIRECTION_SAMPLES = 16  # lines of a page that are asked which way they run
_NAME_BYTES = ctypes.c_ulong(128)  # of a font's name; of a longer one the face is not known
_TEXTLESS = {0, 2, *range(0x93, 0x9B)}  # what PDFium leaves out of a page's text; and U+0003

Handle = object  # one of PDFium's opaque pointers
Box = tuple[float, float, float, float]  # x0, top, x1, bottom in points; y grows downwards

SIGNS = str.maketrans(
    {
        **{chr(code): "\u2022" for code in (0xF0B7, 0xF0A7, 0xF0D8, 0xF076, 0xF0FC, 0xF02D)},
        **{chr(code): unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)},
        "\xa0": " ",
        "\x02": "\ufffe",
    }
)  # Word's bullets (Symbol, Wingdings); ligatures; PDFium's older sign for a hyphen


@dataclass(frozen=True, slots=True)
class Frame:
    """The page as its text is read: from the upper left corner, however page and text are turned.

    A page's ``/Rotate`` plays no part, only the direction most of its text runs in.
    """

    left: float  # of the page in its own coordinates, points; so the next three
    bottom: float
    right: float
    top: float
    turns: int = 0  # quarter turns, anticlockwise, of the text against the page

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        width, height = self.right - self.left, self.top - self.bottom
        return (height, width) if self.turns % 2 else (width, height)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """From the page's coordinates to the frame's."""
        if self.turns == 0:
            return x - self.left, self.top - y
        if self.turns == 1:
            return y - self.bottom, x - self.left
        if self.turns == 2:
            return self.right - x, y - self.bottom
        return self.top - y, self.right - x

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        """Likewise for a rectangle, whichever of its corners are given."""
        if self.turns == 0 and left <= right and bottom <= top:  # of nearly all
            return left - self.left, self.top - top, right - self.left, self.top - bottom
        (xa, ya), (xb, yb) = self.point(left, bottom), self.point(right, top)
        return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)


class Run(NamedTuple):
    """A stretch of one line: ``text[start:end]`` of its page.

    A page has hundreds, and a frozen dataclass takes three times as long to make.
    """

    start: int
    end: int
    x0: float  # left end, points
    x1: float  # right end
    rects: tuple[Box, ...]  # of its words or larger pieces, in text order
    base: float  # the baseline's y in the frame, points
    size: float  # of the type as it is printed, points
    turns: int  # as Frame.turns
    bold: bool = False
    mono: bool = False
    table: str = ""  # its rows, if this represents a ruled table and not a line

    def touches(self, box: Box) -> bool:
        """Whether a character of the run may lie in a box; they are higher than their ink."""
        x0, top, x1, bottom = box
        return any(
            a - self.size < x1
            and c + self.size > x0
            and b - self.size < bottom
            and d + self.size > top
            for a, b, c, d in self.rects
        )


class PageText:
    """The text of a loaded page; only as long-lived as the two PDFium handles."""

    def __init__(self, page: Handle, textpage: Handle) -> None:
        self._textpage = textpage
        self.text = _text(textpage)
        self._indexes: list[int] | None = None
        if len(self.text) != (n_chars := pdfium.FPDFText_CountChars(textpage)):
            self.text, self._indexes = _characters(textpage, n_chars)
        bounds = pdfium.FS_RECTF()
        pdfium.FPDF_GetPageBoundingBox(page, bounds)
        self.frame = Frame(bounds.left, bounds.bottom, bounds.right, bounds.top)
        self._make_room()
        spans = list(_spans(self.text, 0, len(self.text)))
        turns = Counter[int]()
        for start, end in spans[:: len(spans) // DIRECTION_SAMPLES + 1]:
            turns[self._size_and_turns(self._at((start + end) // 2))[1]] += end - start
        if turns:
            self.frame = replace(self.frame, turns=turns.most_common(1)[0][0])
        self._line_spans = spans

    def _make_room(self) -> None:
        """What PDFium writes its answers to, and how it is told so."""
        self._matrix, self._flags = pdfium.FS_MATRIX(), ctypes.c_int()
        self._to_matrix, self._to_flags = ctypes.byref(self._matrix), ctypes.byref(self._flags)
        self._name = ctypes.create_string_buffer(_NAME_BYTES.value)
        self._to_name = ctypes.byref(self._name)
        self._edges = (ctypes.c_double * 4)()  # left, bottom, right, top
        self._to_edges = [ctypes.byref(self._edges, 8 * place) for place in (0, 3, 2, 1)]
        self._origin = (ctypes.c_double(), ctypes.c_double())
        self._to_origin = [ctypes.byref(value) for value in self._origin]

    def runs(self) -> list[Run]:
        """The page's lines in PDFium's order, without white space at their ends."""
        return [run for span in self._line_spans if (run := self._run(*span)) is not None]

    def visible(self, runs: Sequence[Run], hidden: bytearray) -> list[Run]:
        """The page's runs without the characters that are ``hidden``, a flag for each of its text.

        A run that is interrupted by such becomes several.
        """
        shown: list[Run] = []
        for run in runs:
            if True in hidden[run.start : run.end]:
                parts = (self._run(*span) for span in self._visible(run.start, run.end, hidden))
                shown += [part for part in parts if part is not None]
            else:
                shown.append(run)
        return shown

    def character_boxes(self, runs: Sequence[Run]) -> Iterator[tuple[int, Box]]:
        """Place and box of each character of the runs but white space."""
        rect = pdfium.FS_RECTF()
        reference = ctypes.byref(rect)
        for run in runs:
            for place in range(run.start, run.end):
                if not self.text[place].isspace() and calls.get_loose_char_box(
                    self._textpage, self._at(place), reference
                ):
                    yield place, self.frame.box(rect.left, rect.bottom, rect.right, rect.top)

    def split(self, run: Run, x: float) -> list[Run]:
        """The run cut at an x at which it has no text; itself if it has only text there."""
        right = next((n for n, rect in enumerate(run.rects) if rect[0] >= x), 0)
        if not right or any(rect[2] > x for rect in run.rects[:right]):
            return [run]
        # Each rectangle's text is found by its share of the line's characters, then exactly.
        low, high = run.start, run.end
        while high - low > 1:
            middle = (low + high) // 2
            if self._point(middle)[0] < x:
                low = middle
            else:
                high = middle
        parts = self._run(run.start, high), self._run(high, run.end)
        return [part for part in parts if part is not None]

    def _at(self, place: int) -> int:
        """PDFium's index of the text's n-th character; it counts characters without text, too."""
        return place if self._indexes is None else self._indexes[place]

    def _point(self, place: int) -> tuple[float, float]:
        x, y = self._origin
        calls.get_char_origin(self._textpage, self._at(place), *self._to_origin)
        return self.frame.point(x.value, y.value)

    def _visible(self, start: int, end: int, hidden: bytearray) -> Iterator[tuple[int, int]]:
        for is_hidden, group in groupby(range(start, end), hidden.__getitem__):
            if not is_hidden:
                first, *others = group
                yield from _spans(self.text, first, first + len(others) + 1)

    def _run(self, start: int, end: int) -> Run | None:
        while start < end and self.text[start].isspace():
            start += 1
        while start < end and self.text[end - 1].isspace():
            end -= 1
        rects = self._rects(start, end) if start < end else ()
        if not rects:
            return None
        middle = (start + end) // 2
        while self.text[middle].isspace():
            middle += 1
        places = (start, middle, end - 1)
        # In a short line the middle may be a superscript, which is no measure of it.
        asked = places if end - start < SHORT_RUN else (middle,)
        sizes = [self._size_and_turns(self._at(place)) for place in asked]
        typical = sizes.index(median_low(sizes))
        bold, mono = self._face(self._at(middle))
        for place in places[::2] if bold or mono else ():
            is_bold, is_mono = self._face(self._at(place))
            bold, mono = bold and is_bold, mono and is_mono
        base = self._point(asked[typical])[1]
        x0, x1 = min([rect[0] for rect in rects]), max([rect[2] for rect in rects])
        return Run(start, end, x0, x1, rects, base, *sizes[typical], bold=bold, mono=mono)

    def _rects(self, start: int, end: int) -> tuple[Box, ...]:
        textpage, edges, box = self._textpage, self._edges, self.frame.box
        first = self._at(start)
        count = calls.count_rects(textpage, first, self._at(end - 1) + 1 - first)
        rects = []
        for number in range(count):
            calls.get_rect(textpage, number, *self._to_edges)
            rects.append(box(*edges[:]))
        return tuple(rects)

    def _size_and_turns(self, index: int) -> tuple[float, int]:
        """Points, and quarter turns; the font's own size is only one factor of the size."""
        if not calls.get_matrix(self._textpage, index, self._to_matrix):
            return 0.0, 0
        size = calls.get_font_size(self._textpage, index)
        matrix = self._matrix
        a, b, c, d = matrix.a, matrix.b, matrix.c, matrix.d
        turns = 0 if b == 0 and a > 0 else round(math.atan2(b, a) / (math.pi / 2)) % 4
        return round(abs(size * d) if c == 0 else abs(size) * math.hypot(c, d), 1), turns

    def _face(self, index: int) -> tuple[bool, bool]:
        room = self._to_name, _NAME_BYTES, self._to_flags
        length = calls.get_font_info(self._textpage, index, *room)
        name = self._name.value if 0 < length <= _NAME_BYTES.value else b""
        return face(name, self._flags.value)


@lru_cache(maxsize=1024)
def face(name: bytes, flags: int) -> tuple[bool, bool]:
    """Whether a font is bold, and whether all its letters are equally wide; by its name."""
    text = name.decode("latin-1")
    is_mono = bool(flags & _FIXED_PITCH) or _MONO.search(text) is not None
    return _BOLD.search(text) is not None, is_mono


def _text(textpage: Handle) -> str:
    count = pdfium.FPDFText_CountChars(textpage)
    if count <= 0:
        return ""
    buffer = (ctypes.c_ushort * (2 * count + 1))()  # two units for what UTF-16 needs two for
    length = pdfium.FPDFText_GetText(textpage, 0, count, buffer)
    return bytes(buffer)[: 2 * max(length - 1, 0)].decode("utf-16-le", "replace")


def _characters(textpage: Handle, n_chars: int) -> tuple[str, list[int]]:
    """The text of a page that has characters without text, and PDFium's index of each character.

    Among those without is U+0003. Where a font does not say which letters it draws PDFium gives
    their numbers in it, and the third is the space in most TrueType fonts.
    """
    codes = [calls.get_unicode(textpage, index) for index in range(n_chars)]
    indexes = [index for index, code in enumerate(codes) if code not in _TEXTLESS]
    signs = array("I", [codes[index] for index in indexes]).tobytes().decode("utf-32-le", "replace")
    return signs.replace("\x03", " "), indexes


def _spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Lines of ``text[start:end]`` as half-open ranges; a hyphen at the end stays in its line."""
    for found in _LINE_END.finditer(text, start, end):
        stop = found.end() if found[0] in "\ufffe\x02" else found.start()
        if stop > start:
            yield start, stop
        start = found.end()
    if start < end:
        yield start, end
