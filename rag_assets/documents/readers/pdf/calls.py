"""PDFium's functions for what is asked of each line, rectangle or path of a page.

Called as pypdfium2 declares them they cost a microsecond each, of which ctypes takes two thirds to
convert and check the arguments. Here nothing is converted: arguments have to be handles, ``int``
where C has ``int``, and ``byref`` of the right structure. Anything else ends the process.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import pypdfium2.raw as pdfium


class Pointer(ctypes.c_void_p):
    """An object of a page; unlike ``c_void_p`` itself it is not turned into an int."""


def _bare(function: Any, result: type = ctypes.c_int) -> Callable[..., Any]:  # noqa: ANN401
    return ctypes.PYFUNCTYPE(result)(ctypes.cast(function, ctypes.c_void_p).value or 0)


get_unicode = _bare(pdfium.FPDFText_GetUnicode, ctypes.c_uint)
count_rects = _bare(pdfium.FPDFText_CountRects)
get_rect = _bare(pdfium.FPDFText_GetRect)
get_matrix = _bare(pdfium.FPDFText_GetMatrix)
get_font_size = _bare(pdfium.FPDFText_GetFontSize, ctypes.c_double)
get_font_info = _bare(pdfium.FPDFText_GetFontInfo, ctypes.c_ulong)
get_char_origin = _bare(pdfium.FPDFText_GetCharOrigin)
get_loose_char_box = _bare(pdfium.FPDFText_GetLooseCharBox)

count_page_objects = _bare(pdfium.FPDFPage_CountObjects)
count_form_objects = _bare(pdfium.FPDFFormObj_CountObjects)
get_page_object = _bare(pdfium.FPDFPage_GetObject, Pointer)
get_form_object = _bare(pdfium.FPDFFormObj_GetObject, Pointer)
get_object_type = _bare(pdfium.FPDFPageObj_GetType)
get_object_matrix = _bare(pdfium.FPDFPageObj_GetMatrix)
get_draw_mode = _bare(pdfium.FPDFPath_GetDrawMode)
count_segments = _bare(pdfium.FPDFPath_CountSegments)
get_segment = _bare(pdfium.FPDFPath_GetPathSegment, Pointer)
get_segment_point = _bare(pdfium.FPDFPathSegment_GetPoint)
get_segment_type = _bare(pdfium.FPDFPathSegment_GetType)
is_segment_closing = _bare(pdfium.FPDFPathSegment_GetClose)
