import numpy as np
import pytest

from rag_assets.documents.readers.ocr import DPI, is_available, page_text


@pytest.mark.skipif(not is_available(), reason="the extra `ocr` is not installed")
def test_a_rendered_page_is_read() -> None:
    import fpdf
    import pypdfium2

    lines = ["The ferry sails daily at 07:40 from berth 4.", "Dogs pay 12.50 kr."]
    pdf = fpdf.FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=11)
    for line in lines:
        pdf.cell(0, 7, line, new_x="LMARGIN", new_y="NEXT")
    page = pypdfium2.PdfDocument(bytes(pdf.output()))[0].render(scale=DPI / 72).to_numpy()
    blank = np.full_like(page, 255)
    assert [page_text(page[:, :, ::-1]), page_text(blank)] == ["\n".join(lines), ""]
