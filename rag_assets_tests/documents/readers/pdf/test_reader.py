import numpy as np
import pypdfium2
import pytest

from rag_assets.documents.readers import ocr
from rag_assets.documents.readers.blocks import Block, RejectedError
from rag_assets.documents.readers.pdf.reader import read_pdf
from rag_assets_tests.documents import pdfs
from rag_assets_tests.documents.pdfs import BODY

PAGES = [
    [("h1", "Sailing rules"), ("p", BODY), ("h2", "Fares"), ("table", "Line|Fare\n1|40\n2|55")],
    [("h2", "Weather"), ("p", BODY.replace("seven", "eight"))],
    [("p", BODY.replace("seven", "nine"))],
]


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    return read_pdf(pdfs.write(PAGES)).blocks


def test_structure(blocks: list[Block]) -> None:
    assert [(b.kind, b.level, b.page) for b in blocks] == [
        ("heading", 1, 1),
        ("paragraph", 0, 1),
        ("heading", 2, 1),
        ("table", 0, 1),
        ("heading", 2, 2),
        ("paragraph", 0, 2),
        ("paragraph", 0, 3),
    ]
    assert [b.text for b in blocks if b.kind == "heading"] == ["Sailing rules", "Fares", "Weather"]


def test_paragraph_is_put_together_from_its_lines(blocks: list[Block]) -> None:
    assert blocks[1].text == BODY


def test_table_keeps_rows_and_stands_once(blocks: list[Block]) -> None:
    assert blocks[3].text == "Line | Fare\n1 | 40\n2 | 55"
    assert sum("55" in block.text for block in blocks) == 1


def test_running_lines_are_left_out(blocks: list[Block]) -> None:
    text = "\n".join(block.text for block in blocks)
    assert "internal" not in text
    assert "Page" not in text


def test_rows_of_figures_at_equal_heights_are_kept() -> None:
    rows = [
        [("row", f"Item {10 * page + n} costs {page + n}") for n in range(9)] for page in (1, 2)
    ]
    text = "\n".join(block.text for block in read_pdf(pdfs.write(rows)).blocks)
    assert text.count("Item") == 18


def test_title_is_the_metadata_or_the_first_heading() -> None:
    assert read_pdf(pdfs.write(PAGES)).title == "Sailing rules"
    assert read_pdf(pdfs.write(PAGES, title="Rules 2024")).title == "Rules 2024"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdfs.write(PAGES, password="secret"), "encrypted"),
        (b"%PDF-1.7\nthis is not one", "corrupt"),
        (pdfs.write_scan(), "no text"),
    ],
    ids=["encrypted", "corrupt", "scan"],
)
def test_what_gives_no_text_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        read_pdf(data)
    assert caught.value.reason == reason


def test_scan_is_read_from_pictures_of_its_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def page_text(image: np.ndarray) -> str:
        seen.append(image)
        return "The ferry leaves the har-\nbour at seven.\n\nNo dogs are taken along here."

    monkeypatch.setattr(ocr, "is_available", lambda: True)
    monkeypatch.setattr(ocr, "page_text", page_text)
    blocks = read_pdf(pdfs.write_scan()).blocks
    assert blocks == [
        Block("paragraph", "The ferry leaves the harbour at seven.", page=1),
        Block("paragraph", "No dogs are taken along here.", page=1),
    ]
    (image,) = seen
    assert image.dtype == np.uint8
    assert image.shape == (1754, 1241, 3)  # A4 at 150 dpi
    assert image[0, 0].tolist() == [255, 255, 255]
    assert image[400, 400].tolist() == [200, 30, 0]  # red, green, blue


@pytest.mark.parametrize(
    ("installed", "said"), [(False, r"rag-assets\[ocr\]"), (True, "OCR found")]
)
def test_scan_without_text_is_rejected(
    monkeypatch: pytest.MonkeyPatch, installed: bool, said: str
) -> None:
    monkeypatch.setattr(ocr, "is_available", lambda: installed)
    monkeypatch.setattr(ocr, "page_text", lambda image: "")
    with pytest.raises(RejectedError, match=said) as caught:
        read_pdf(pdfs.write_scan())
    assert caught.value.reason == "no text"


def test_large_sheet_is_rendered_more_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "MAX_PIXELS", 10_000)
    with pypdfium2.PdfDocument(pdfs.write_scan()) as pdf:
        ((_, image),) = ocr._images(pdf)
    assert image.shape[0] * image.shape[1] < 11_000


def test_cut_off_file_is_rejected_or_read_never_a_crash() -> None:
    whole = pdfs.write(PAGES)
    for share in (0.3, 0.6, 0.9):
        try:
            found = len(read_pdf(whole[: int(len(whole) * share)]).blocks)
        except RejectedError:
            found = 1
        assert found
