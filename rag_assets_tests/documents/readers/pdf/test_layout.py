"""Layout: columns, turned pages, tables, hyphens, running lines; and what bad bytes do."""

import random

import pytest
from pdfplumber import table as plumber

from rag_assets.documents.readers.blocks import Block, RejectedError
from rag_assets.documents.readers.pdf import tables as pdf_tables
from rag_assets.documents.readers.pdf.blocks import outline_key
from rag_assets.documents.readers.pdf.drawings import edge
from rag_assets.documents.readers.pdf.joining import joined_text, words_of
from rag_assets.documents.readers.pdf.page import Frame, face
from rag_assets.documents.readers.pdf.reader import read_pdf
from rag_assets_tests.documents import pdfs
from rag_assets_tests.documents.pdfs import BODY
from rag_assets_tests.evaluation_data import evaluation_data

OTHER = BODY.replace("ferry", "tram").replace("harbour", "depot").replace("island", "hospital")


def words(blocks: list[Block]) -> list[str]:
    return " ".join(block.text for block in blocks).split()


@pytest.mark.parametrize("interleaved", [False, True])
def test_columns_are_read_one_after_the_other(interleaved: bool) -> None:
    data = pdfs.write_columns(
        f"{BODY} {BODY}", f"{OTHER} {OTHER}", title="Two ways", interleaved=interleaved
    )
    blocks = read_pdf(data).blocks
    assert (blocks[0].kind, blocks[0].text) == ("heading", "Two ways")
    assert words(blocks[1:]) == f"{BODY} {BODY} {OTHER} {OTHER}".split()


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_turned_text_is_read_in_its_own_direction(degrees: int) -> None:
    assert words(read_pdf(pdfs.write_turned(f"{BODY} {OTHER}", degrees)).blocks) == (
        f"{BODY} {OTHER}".split()
    )


def test_rows_of_figures_are_not_columns() -> None:
    rows = [
        (x, 40 + 6 * n, f"{word} {n}") for n in range(9) for x, word in ((20, "No"), (120, "Sum"))
    ]
    text = " ".join(words(read_pdf(pdfs.write_lines(rows)).blocks))
    assert "No 0 Sum 0 No 1 Sum 1" in text


def test_table_without_outer_sides_is_found_and_text_beside_it_kept() -> None:
    blocks = read_pdf(pdfs.write_open_table()).blocks
    assert [b.text for b in blocks if b.kind == "table"] == ["Line | Fare\nNorth | 40\nSouth | 55"]
    assert [b.text for b in blocks if b.kind != "table"] == ["Beside the table"]


@pytest.mark.parametrize("count", [1, 3])
def test_frames_that_stand_alone_are_no_table(count: int) -> None:
    blocks = read_pdf(pdfs.write_frames(count)).blocks
    assert {block.kind for block in blocks} == {"paragraph"}
    assert sum("Framed" in block.text for block in blocks) == count


def test_table_drawn_amid_long_curves_is_found() -> None:
    kinds = [b.kind for b in read_pdf(pdfs.write_open_table(n_curves=300)).blocks]
    assert kinds.count("table") == 1


def test_character_without_text_of_number_three_is_a_space() -> None:
    page = read_pdf(pdfs.write_unnamed_space()).blocks
    assert [block.text for block in page] == ["ab cd"]


def test_cells_are_those_of_pdfplumber() -> None:
    edges = [edge(x, x, 0, 40) for x in (0, 30, 80)]
    edges += [edge(0, 80, y, y) for y in (0, 10, 40)]
    edges += [edge(30, 80, 25, 25), edge(90, 99, 3, 3)]
    crossings = plumber.edges_to_intersections(edges, 3, 3)
    cells = sorted(pdf_tables._cells(crossings))
    assert cells == sorted(plumber.intersections_to_cells(crossings))
    assert len(cells) == 5


def test_what_the_file_states_about_itself() -> None:
    found = read_pdf(pdfs.write_lines([(20, 40, BODY[:60])]))
    assert (found.author, found.created, found.language) == ("Mara Lind", "2023-05-17", "de")


@pytest.mark.parametrize("title", ["Microsoft Word - fares.doc", "untitled", "fares_v3.docx"])
def test_title_of_a_program_is_none(title: str) -> None:
    assert read_pdf(pdfs.write([[("h1", "Fares"), ("p", BODY)]], title=title)).title == "Fares"


def test_items_and_code() -> None:
    items = read_pdf(pdfs.write_lines([(20, 40, "1. Rope"), (20, 45, "2. Hook")])).blocks
    assert [(b.kind, b.text) for b in items] == [("list", "1. Rope\n2. Hook")]
    prose = [("p", BODY), ("p", BODY), ("p", OTHER)]
    assert {b.kind for b in read_pdf(pdfs.write([prose])).blocks} == {"paragraph"}


def test_number_that_counts_with_the_pages_is_a_running_line() -> None:
    pages = [[("p", BODY.replace("ferry", f"ferry{n}"))] for n in range(4)]
    text = " ".join(words(read_pdf(pdfs.write(pages)).blocks))
    assert "Page" not in text
    assert text.count("ferry") == 4


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["to com\ufffe", "pile it"], "to compile it"),
        (["an X\ufffe", "Ray"], "an X-Ray"),
        (["the FAA-", "approved"], "the FAA-approved"),
        (["a dash -", "here"], "a dash - here"),
        (["1997\u2013", "1999"], "1997\u20131999"),
        (["\u5b87\u5b99", "\u5875"], "\u5b87\u5b99\u5875"),
        (["well", "known"], "well known"),
    ],
)
def test_lines_are_joined(lines: list[str], expected: str) -> None:
    assert joined_text(lines) == expected


@pytest.mark.parametrize(
    ("lines", "elsewhere", "expected"),
    [
        (["mixed\ufffe", "mode, too"], "a mixed-mode call", "mixed-mode, too"),
        (["mixed\ufffe", "mode"], "a mixed-mode call, a mixedmode call", "mixedmode"),
        (["state-of-the\ufffe", "art"], "State-of-the-art", "state-of-the-art"),
        (["com\ufffe", "pile"], "nothing of the kind", "compile"),
        (["BUIL\ufffe", "TIN"], "a builtin", "BUILTIN"),
        (["FAA\ufffe", "EASA"], "nothing of the kind", "FAA-EASA"),
        (["an X\ufffe", "Ray"], "an xray", "an X-Ray"),
    ],
)
def test_hyphens_are_told_by_the_documents_other_words(
    lines: list[str], elsewhere: str, expected: str
) -> None:
    assert joined_text(lines, words_of([*lines, elsewhere])) == expected


def test_words_are_gathered_only_where_a_line_is_parted() -> None:
    assert words_of(["a mixed-mode call", "and more"]) == set()


def test_outline_titles_are_compared_without_their_number() -> None:
    assert outline_key("2.1  The  Fares") == outline_key("the fares")


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        (b"ABCDEF+Helvetica-Bold", 32, (True, False)),
        (b"CMTT10", 4, (False, True)),
        (b"Times-Roman", 1, (False, True)),
        (b"MediaSans", 32, (False, False)),
    ],
)
def test_face_is_told_by_name_and_flags(
    name: bytes, flags: int, expected: tuple[bool, bool]
) -> None:
    assert face(name, flags) == expected


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_frame_keeps_boxes_upright_and_inside(turns: int) -> None:
    frame = Frame(10, 20, 110, 220, turns)
    x0, top, x1, bottom = frame.box(30, 40, 50, 100)
    width, height = frame.size
    assert 0 <= x0 < x1 <= width
    assert 0 <= top < bottom <= height
    assert (x1 - x0) * (bottom - top) == pytest.approx(20 * 60)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_file_is_read_or_rejected(seed: int) -> None:
    dice = random.Random(seed)
    data = bytearray(pdfs.write([[("h1", "Rules"), ("p", BODY), ("table", "A|B\n1|2")]]))
    for _ in range(dice.randint(1, 40)):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    damaged = bytes(data[: dice.randint(len(data) // 4, len(data))] if seed % 2 else data)
    try:
        fate = "read" if read_pdf(damaged).blocks else "empty"
    except RejectedError as error:
        fate = error.reason
    assert fate in {"read", "corrupt", "encrypted", "no text"}


def test_every_varied_file_is_read_or_rejected_with_its_reason() -> None:
    folder = evaluation_data() / "pdf-varied" / "files"
    if not folder.is_dir():
        pytest.skip(f"no evaluation data at {folder}")
    reasons = {}
    for path in sorted(folder.glob("*.pdf")):
        try:
            assert read_pdf(path.read_bytes()).blocks
        except RejectedError as error:
            reasons[path.stem] = error.reason
    assert set(reasons.values()) == {"corrupt", "encrypted", "no text"}
    assert reasons["password-example"] == "encrypted"
    assert reasons["grayscale-image"] == "no text"
    assert "tracemonkey" not in reasons
