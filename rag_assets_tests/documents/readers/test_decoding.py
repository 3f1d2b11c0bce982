import codecs

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.decoding import decode

GERMAN = (
    "Die Fähre nach Kålvö fährt täglich außer sonntags um 7 Uhr. Für Kinder unter sechs Jahren "
    "ist die Überfahrt kostenlos; größere Gruppen melden sich bitte am Vortag an."
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode(encoding: str) -> None:
    assert decode(GERMAN.encode(encoding)) == (GERMAN, encoding)


def test_big_endian_marks() -> None:
    assert decode(codecs.BOM_UTF16_BE + GERMAN.encode("utf-16-be")) == (GERMAN, "utf-16")
    assert decode(codecs.BOM_UTF32_BE + GERMAN.encode("utf-32-be")) == (GERMAN, "utf-32")


def test_windows_1252_by_statistics() -> None:
    text = GERMAN.replace(";", " \u2013") + " „so“ 5 €"
    assert decode(text.encode("cp1252")) == (text, "cp1252")


@pytest.mark.parametrize(
    ("declared", "written", "found"),
    [
        ("koi8-r", "koi8-r", "koi8-r"),
        ("iso-8859-2", "iso8859-2", "iso8859-2"),
        ("iso-8859-1", "cp1252", "cp1252"),
    ],
)
def test_declared(declared: str, written: str, found: str) -> None:
    russian = {"koi8-r": "Паром отходит", "iso8859-2": "Prom odpływa", "cp1252": "„Fähre“"}[written]
    text = f'<meta charset="{declared}"><p>{russian}</p>'
    assert decode(text.encode(written)) == (text, found)


@pytest.mark.parametrize("declared", ["utf-8", "nonsense", "hex", "idna", "undefined", "rot13"])
def test_wrong_declaration_is_not_believed(declared: str) -> None:
    text = f"charset={declared} {GERMAN}"
    assert decode(text.encode("cp1252"))[0] == text


RUSSIAN = "Паром отходит в семь часов утра и через час прибывает на остров, в любую погоду. " * 3
THAI = "เรือข้ามฟากออกจากท่าเรือทุกวัน เวลาเจ็ดโมงเช้า และถึงเกาะในอีกหนึ่งชั่วโมง " * 3
JAPANESE = "連絡船は毎朝七時に港を出て、一時間後に島に着きます。六歳未満の子供は無料です。" * 3


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, THAI])
def test_unicode_without_mark(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == (text, encoding)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "iso8859-5"),
        (RUSSIAN, "cp866"),
        (THAI, "tis-620"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
    ],
)
def test_statistics(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0] == text


def test_damaged_utf8_is_still_utf8() -> None:
    data = (RUSSIAN * 5).encode() + b"\xff"
    assert decode(data) == (RUSSIAN * 5 + "\ufffd", "utf-8")


def test_western_declaration_of_another_script_is_not_believed() -> None:
    page = f'<meta charset="iso-8859-1"><p>{RUSSIAN}</p>'
    assert decode(page.encode("cp1251")) == (page, "cp1251")


def test_first_foreign_byte_far_into_a_large_file() -> None:
    text = "plain words\n" * 40_000 + RUSSIAN
    assert decode(text.encode("koi8-r")) == (text, "koi8-r")


@pytest.mark.parametrize("text", ["a + b - c", "x~{y", "\x1b[31mred\x1b[0m", "C++14-ready"])
def test_ascii_that_looks_escaped_stays(text: str) -> None:
    assert decode(text.encode())[0] == text


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_rejected(data: bytes) -> None:
    try:
        text, encoding = decode(data)
    except RejectedError as error:
        assert (error.reason, bool(error.detail)) == ("encoding", True)  # noqa: PT017
    else:
        assert codecs.lookup(encoding)
        assert isinstance(text, str)


@given(st.text(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_round_trip(text: str, encoding: str) -> None:
    # NULs make UTF-16 of it, "~{" and the like escape sequences, a leading mark is taken away.
    assume(not ("\x00" in text or text.isascii() or text[0] == "\ufeff"))
    assert decode(text.encode(encoding))[0] == text
