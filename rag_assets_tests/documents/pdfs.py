"""PDFs drawn for the tests."""

from collections.abc import Sequence

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
    pdf.rect(20, 20, 100, 100, style="F")
    return bytes(pdf.output())
