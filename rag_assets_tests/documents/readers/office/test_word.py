import pytest

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.office.opendocument import read_odf
from rag_assets.documents.readers.office.slides import read_pptx
from rag_assets.documents.readers.office.spreadsheet import read_spreadsheet
from rag_assets.documents.readers.office.word import read_docx, read_rtf
from rag_assets.documents.reading import read_document
from rag_assets_tests.documents import office_files as files


def test_word() -> None:
    found = read_docx(files.word())
    assert [(b.kind, b.level, b.text) for b in found.blocks] == [
        ("heading", 1, "Handbook of the crew"),
        ("heading", 1, "Rest hours"),
        ("paragraph", 0, "Ten hours of rest in any day."),
        ("heading", 2, "Exceptions"),
        ("list", 0, "- Storm\n- Rescue"),
        ("table", 0, "Rank | Hours\nMate | 10"),
        ("paragraph", 0, "The rule is new"),
    ]
    assert (found.title, found.author, found.language) == ("Crew handbook", "Ann Berg", "en")
    assert found.created == found.modified == "2024-05-06"


def test_word_without_a_stated_title() -> None:
    assert read_docx(files.word(titled=False)).title == "Handbook of the crew"


def test_footnotes_of_word() -> None:
    found = read_docx(files.word_with_footnote())
    assert [b.text for b in found.blocks] == ["Ten hours[1] of rest.", "- By law."]


def test_slides() -> None:
    found = read_pptx(files.slides())
    assert [(b.kind, b.level, b.page, b.text) for b in found.blocks] == [
        ("heading", 1, 1, "Safety briefing"),
        ("paragraph", 0, 1, "For new crew"),
        ("heading", 2, 2, "Life jackets"),
        ("list", 0, 2, "- Under each seat\n  - Children's sizes at the desk"),
        ("paragraph", 0, 2, "Notes: Show one."),
        ("heading", 2, 3, "Muster"),
        ("table", 0, 3, "Deck | Station\n4 | B"),
        ("paragraph", 0, 3, "Grouped words"),
    ]
    assert (found.title, found.author, found.created) == ("Safety briefing", "Bo", "2024-05-06")


def test_workbook() -> None:
    found = read_spreadsheet(files.workbook())
    assert [(b.kind, b.level, b.text) for b in found.blocks] == [
        ("heading", 2, "Summer"),
        ("paragraph", 0, "Fares of the summer"),
        (
            "table",
            0,
            "Line | From | Fare | Pets\n3 | 2024-06-01 | 40.5 | true\n4|5 | any | 81",
        ),
    ]
    assert (found.title, found.author, found.created) == ("Fares", "Cy", "2024-05-06")


@pytest.mark.parametrize(
    ("far", "is_read"), [((99_999, 0), True), ((0, 16_000), True), ((1_048_574, 16_383), False)]
)
def test_cells_far_apart(far: tuple[int, int], is_read: bool) -> None:
    data = files.far_cells(far)
    if is_read:
        assert read_spreadsheet(data).blocks
        return
    with pytest.raises(RejectedError) as caught:
        read_spreadsheet(data)
    assert caught.value.reason == "too large"


def test_open_document_spreadsheet() -> None:
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    rows = "".join(
        f"<table:table-row>{cell.format(a)}{cell.format(b)}</table:table-row>"
        for a, b in (("Name", "Role"), ("Ann", "Mate"))
    )
    table = f'<table:table table:name="Crew">{rows}</table:table>'
    found = read_spreadsheet(files.open_document("spreadsheet", table))
    assert [b.text for b in found.blocks] == ["Crew", "Name | Role\nAnn | Mate"]
    assert (found.title, found.author) == ("Plan", "Di")


def test_open_document_text() -> None:
    body = """<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>
<text:h text:outline-level="2">Top</text:h>
<text:p>a<text:s/>b<text:note><text:note-citation>1</text:note-citation><text:note-body>
<text:p>a note</text:p></text:note-body></text:note> on<text:tab/>it</text:p>
<text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>deep</text:p>
</text:list-item></text:list></text:list-item><text:list-item><text:p>two</text:p></text:list-item>
</text:list><table:table><table:table-row><table:table-cell><text:p>A</text:p><text:p>B</text:p>
</table:table-cell><table:table-cell table:number-columns-repeated="1023"/></table:table-row>
<table:table-row><table:table-cell table:number-columns-repeated="2"><text:p>r</text:p>
</table:table-cell></table:table-row></table:table><text:p/>"""
    found = read_odf(files.open_document("text", body))
    assert [(b.kind, b.level, b.text) for b in found.blocks if b.text] == [
        ("heading", 2, "Top"),
        ("paragraph", 0, "a b on it"),
        ("paragraph", 0, "a note"),
        ("list", 0, "- one\n  - deep\n- two"),
        ("table", 0, "A B\nr | r"),
    ]
    assert (found.title, found.author, found.modified) == ("Plan", "Di", "2024-02-03")


def test_numbered_headings_and_notes_in_lists() -> None:
    note = "<text:note><text:note-body><text:p>by law</text:p></text:note-body></text:note>"
    body = (
        "<text:list><text:list-item><text:p>before</text:p></text:list-item><text:list-item>"
        '<text:h text:outline-level="1">Rest</text:h></text:list-item></text:list>'
        f"<text:list><text:list-item><text:p>Ten hours{note}</text:p></text:list-item></text:list>"
    )
    found = read_odf(files.open_document("text", body))
    assert [(b.kind, b.level, b.text) for b in found.blocks] == [
        ("list", 0, "- before"),
        ("heading", 1, "Rest"),
        ("list", 0, "- Ten hours\n  by law"),
    ]


def test_open_document_slides() -> None:
    def frame(kind: str, inner: str) -> str:
        return (
            f'<draw:frame presentation:class="{kind}"><draw:text-box>{inner}</draw:text-box>'
            "</draw:frame>"
        )

    item = "<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>"
    notes = f"<presentation:notes>{frame('notes', '<text:p>say it</text:p>')}</presentation:notes>"
    first = frame("title", "<text:p>Hello</text:p>") + frame("outline", item) + notes
    body = f"<draw:page>{first}</draw:page><draw:page><text:p>two</text:p></draw:page>"
    found = read_odf(files.open_document("presentation", body))
    assert [(b.kind, b.page, b.text) for b in found.blocks] == [
        ("heading", 1, "Hello"),
        ("list", 1, "- one"),
        ("paragraph", 1, "Notes: say it"),
        ("paragraph", 2, "two"),
    ]


def test_encrypted_open_document() -> None:
    manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>"
    with pytest.raises(RejectedError) as caught:
        read_odf(files.open_document("text", "<text:p>a</text:p>", manifest=manifest))
    assert caught.value.reason == "encrypted"


def test_rtf() -> None:
    source = (
        r"{\rtf1\ansi{\info{\title Safety}{\author Bo}}{\fonttbl{\f0\fcharset0 Arial;}}\f0 "
        r"HELLO WORLD\par First caf\'e9\par\par Gr\u252?n\par\par\trowd a\cell b\cell\row }"
    )
    found = read_rtf(source.encode())
    assert [(b.kind, b.text) for b in found.blocks] == [
        ("heading", "HELLO WORLD"),
        ("paragraph", "First café"),
        ("paragraph", "Grün"),
        ("paragraph", "a | b"),
    ]
    assert (found.title, found.author) == ("Safety", "Bo")


def test_rtf_writes_what_lies_beyond_16_bits_in_two_halves() -> None:
    read = read_document(
        rb"{\rtf1\ansi Thanks \u-10179?\u-8704? and \u-10179? bye\par}", "mail.rtf"
    )
    assert read.text == "Thanks \U0001f600 and \ufffd bye"


def test_pictures_in_rtf_are_skipped() -> None:
    picture = "ffd8ffe000104a46" * 8 + "\n"
    source = r"{\rtf1\ansi One {\pict\jpegblip " + picture * 100_000 + r"}two deadbeef\par}"
    (block,) = read_rtf(source.encode()).blocks
    assert " ".join(block.text.split()) == "One two deadbeef"
