"""Straight edges among a page's drawings; the rules of tables are such edges."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2.raw as pdfium
from pypdfium2 import PdfMatrix

from rag_assets.documents.readers.pdf import calls
from rag_assets.documents.readers.pdf.page import Frame, Handle

MAX_OBJECTS = 20_000  # on a page; beyond it is a map or a drawing, and no table is looked for
MAX_SEGMENTS = 4_000  # straight edges, likewise; pdfplumber compares each with each
SAMPLE = 64  # segments of a path, after which it is told whether it is a picture's outline
MIN_SHARE = 8  # of a path's segments one in so many has to be upright or level, else it is one
MAX_DEPTH = 4  # of forms within forms
STRAIGHT = 0.5  # points by which an upright or level line may lean, by rounding

Edge = dict[str, Any]


def edges_of(page: Handle, frame: Frame) -> list[Edge]:
    """Upright and level straight edges of what is drawn, in pdfplumber's form."""
    found: list[Edge] = []
    for path, matrix in _paths(page):
        found += _path_edges(path, matrix, frame)
        if len(found) > MAX_SEGMENTS:
            break
    return found


def _path_edges(path: Handle, matrix: PdfMatrix, frame: Frame) -> list[Edge]:
    edges: list[Edge] = []
    for number, start, end in _strokes(path, matrix):
        if number >= SAMPLE and len(edges) * MIN_SHARE < number:
            break
        (xa, ya), (xb, yb) = frame.point(*start), frame.point(*end)
        wide, high = abs(xa - xb), abs(ya - yb)
        if (wide > STRAIGHT) == (high > STRAIGHT):
            continue
        if high > wide:
            edges.append(edge(xa, xa, min(ya, yb), max(ya, yb)))
        else:
            edges.append(edge(min(xa, xb), max(xa, xb), ya, ya))
    return edges


def _paths(page: Handle) -> Iterator[tuple[Handle, PdfMatrix]]:
    """Paths that are painted, with what leads from their coordinates to the page's."""
    seen = 0
    waiting: list[tuple[Callable[..., int], Handle, int, PdfMatrix]] = [
        (calls.count_page_objects, page, 0, PdfMatrix())
    ]
    while waiting:
        count, holder, depth, outer = waiting.pop()
        get = calls.get_page_object if depth == 0 else calls.get_form_object
        n_objects = count(holder)
        seen += max(n_objects, 0)
        if seen > MAX_OBJECTS:
            return
        for number in range(n_objects):
            item = get(holder, number)
            kind = calls.get_object_type(item)
            if kind == pdfium.FPDF_PAGEOBJ_PATH and _is_painted(item):
                yield item, _matrix(item, outer)
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
                waiting.append((calls.count_form_objects, item, depth + 1, _matrix(item, outer)))


def _is_painted(path: Handle) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    known = calls.get_draw_mode(path, ctypes.byref(fill), ctypes.byref(stroke))
    return bool(known and (fill.value or stroke.value))


def _strokes(
    path: Handle, matrix: PdfMatrix
) -> Iterator[tuple[int, tuple[float, float], tuple[float, float]]]:
    """Number, start and end of each straight segment, in the page's coordinates."""
    a, b, c, d, e, f = matrix.get()
    x, y = ctypes.c_float(), ctypes.c_float()
    to_x, to_y = ctypes.byref(x), ctypes.byref(y)
    first = last = (0.0, 0.0)
    n_lines = 0
    for number in range(min(calls.count_segments(path), MAX_SEGMENTS)):
        segment = calls.get_segment(path, number)
        calls.get_segment_point(segment, to_x, to_y)
        point = (a * x.value + c * y.value + e, b * x.value + d * y.value + f)
        kind = calls.get_segment_type(segment)
        if number >= SAMPLE and n_lines * MIN_SHARE < number:
            return
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            first = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            n_lines += 1
            yield number, last, point
            if calls.is_segment_closing(segment) and point != first:
                yield number, point, first
        last = point


def _matrix(item: Handle, outer: PdfMatrix) -> PdfMatrix:
    """First the item's own, then the outer one."""
    found = pdfium.FS_MATRIX()
    known = calls.get_object_matrix(item, ctypes.byref(found))
    return PdfMatrix.from_raw(found).multiply(outer) if known else outer


def edge(x0: float, x1: float, top: float, bottom: float) -> Edge:
    """An edge in pdfplumber's form, upright if it has no width."""
    return {
        "x0": x0,
        "x1": x1,
        "top": top,
        "bottom": bottom,
        "width": x1 - x0,
        "height": bottom - top,
        "orientation": "v" if x0 == x1 else "h",
    }
