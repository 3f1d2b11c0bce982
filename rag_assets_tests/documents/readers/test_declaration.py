import pytest

from rag_assets.documents.readers.declaration import declared_encoding, python_name


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b'<meta charset="koi8-r">', "koi8-r"),
        (b"<META CHARSET=UTF-8>", "utf-8"),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-2">', "iso8859-2"),
        (b'<meta name="x" content="text/html; charset=iso-8859-2">', None),
        (b'<!-- <meta charset="koi8-r"> --><meta charset="cp1251">', "cp1251"),
        (b'<a title="<meta charset=koi8-r>">', None),
        (b'<meta charset="utf-16">', "utf-8"),
        (b'<meta charset="nonsense"><meta charset="cp1251">', "cp1251"),
        (b'<?xml version="1.0" encoding="euc-jp"?>', "euc_jp"),
        (b"charset=koi8-r", None),
        (b"<!--" + b"x" * 3000 + b'--><meta charset="koi8-r">', "koi8-r"),
    ],
)
def test_declared(head: bytes, expected: str | None) -> None:
    assert declared_encoding(head) == expected


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (b"latin1", "cp1252"),
        (b" US-ASCII ", "cp1252"),
        (b"x-cp1251", "cp1251"),
        (b"gb2312", "gb18030"),
        (b"x-sjis", "cp932"),
        (b"hex", None),
        (b"rot13", None),
        (b"\xff", None),
    ],
)
def test_labels(label: bytes, name: str | None) -> None:
    assert python_name(label) == name
