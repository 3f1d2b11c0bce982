import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.documents.blocks import Block, RejectedError
from rag_assets.documents.reading import normalise, read_document
from rag_assets_tests.documents import pdfs

ugly = st.text(
    st.one_of(
        st.characters(codec=None, exclude_categories=()),
        st.sampled_from(
            " \t\n\r\x0b\x0c\x85\u2028\u3000\xa0\xad\u200b\ufeff\u0301\u0308eüé\u1100\u1161"
        ),
    ),
    max_size=30,
)
kinds = st.sampled_from(["heading", "paragraph", "list", "table", "code"])
blocks = st.lists(st.builds(Block, kinds, ugly), max_size=5)


@given(blocks)
def test_spans_are_the_blocks_and_nothing_lies_between(given_blocks: list[Block]) -> None:
    text, spans = normalise(given_blocks)
    assert "\n\n".join(text[span.start : span.end] for span in spans) == text
    for span in spans:
        piece = text[span.start : span.end]
        assert piece
        single, _ = normalise([Block(span.kind, piece)])  # type: ignore[arg-type]
        assert single == piece


@given(blocks)
def test_text_is_clean(given_blocks: list[Block]) -> None:
    text, _ = normalise(given_blocks)
    assert unicodedata.is_normalized("NFC", text)
    text.encode("utf-8")
    assert not set("\r\x00\x0b\x0c\u200b\ufeff") & set(text)


@given(blocks)
def test_nothing_but_white_space_and_signs_is_lost(given_blocks: list[Block]) -> None:
    def letters(text: str) -> list[str]:
        composed = unicodedata.normalize("NFC", text)
        return [char for char in composed if char.isalnum()]

    parts = [b.text.replace("\xad", "").replace("\u200b", "") for b in given_blocks]
    parts = ["".join(c for c in p if c == "\n" or unicodedata.category(c)[0] != "C") for p in parts]
    text, _ = normalise(given_blocks)
    assert letters(text) == letters("\n".join(parts))


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("e\u0301te\u0301", "été"),
        ("e\xad\u0301t", "ét"),  # an accent that a soft hyphen had parted
        ("soft\xadhyphen hard\xa0space", "softhyphen hard space"),
        ("one\x0ctwo", "one\ntwo"),
        ("- a\n  -   b\tc ", "- a\n  - b c"),
        ("a\n\n\nb", "a\nb"),
        ("\ud800x", "?x"),
    ],
)
def test_cleaning_by_hand(raw: str, cleaned: str) -> None:
    assert normalise([Block("paragraph", raw)])[0] == cleaned


def test_code_keeps_its_layout() -> None:
    code = "def f():\n\n    return  1  \n"
    assert normalise([Block("code", code)])[0] == "def f():\n\n    return  1"


HTML = b"<html><body><article><h1>Line 3</h1><p>The ferry to the island sails daily in summer."
MARKDOWN = b"# Pages\n\nA page begins with `<!doctype html>` and `<html>`, then `<body>` follows."


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (pdfs.write([[("p", pdfs.BODY)]]), "a.txt", "application/pdf"),
        (b"\n" + HTML, "noending", "text/html"),
        (HTML.decode().encode("utf-16"), "a.html", "text/html"),
        (HTML.decode().encode("utf-16"), "noending", "text/html"),
        (b"<h1>Fragment</h1><p>The ferry to the island sails daily in summer and autumn.</p>",
         "a.HTM", "text/html"),
        (MARKDOWN, "a.md", "text/markdown"),
        (MARKDOWN, "a.txt", "text/plain"),
        ("Fähre".encode("utf-16"), "a.txt", "text/plain"),
        (b"\x00\x00\xfe\xff" + "Fähre".encode("utf-32-be"), "a.txt", "text/plain"),
    ],
)  # fmt: skip
def test_reader_is_chosen(data: bytes, name: str, media_type: str) -> None:
    assert read_document(data, name).media_type == media_type


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"--- ...", "no text"),
        (b"\x7fELF\x00\x00\x01binary", "unsupported"),
        (b"PK\x03\x04\x00\x00word/document.xml", "unsupported"),
    ],
)
def test_rejections(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        read_document(data, "a.bin")
    assert caught.value.reason == reason
    assert caught.value.detail


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The ferry leaves the harbour at seven and reaches the island an hour later.", "en"),
        ("Die Fähre verlässt den Hafen um sieben und ist eine Stunde später auf der Insel.", "de"),
        ("Färjan lämnar hamnen klockan sju och är framme på ön en timme senare.", "sv"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert read_document(text.encode(), "a.txt").language == language


def test_untitled_document_is_called_by_its_file() -> None:
    assert read_document(b"just a paragraph", "sub/notes.md").title == "notes.md"
