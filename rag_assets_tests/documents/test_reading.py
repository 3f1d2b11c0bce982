import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.documents.readers.blocks import RejectedError, well_formed
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


SENTENCE = "The ferry leaves the harbour at seven and reaches the island an hour later. "
HALF = SENTENCE + "\ud83d"  # of a surrogate pair
LINKED = {"@type": "Article", "headline": HALF, "author": HALF[-9:], "license": HALF}


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (json.dumps([{"text": HALF}]).encode(), "a.json"),
        ((json.dumps({"text": HALF}) + "\n").encode() * 3, "a.jsonl"),
        (json.dumps({"cells": [{"cell_type": "markdown", "source": [f"# {HALF}", HALF]}]}).encode(),
         "a.ipynb"),
        (rb"{\rtf1\ansi " + SENTENCE.encode() + rb"\u-10179? sails.\par}", "a.rtf"),
        (f'<title>a</title><script type="application/ld+json">{json.dumps(LINKED)}</script>'
         f"<p>{SENTENCE}&#xD83D;</p>".encode(), "a.html"),
        (b"\xff\xfe" + HALF.encode("utf-16-le", "surrogatepass"), "a.txt"),
        (b"From: a <a@b.c>\nSubject: b\n"
         b"Date: Mon, 1 Jan 2024 00:00:00 +0000\nMIME-Version: 1.0\n"
         b"Content-Type: text/plain; charset=utf-7\n\n" + SENTENCE.encode() + b"+2D0- c", "a.eml"),
    ],
)  # fmt: skip
def test_half_a_surrogate_pair_becomes_a_sign_that_can_be_stored(data: bytes, name: str) -> None:
    read = read_document(data, name)
    said = str([getattr(read, field.name) for field in fields(read)])
    assert said == well_formed(said)
    assert "\\ud83d" not in said  # as str writes one in a list
    assert "\ufffd" in said
    assert SENTENCE.strip() in read.text


signs = st.characters(codec=None, exclude_categories=()) | st.sampled_from("\ud83d\ude00a")


@given(st.text(signs))
def test_text_is_well_formed_and_differs_only_where_it_was_not(text: str) -> None:
    formed = well_formed(text)
    formed.encode("utf-8")
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    assert len(formed) == len(joined)
    pairs = zip(formed, joined, strict=True)
    assert all(
        new == old or (new, "\ud800" <= old <= "\udfff") == ("\ufffd", True) for new, old in pairs
    )
