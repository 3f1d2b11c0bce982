import codecs

import pytest

from rag_assets.documents.decoding import decode

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
