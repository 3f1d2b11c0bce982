"""PDFs drawn for the tests."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fpdf import FPDF

BODY = (
    "The ferry leaves the harbour at seven in the morning and reaches the island an hour later. "
    "In heavy weather the master decides whether the crossing is made at all, and says so by six."
)


class _Paper(FPDF):
    def header(self) -> None:
        self.set_font("helvetica", size=8)
        self.set_y(8)
        self.cell(0, 5, "Norrsund Ferries internal", new_x="LMARGIN", new_y="NEXT")
        self.set_y(30)

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font("helvetica", size=8)
        self.cell(0, 5, f"Page {self.page_no()}")


def write(
    pages: Sequence[Sequence[tuple[str, str]]],
    *,
    title: str = "",
    password: str = "",
) -> bytes:
    """A PDF; each page is a list of (h1 | h2 | p | row | table, text)."""
    pdf = _Paper()
    if title:
        pdf.set_title(title)
    if password:
        pdf.set_encryption(owner_password="owner", user_password=password)
    for page in pages:
        pdf.add_page()
        for kind, text in page:
            _draw(pdf, kind, text)
    return bytes(pdf.output())


def _draw(pdf: FPDF, kind: str, text: str) -> None:
    sizes = {"h1": 20, "h2": 14}
    pdf.set_font("helvetica", size=sizes.get(kind, 10))
    if kind == "table":
        with pdf.table() as table:
            for line in text.split("\n"):
                table.row(line.split("|"))
    elif kind == "row":
        pdf.cell(0, 5, text, new_x="LMARGIN", new_y="NEXT")
    else:
        pdf.multi_cell(0, 5 if kind == "p" else 10, text, new_x="LMARGIN", new_y="NEXT")
        pdf.ln(4)


def write_scan() -> bytes:
    """A PDF with a picture of a page and no text."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_fill_color(200, 30, 0)
    pdf.rect(20, 20, 100, 100, style="F")
    return bytes(pdf.output())


def write_columns(left: str, right: str, *, title: str = "", interleaved: bool = False) -> bytes:
    """One page with two columns under a title; interleaved draws them line by line."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=18)
    pdf.set_xy(20, 25)
    pdf.cell(170, 10, title, align="C")
    pdf.set_font("helvetica", size=10)
    columns: list[Any] = [
        pdf.multi_cell(80, 5, text, dry_run=True, output="LINES", align="L")
        for text in (left, right)
    ]
    drawn = [
        (x, y, line) for x, c in zip((20, 108), columns, strict=True) for y, line in enumerate(c)
    ]
    for x, y, line in sorted(drawn, key=lambda item: item[1]) if interleaved else drawn:
        pdf.set_xy(x, 45 + 5 * y)
        pdf.cell(80, 5, line)
    return bytes(pdf.output())


def write_turned(text: str, degrees: int) -> bytes:
    """A page whose text is set sideways, as a landscape page on portrait paper."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=10)
    with pdf.rotation(degrees, x=105, y=148):
        pdf.set_xy(20, 100)
        pdf.multi_cell(160, 5, text)
    return bytes(pdf.output())


def write_lines(lines: Sequence[tuple[float, float, str]], *, font: str = "helvetica") -> bytes:
    """A page with lines at given places: (x in mm, y in mm, text)."""
    pdf = FPDF()
    pdf.set_creation_date(datetime(2023, 5, 17, tzinfo=UTC))
    pdf.set_author("Mara Lind")
    pdf.set_lang("de-AT")
    pdf.add_page()
    pdf.set_font(font, size=10)
    for x, y, text in lines:
        pdf.set_xy(x, y)
        pdf.cell(0, 5, text)
    return bytes(pdf.output())


def write_open_table(*, n_curves: int = 0) -> bytes:
    """A table with rules between rows and columns but none at its left and right."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=10)
    if n_curves:
        pdf.polyline([(20 + n % 7, 150 + n / 3) for n in range(n_curves)])
        for n in range(n_curves // 4):
            pdf.circle(60 + n / 2, 200, 9)
    for row, cells in enumerate((("Line", "Fare"), ("North", "40"), ("South", "55"))):
        for column, cell in enumerate(cells):
            pdf.set_xy(32 + 50 * column, 40 + 8 * row)
            pdf.cell(40, 8, cell)
    for row in range(4):
        pdf.line(30, 40 + 8 * row, 130, 40 + 8 * row)
    pdf.line(80, 40, 80, 64)
    pdf.set_xy(140, 44)
    pdf.cell(0, 5, "Beside the table")
    return bytes(pdf.output())


def write_frames(count: int) -> bytes:
    """Framed lines that do not touch each other."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=10)
    for n in range(count):
        pdf.rect(30, 40 + 20 * n, 90, 12)
        pdf.set_xy(32, 43 + 20 * n)
        pdf.cell(0, 5, f"Framed text of number {n}")
    return bytes(pdf.output())


def write_unnamed_space() -> bytes:
    """A page whose font does not say that its third sign is the space between "ab" and "cd"."""
    names = " ".join(f"<{code:02x}> <{code:04x}>" for code in b"abcd")
    to_unicode = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "1 begincodespacerange <00> <ff> endcodespacerange\n"
        f"4 beginbfchar {names} endbfchar\nendcmap end end"
    )
    content = "BT /F1 12 Tf 72 700 Td (ab\\003cd) Tj ET"
    widths = " ".join(["500"] * 256)
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /FirstChar 0 /LastChar 255 "
        f"/Widths [{widths}] /ToUnicode 6 0 R >>",
        f"<< /Length {len(to_unicode)} >>\nstream\n{to_unicode}\nendstream",
    ]
    numbered = (f"{n} 0 obj\n{text}\nendobj\n" for n, text in enumerate(objects, start=1))
    return f"%PDF-1.4\n{''.join(numbered)}trailer << /Root 1 0 R /Size 7 >>\n%%EOF".encode()
