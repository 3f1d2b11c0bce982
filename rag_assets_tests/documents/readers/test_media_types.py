import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.documents.readers import media_types as types
from rag_assets.documents.readers.media_types import media_type
from rag_assets_tests.documents import office_files as files
from rag_assets_tests.documents import pdfs

PDF = pdfs.write([[("p", pdfs.BODY)]])
PAGE = b"<!DOCTYPE html><html><body><h1>Line 3</h1><p>The ferry.</p></body></html>"
MARKDOWN = b"# Fares\n\nSee [the map](map.png).\n\n```\nrun\n```\n"
PROSE = b"In spring, summer, and autumn it sails.\nIn winter, ice, and storm it does not.\n" * 5
TABLE = b"id,name,fare\n1,Ann,3\n2,Bo,4\n3,Cy,5\n"
LOG = b"2024-05-06 12:00:00,123 INFO worker is done, took 3 ms\n" * 9
MANIFEST = b"---\napiVersion: v1\nkind: Service\n---\napiVersion: v1\nkind: Pod\n"
ROWS = b"".join(b'%d,"%s","%d"\n' % (n, b"one, two " * (n % 7 + 30), n) for n in range(500))
BOOK = b"""<?xml version="1.0"?><book xmlns="http://docbook.org/ns/docbook"><para>x</para></book>"""


@given(
    st.binary(max_size=300), st.sampled_from(["a.csv", "a.md", "a.html", "a.json", "a", "a.xml"])
)
def test_every_file_has_a_type(data: bytes, name: str) -> None:
    assert media_type(data, name)


@given(
    st.sampled_from([b"PK\x03\x04", b"<?xml ", b"<", b"{", b"[", b"%PDF-", b"{\\rtf", b"---\n"]),
    st.binary(max_size=200) | st.text(max_size=200).map(str.encode),
)
def test_every_file_that_begins_like_a_known_one_has_a_type(mark: bytes, rest: bytes) -> None:
    assert media_type(mark + rest, "a")


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (PDF, "a.txt", types.PDF),
        (b"%!printer line\n" + PDF, "a.txt", types.PDF),
        (b"A file that begins with %PDF-1.7 is a PDF.", "a.txt", types.TEXT),
        (PAGE, "a.md", types.HTML),
        (PAGE.decode().encode("utf-16"), "a", types.HTML),
        (PAGE.decode().encode("utf-16-le"), "a", types.HTML),
        (b"<!-- saved -->\n<html lang='en'><p>x", "a.txt", types.HTML),
        (b"<script>var a</script><head><title>x</title>", "a", types.HTML),
        (b"<p>One fragment</p><p>of a page</p>", "a", types.HTML),
        (b"Text with <b>tags</b>", "a.html", types.HTML),
        (b"Text with <b>tags</b> and <html> spoken of", "a.txt", types.TEXT),
        (b'<p align="center">logo</p>\n\n' + MARKDOWN, "README.md", types.MARKDOWN),
        (b'<p align="center">logo</p>\n\n' + MARKDOWN, "README", types.MARKDOWN),
        (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', "a", types.HTML),
        (BOOK, "a.txt", types.XML),
        (b"<!DOCTYPE x [<!ELEMENT a (b)>]>\n<a xmlns='y'><b/></a>", "a", types.XML),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><text>x</text></svg>', "a", "image/svg+xml"),
        (MARKDOWN, "a.txt", types.MARKDOWN),
        (MARKDOWN.replace(b"\n", b"\r\n"), "a", types.MARKDOWN),
        (b"---\ntitle: x\n---\nwords", "a", types.MARKDOWN),
        (b"words", "a.markdown", types.MARKDOWN),
        (b"#!/bin/sh\n# Fares\n\n# [a](b)\n", "a", types.TEXT),
        (b"Received: by a\r\n\tfor b\r\nFrom: A\r\nDate: now\r\n\r\nwords", "a", types.MAIL),
        (b"From: the crew\nTo: all\nDate: Monday\n\nSail.", "a.txt", types.TEXT),
        (MANIFEST, "a.yaml", types.SOURCE),
        (MANIFEST, "a", types.TEXT),
        (b"---\na: 1\n...\n", "a", types.TEXT),
        (b"INSERT INTO fares VALUES (1,'Ann',3);\n" * 9, "a.sql", types.SOURCE),
        (MARKDOWN, "a.py", types.SOURCE),
        (MARKDOWN, "a.rst", types.TEXT),
        (PAGE, "a.py", types.HTML),
        (b"# only a comment\n\nx = 1\n", "a.txt", types.TEXT),
        (json.dumps({"a": [1]}, indent=1).encode(), "a.txt", types.JSON),
        (b"[1, 2]", "a", types.JSON),
        (b"[1] Berg, A.: Sea tales. [2]", "a", types.TEXT),
        (b'{"a": 1}\n{"a": 2}\n', "a.txt", types.JSON_LINES),
        (b'{"a": 1}\n{"a": 2}\n{"a": 3}\n{"a"', "a", types.JSON_LINES),
        ((b'{"a": "' + b"x" * types.HEAD_BYTES + b'"}\n') * 3, "a", types.JSON_LINES),
        (b'{"a": 1}\nwords\nmore words\n', "a.jsonl", types.TEXT),
        (b'{"a": 1', "a.json", types.TEXT),
        (TABLE, "a.txt", types.CSV),
        (TABLE.replace(b",", b"\t"), "a", types.CSV),
        (TABLE, "a.md", types.MARKDOWN),
        (b"name,fare\nAnn,3\n", "a.csv", types.CSV),
        (ROWS, "a.csv", types.CSV),
        (ROWS, "a", types.CSV),
        (b"name,fare\nAnn,3\n", "a", types.TEXT),
        (PROSE, "a", types.TEXT),
        (LOG, "a", types.TEXT),
        (LOG.replace(b",", b"\t"), "a.log", types.TEXT),
        (b"only words", "a.csv", types.TEXT),
        (b"Sea, wind\n" * 9, "a", types.TEXT),
        (b"N\x08NA\x08AM\x08ME\x08E of a manual page", "a", types.TEXT),
        (b"\x1b[1mBold\x1b[0m words", "a", types.TEXT),
        ("Fähre".encode("utf-16"), "a.txt", types.TEXT),
        ("Die Fähre fährt".encode("utf-16-be"), "a.txt", types.TEXT),
        (("ä" * types.HEAD_BYTES).encode(), "a", types.TEXT),
        (rb"{\rtf1 hello}", "a.doc", types.RTF),
        (files.word(), "a.zip", types.DOCX),
        (files.slides(), "a", types.PPTX),
        (files.workbook(), "a.csv", types.XLSX),
        (files.book(), "a.zip", types.EPUB),
        (files.archive({"META-INF/container.xml": "x"}), "a", types.EPUB),
        (files.open_document("text", ""), "a", types.ODT),
        (files.open_document("presentation", ""), "a", types.ODP),
        (files.word()[:5000], "a", types.DOCX),
        (files.archive({"notes.txt": "x"}), "a.docx", types.ZIP),
        (files.archive({}), "a.docx", types.ZIP),
        (files.ole("Root Entry", "WordDocument"), "a.docx", types.DOC),
        (files.ole("Workbook"), "a", types.XLS),
        (files.ole("PowerPoint Document"), "a", types.PPT),
        (files.ole("EncryptionInfo", "EncryptedPackage"), "a.docx", types.ENCRYPTED_OFFICE),
        (files.ole("Thumbs"), "a", types.OLE),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a.txt", "image/png"),
        (b"\x7fELF\x00\x00", "a.pdf", "application/x-elf"),
        (b"BM\x00\x00\x00", "a", "image/bmp"),
        (b"BM is short for bench mark", "a", types.TEXT),
        (b"ID3 tags name songs", "a", types.TEXT),
        (b"words\x00\x01\x02 and more", "a.txt", types.BINARY),
        (bytes(range(1, 32)) * 9, "a.txt", types.BINARY),
    ],
)  # fmt: skip
def test_type(data: bytes, name: str, expected: str) -> None:
    assert media_type(data, name) == expected
