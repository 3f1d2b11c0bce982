"""Files made to hurt: each costs at most one document, in bounded time and memory."""

import io
import zipfile
from collections.abc import Callable, Iterator

import pytest

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.worker import Limits, ParsingWorker
from rag_assets_tests.documents import pdfs

CONTENT_TYPES = (
    b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/'
    b'content-types"><Override PartName="/word/document.xml" ContentType="application/vnd.'
    b'openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)


def zipped(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY l0 "ha">{entities}]><l>&l11;</l>'.encode()


def looping_page_tree() -> bytes:
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[2 0 R 2 0 R]/Count 1000000000>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF"
    )


# What makes the bytes, and the reasons that a rejection may have; "" allows a document.
HOSTILE: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "nested.html": (lambda: b"<html><body>" + b"<div>" * 200_000 + b"deep", {"", "no text"}),
    "nested-lists.html": (
        lambda: b"<html><body><p>words</p>" + b"<ul><li>" * 5_000 + b"deep",
        {"", "no text"},
    ),
    "unclosed.html": (lambda: b"<html>" + b"<" * 3_000_000, {"", "no text"}),
    "attributes.html": (
        lambda: b"<html><body><p " + b" ".join(b"a%d=1" % n for n in range(10_000)) + b">text",
        {"", "no text"},
    ),
    "wide-table.html": (
        lambda: b"<html><body><table><tr>" + b"<td>cell" * 20_000,
        {""},
    ),
    "quotes.md": (lambda: b">" * 100_000 + b" deep", {"", "no text"}),
    "brackets.md": (lambda: b"[" * 100_000 + b"a](" * 50_000, {""}),
    "emphasis.md": (lambda: b"*a_ " * 30_000, {""}),
    "one-line.txt": (lambda: b"word " * 500_000, {""}),
    "one-word.txt": (lambda: b"a" * 5_000_000, {""}),
    "blank.txt": (lambda: b" " * 20_000_000 + b"word", {""}),
    "accents.txt": (lambda: ("a" + "\u0301\u0323" * 10_000).encode(), {"", "no text"}),
    "wide.csv": (lambda: b"\n".join([b",".join([b"cell"] * 100_000)] * 10), {""}),
    "names.csv": (lambda: b",".join(b"name%d" % n for n in range(200_000)) + b"\n1,2\n3,4", {""}),
    "spaces.csv": (lambda: b"name,port\n" + b" " * 1_000_000 + b"Rowan,2\n", {""}),
    "bars.rtf": (lambda: b"{\\rtf1 " + b"a|" * 200_000 + b"b}", {""}),
    "quote.csv": (lambda: b'a,b\n"' + b"x,y\n" * 200_000, {""}),
    "deep.json": (lambda: b"[" * 1_000_000 + b"]" * 1_000_000, {"", "corrupt", "no text"}),
    "number.json": (lambda: b'{"n": ' + b"9" * 1_000_000 + b"}", {""}),
    "laughs.xml": (laughs, {"", "corrupt", "no text"}),
    "outside.xml": (
        lambda: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>text here &x;</a>',
        {"", "corrupt"},
    ),
    "bomb.docx": (
        lambda: zipped(
            **{"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": b"<a>" * 300_000_000}
        ),
        {"too large", "memory"},
    ),
    "bomb.epub": (
        lambda: zipped(mimetype=b"application/epub+zip", **{"OEBPS/c.xhtml": bytes(900_000_000)}),
        {"too large", "corrupt", "memory", "unsupported"},
    ),
    "cut.zip": (lambda: zipped(a=b"text")[:-10], {"corrupt", "unsupported"}),
    "loop.pdf": (looping_page_tree, {"corrupt", "no text"}),
    "cut.pdf": (lambda: pdfs.write([[("p", pdfs.BODY)]] * 3)[:-400], {"", "corrupt", "no text"}),
    "header.pdf": (lambda: b"%PDF-1.7\n" + bytes(5_000_000), {"corrupt"}),
}


@pytest.fixture(scope="module")
def worker() -> Iterator[ParsingWorker]:
    with ParsingWorker(Limits(memory_bytes=3 * 2**30, timeout_s=30)) as made:
        yield made


def outcome(worker: ParsingWorker, data: bytes, name: str) -> tuple[str, str]:
    """The reason of a rejection and its detail, or "" and the document's text."""
    try:
        return "", worker.read(data, name).text
    except RejectedError as error:
        return error.reason, error.detail


@pytest.mark.parametrize("name", HOSTILE)
def test_costs_at_most_one_document(worker: ParsingWorker, name: str) -> None:
    make, allowed = HOSTILE[name]
    reason, text = outcome(worker, make(), name)
    assert reason in allowed, text[:500]
    assert text
    assert "root:" not in text
    assert outcome(worker, b"The ferry sails daily.", "a.txt") == ("", "The ferry sails daily.")
