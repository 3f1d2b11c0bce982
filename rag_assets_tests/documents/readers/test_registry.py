import random
import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest

from rag_assets.documents.readers import archives
from rag_assets.documents.readers.blocks import Extracted, RejectedError
from rag_assets.documents.readers.registry import extract
from rag_assets_tests.documents import office_files as files

MAKERS: dict[str, Callable[[], bytes]] = {
    "docx": files.word_with_footnote,
    "pptx": files.slides,
    "xlsx": files.workbook,
    "epub": files.book,
    "odt": lambda: files.open_document("text", "<text:p>a</text:p>"),
    "rtf": lambda: rb"{\rtf1\ansi{\fonttbl{\f0\fcharset0 Arial;}}\f0 caf\'e9\par \u228?}" * 3,
    "csv": lambda: b'id;name;"fare"\n1;"a ""b""";3,5\n' * 20,
    "json": lambda: b'{"a": [{"b": 1.5, "c": null}], "d": "\\u00e4"}',
    "md": lambda: b"---\ntitle: x\ndate: 2024-01-02\n---\n# A\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "xml": lambda: b'<?xml version="1.0"?><a><title>t</title><p>x <b>y</b> &amp; z</p></a>',
}


def reason(data: bytes, name: str = "a") -> tuple[str, str]:
    with pytest.raises(RejectedError) as caught:
        extract(data, name)
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize("ending", MAKERS)
def test_broken_files_are_read_or_rejected(ending: str) -> None:
    whole = MAKERS[ending]()
    dice = random.Random(ending)
    for _ in range(40):
        broken = bytearray(whole)
        for _ in range(dice.randrange(1, 8)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        if dice.random() < 0.3:
            del broken[dice.randrange(len(broken)) :]
        try:
            found = extract(bytes(broken), f"a.{ending}")
        except RejectedError as error:
            assert error.detail  # noqa: PT017
        else:
            assert isinstance(found, Extracted)


@pytest.mark.parametrize(
    "maker", [files.word_with_footnote, files.slides, files.workbook, files.book]
)
def test_broken_parts_inside_a_sound_archive(maker: Callable[[], bytes]) -> None:
    source = zipfile.ZipFile(BytesIO(maker()))
    entries = {name: source.read(name) for name in source.namelist()}
    dice = random.Random(7)
    for name, content in dice.sample(sorted(entries.items()), 5):
        for bad in (b"", content[: len(content) // 2], bytes(dice.randbytes(100)), b"<a/>"):
            try:
                extract(files.archive(entries | {name: bad}), "a")
            except RejectedError as error:
                assert error.detail  # noqa: PT017


@pytest.mark.parametrize(
    ("data", "expected", "word"),
    [
        (b"", "empty", "0 bytes"),
        (b" \n", "empty", "2 bytes"),
        (files.ole("EncryptedPackage"), "encrypted", "password"),
        (files.ole("WordDocument"), "unsupported", "save it as .docx"),
        (files.ole("PowerPoint Document"), "unsupported", "save it as .pptx"),
        (files.ole("Workbook"), "corrupt", "spreadsheet"),
        (files.archive({"a.txt": "x"}), "unsupported", "ZIP"),
        (b"\x89PNG\r\n\x1a\n\x00", "unsupported", "image/png"),
        (b"\x00\x01\x02words", "unsupported", "application/octet-stream"),
        (files.word()[:9000], "corrupt", "ZIP"),
        (b'<?xml version="1.0"?><a><b></a>', "corrupt", "XML"),
        (b"<?xml version='1.0'?>" + b"<a>" * 1000 + b"</a>" * 1000, "corrupt", "depth"),
    ],
)
def test_reasons(data: bytes, expected: str, word: str) -> None:
    found, detail = reason(data)
    assert found == expected
    assert word in detail


def test_bombs_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = files.archive({"word/document.xml": bytes(30_000_000)})
    assert reason(bomb)[0] == "too large"
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 1000)
    assert reason(files.word())[0] == "too large"
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    assert reason(files.word())[0] == "too large"


def test_an_archive_with_a_password() -> None:
    locked = bytearray(files.word_with_footnote())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1  # the flag of the first entry in the directory
    assert reason(bytes(locked))[0] == "encrypted"


def test_entities_are_neither_expanded_nor_fetched() -> None:
    outside = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    found = extract(b'<?xml version="1.0"?>' + outside + b"<a><p>one &x; two</p></a>", "a")
    assert "root" not in found.blocks[0].text
    laughs = b"".join(
        b'<!ENTITY %c "%s">' % (n, b"&%c;" % (n - 1) * 10) for n in range(ord("b"), ord("k"))
    )
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha">' + laughs + b"]><a>&j;</a>"
    try:
        assert len(extract(bomb, "a").blocks) < 2
    except RejectedError as error:
        assert error.reason in ("corrupt", "no text")  # noqa: PT017


def test_a_type_decides_and_not_a_name() -> None:
    assert extract(files.word(), "a.zip").title == "Crew handbook"
    assert extract(b"<html><body><p>The ferry sails daily in summer.</p></body></html>", "a.md")
