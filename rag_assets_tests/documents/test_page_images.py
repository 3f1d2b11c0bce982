"""Pages of PDFs as pictures, with boxes over a quote."""

import io
import os
import subprocess

import numpy as np
import pytest
from PIL import Image

from rag_assets.documents import page_images
from rag_assets.documents.page_images import MAX_PIXELS, MAX_SIDE, drawn, page_image
from rag_assets.documents.readers.blocks import RejectedError
from rag_assets_tests.documents.pdfs import BODY, write

FIRST, SECOND = BODY.split(". ", 1)
PDF = write(
    [[("h1", "Timetable"), ("p", BODY)], [("table", "Port|Hour\nHestvik|07:10\nSolvik|08:25")]]
)


def shaded(png: bytes) -> tuple[int, list[int]]:
    """How many pixels are shaded, and the rows that have any."""
    red, green, blue = np.moveaxis(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")), 2, 0)
    yellow = (red > 240) & (green > 200) & (green < 250) & (blue < 170)
    return int(yellow.sum()), [int(row) for row in np.flatnonzero(yellow.any(axis=1))]


def test_the_quote_is_shaded_and_nothing_else() -> None:
    n_whole, rows_whole = shaded(page_image(PDF, 1, BODY))
    n_first, rows_first = shaded(page_image(PDF, 1, FIRST))
    n_second, rows_second = shaded(page_image(PDF, 1, SECOND))
    assert n_first > 1000
    assert n_second > 1000
    assert n_first + n_second <= n_whole * 1.1
    assert min(rows_first) == min(rows_whole)
    assert max(rows_second) == max(rows_whole)
    assert max(rows_first) < max(rows_second)


@pytest.mark.parametrize(
    "quote",
    [
        BODY.replace(" ", "\n  "),
        BODY.upper(),
        f"{FIRST}.\nA sentence that stands on the page before this one.",
    ],
)
def test_how_the_quote_is_written_does_not_matter(quote: str) -> None:
    assert shaded(page_image(PDF, 1, quote))[0] > 1000


def test_a_row_of_a_table_is_found() -> None:
    n, rows = shaded(page_image(PDF, 2, "Solvik | 08:25"))
    assert n > 100
    assert max(rows) - min(rows) < 60


@pytest.mark.parametrize("quote", ["", "...", "Nothing of the kind stands here."])
def test_without_the_quote_the_page_is_plain(quote: str) -> None:
    assert shaded(page_image(PDF, 1, quote))[0] == 0


@pytest.mark.parametrize(
    ("data", "number"), [(PDF, 0), (PDF, 3), (b"%PDF-1.7 broken", 1), (b"", 1)]
)
def test_what_cannot_be_drawn_is_refused(data: bytes, number: int) -> None:
    with pytest.raises(RejectedError):
        page_image(data, number, FIRST)


@pytest.mark.parametrize("size", [(14_000, 14_000), (14_000, 20)])
def test_pixels_are_bounded(size: tuple[int, int]) -> None:
    box = f"[0 0 {size[0]} {size[1]}]".encode()
    huge = (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox" + box + b">>endobj\n"
        b"trailer<</Root 1 0 R>>"
    )
    picture = Image.open(io.BytesIO(page_image(huge, 1, "")))
    assert picture.width * picture.height <= MAX_PIXELS * 1.01
    assert max(picture.size) <= MAX_SIDE + 1


def test_another_process_draws_the_same() -> None:
    assert drawn(PDF, 1, FIRST) == page_image(PDF, 1, FIRST)


def test_a_process_that_dies_or_hangs_costs_the_picture_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(RejectedError, match="not drawn"):
        drawn(b"%PDF-1.7 broken", 1, FIRST)
    monkeypatch.setattr(page_images, "TIMEOUT_S", 0.01)
    with pytest.raises(RejectedError, match="longer than"):
        drawn(PDF, 1, FIRST)


def test_the_process_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = {}

    def run(*_: object, env: dict[str, str], **__: object) -> None:
        given.update(env)
        raise RejectedError("crash", "enough seen")

    monkeypatch.setenv("RAG_SECRET", "hush")
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(RejectedError, match="enough"):
        drawn(PDF, 1, FIRST)
    assert given.keys() <= {"PATH", "PYTHONPATH"}
    assert given["PATH"] == os.environ["PATH"]
