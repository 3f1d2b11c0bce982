import pytest

from rag_assets.documents.blocks import RejectedError
from rag_assets.documents.reading import read_document
from rag_assets_tests.documents import pdfs

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
        (b"PK\x03\x04\x00\x00word/document.xml", "corrupt"),
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
    assert read_document(b'{"a": "some words"}', "https://example.org/notes/").title == "notes"
