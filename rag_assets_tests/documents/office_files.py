"""Real Office files and books for tests, written by the formats' own libraries."""

import io
import struct
import zipfile
from datetime import date, datetime
from typing import Any

import docx
import xlsxwriter
from docx.oxml import parse_xml
from pptx import Presentation
from pptx.util import Inches

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
WHEN = datetime(2024, 5, 6, 7, 8)


def word(*, titled: bool = True) -> bytes:
    """Title, headings, nested list, table, tracked changes, a hidden comment mark."""
    document = docx.Document()
    if titled:
        document.core_properties.title = "Crew handbook"
        document.core_properties.author = "Ann Berg"
        document.core_properties.language = "en-GB"
        document.core_properties.created = WHEN
        document.core_properties.modified = WHEN
    document.add_heading("Handbook of the crew", 0)
    document.add_heading("Rest hours", 1)
    document.add_paragraph("Ten hours of rest in any day.")
    document.add_heading("Exceptions", 2)
    document.add_paragraph("Storm", style="List Bullet")
    document.add_paragraph("Rescue", style="List Bullet")
    table = document.add_table(2, 2)
    for n, text in enumerate(("Rank", "Hours", "Mate", "10")):
        table.cell(n // 2, n % 2).text = text
    document.add_paragraph("The rule is ")._p.append(
        parse_xml(
            f'<w:ins xmlns:w="{WORD}" w:id="1" w:author="a"><w:r><w:t>new</w:t></w:r></w:ins>'
        )
    )
    document.paragraphs[-1]._p.append(
        parse_xml(
            f'<w:del xmlns:w="{WORD}" w:id="2" w:author="a">'
            "<w:r><w:delText>old</w:delText></w:r></w:del>"
        )
    )
    return _saved(document)


def slides() -> bytes:
    """A title slide, one with bullets and notes, one with a table, a hidden one."""
    show = Presentation()
    show.core_properties.author = "Bo"
    show.core_properties.title = ""
    show.core_properties.created = WHEN
    slide = show.slides.add_slide(show.slide_layouts[0])
    slide.shapes.title.text = "Safety\vbriefing"
    slide.placeholders[1].text = "For new crew"
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Life jackets"
    slide.placeholders[1].text_frame.text = "Under each seat"
    nested = slide.placeholders[1].text_frame.add_paragraph()
    nested.text, nested.level = "Children's sizes at the desk", 1
    slide.notes_slide.notes_text_frame.text = "Show one."
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "Muster"
    size = Inches(1)
    table = slide.shapes.add_table(2, 2, size, size, size, size).table
    for n, text in enumerate(("Deck", "Station", "4", "B")):
        table.cell(n // 2, n % 2).text = text
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(size, size, size, size).text_frame.text = "Grouped words"
    hidden = show.slides.add_slide(show.slide_layouts[5])
    hidden.shapes.title.text = "Never shown"
    hidden.element.set("show", "0")
    return _saved(show)


def workbook() -> bytes:
    """A sheet with caption, types and a formula's value; an empty one; a hidden one."""
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream)
    book.set_properties({"title": "Fares", "author": "Cy", "created": WHEN})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet("Summer")
    sheet.write("A1", "Fares of the summer")
    sheet.write_row("A3", ["Line", "From", "Fare", "Pets"])
    sheet.write_row("A4", [3, "", 40.5, True])
    sheet.write_datetime("B4", datetime.combine(date(2024, 6, 1), datetime.min.time()), day)
    sheet.write_row("A5", ["4|5", "any"])
    sheet.write_formula("C5", "=C4*2", None, 81)
    book.add_worksheet("Empty")
    secret = book.add_worksheet("Secret")
    secret.write("A1", "hidden words")
    secret.hide()
    book.close()
    return stream.getvalue()


def archive(entries: dict[str, str | bytes]) -> bytes:
    """A ZIP file; an entry ``mimetype`` is stored, as EPUB and OpenDocument demand."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in entries.items():
            method = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            target.writestr(name, content, compress_type=method)
    return stream.getvalue()


def word_with_footnote() -> bytes:
    """python-docx writes no footnotes, so this one is made by hand."""
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"

    def related(name: str, target: str) -> str:
        link = f'<Relationship Id="r1" Type="{relation}/{name}" Target="{target}"/>'
        return f'<Relationships xmlns="{relations}">{link}</Relationships>'

    return archive(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
            'content-types"><Default Extension="rels" ContentType="application/xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{kind}.document.main+xml"/>'
            f'<Override PartName="/word/footnotes.xml" ContentType="{kind}.footnotes+xml"/>'
            "</Types>",
            "_rels/.rels": related("officeDocument", "word/document.xml"),
            "word/_rels/document.xml.rels": related("footnotes", "footnotes.xml"),
            "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>Ten hours'
            '</w:t></w:r><w:r><w:footnoteReference w:id="1"/></w:r><w:r>'
            '<w:t xml:space="preserve"> of rest.</w:t></w:r></w:p></w:body></w:document>',
            "word/footnotes.xml": f'<w:footnotes xmlns:w="{WORD}"><w:footnote w:id="1"><w:p><w:r>'
            "<w:t>By law.</w:t></w:r></w:p></w:footnote></w:footnotes>",
        }
    )


def far_cells(far: tuple[int, int]) -> bytes:
    """A sheet with one cell at its corner and one at (row, column), counted from 0."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "first")
        sheet.write(*far, "last")
        sheet.write_blank(1_048_575, 16_383, None, book.add_format({"bold": True}))
    return stream.getvalue()


CONTAINER = """<?xml version="1.0"?><container version="1.0"
xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>"""
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Sea   tales</dc:title>
<dc:creator>Ann Berg</dc:creator><dc:creator>Bo Ek</dc:creator><dc:language>sv-SE</dc:language>
<dc:date>2019-03-04T00:00:00Z</dc:date><dc:rights>CC BY 4.0</dc:rights>
<meta property="dcterms:modified">2020-01-02T03:04:05Z</meta></metadata><manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="b" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="css" href="a.css" media-type="text/css"/></manifest>
<spine><itemref idref="nav"/><itemref idref="a"/><itemref idref="b"/><itemref idref="css"/></spine>
</package>"""
CHAPTER = """<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml">
<head><title>x</title></head><body><h1>{0}</h1><p>Wind&nbsp;&amp; waves of {0}.</p>
<ul><li>sail</li></ul></body></html>"""


def book(**changes: str | bytes) -> bytes:
    """A book of two chapters, listed in the other order in its manifest."""
    entries: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OPS/book.opf": PACKAGE,
        "OPS/nav.xhtml": CHAPTER.format("Contents"),
        "OPS/text/one.xhtml": CHAPTER.format("One"),
        "OPS/text/two b.xhtml": CHAPTER.format("Two"),
    }
    return archive(entries | changes)


ODF = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
    'xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0"'
)


def open_document(kind: str, body: str, *, manifest: str = "<m/>") -> bytes:
    """An OpenDocument file; kind is ``text`` or ``presentation``."""
    return archive(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f"<office:document-content {ODF}><office:body><office:{kind}>{body}"
            f"</office:{kind}></office:body></office:document-content>",
            "meta.xml": f"<office:document-meta {ODF}><office:meta><dc:title>Plan</dc:title>"
            "<meta:initial-creator>Di</meta:initial-creator><dc:date>2024-02-03T10:00:00</dc:date>"
            "</office:meta></office:document-meta>",
            "META-INF/manifest.xml": manifest,
        }
    )


def ole(*streams: str) -> bytes:
    """The beginning of an OLE2 file whose directory names these streams."""
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
    entries = [name.encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H", 0) for name in streams]
    return header + b"".join(entry.ljust(128, b"\0") for entry in entries)


def _saved(document: Any) -> bytes:  # noqa: ANN401 - two libraries' documents
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()
