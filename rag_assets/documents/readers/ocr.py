"""Text of scanned pages by RapidOCR, if it is installed: the extra ``rag-assets[ocr]``.

Its models come inside the wheel (PP-OCRv6 small, Apache-2.0; Latin and Chinese scripts), so that
nothing is fetched when it runs. A page of 32 lines at 150 dpi took 18 s on two busy cores.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

DPI = 150  # at which pages are to be rendered


def is_available() -> bool:
    """Whether the library and its runtime are installed."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def read_pages(images: Iterable[np.ndarray]) -> Iterator[str]:
    """The text of each page, a line for each line found, from top to bottom; empty without any.

    Args:
        images: height x width x 3, uint8, RGB; rendered at ``DPI``.

    Raises:
        ImportError: the extra is not installed.
    """
    engine = _engine()
    for image in images:
        found = engine(np.ascontiguousarray(image[:, :, ::-1]))  # it expects OpenCV's BGR
        yield "\n".join(found.txts or ())


@cache
def _engine() -> Any:  # noqa: ANN401 - it has no types
    from rapidocr import RapidOCR

    # Pages stand upright, and turning each line to make sure costs a third model.
    return RapidOCR(params={"Global.log_level": "critical", "Global.use_cls": False})
