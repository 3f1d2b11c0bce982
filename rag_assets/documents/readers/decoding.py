"""Bytes to text: byte order mark, NULs, UTF-8, the declaration, then statistics (chardet).

UTF-8 is tried before the declaration, because text in another encoding is hardly ever valid UTF-8
and declarations often come from a template. A declaration is read as browsers read it (WHATWG:
aliases; "latin1" means Windows-1252). It is not believed if the bytes do not decode or look like
another script. Statistics look at the start and at what follows the first byte that is not ASCII.
"""

import codecs
import re

import chardet

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.declaration import declared_encoding

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE = 200_000  # bytes that statistics see
HEAD = 2_000  # of these, from the start, if it is all ASCII; more would drown the rest
_ESCAPED = re.compile(rb"\x1b[$(.]|~\{[!-~]{2,}|\+[A-Za-z0-9+/]{3,}-")  # ISO-2022, HZ, UTF-7
_SEVEN_BIT = ("iso2022", "iso-2022", "hz", "utf-7")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_MARKUP = re.compile(rb"<[^>]*>")
_WESTERN = ("cp1252", "cp1254", "iso8859-15", "mac-roman")


def decode(data: bytes) -> tuple[str, str]:
    """Text of a file and Python's name of the encoding it was in.

    Raises:
        RejectedError: ``encoding``, when nothing decodes the bytes as text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), encoding
    found = unmarked_unicode(data)
    if found is not None:
        return data.decode(found), found
    if data.isascii():
        return _ascii(data)
    whole = _decoded(data, "utf-8")
    if whole is not None:
        return whole, "utf-8"
    text = data.decode("utf-8", "replace")
    if _is_damaged_utf8(text):
        return text, "utf-8"
    declared = declared_encoding(data)
    if declared is not None and not _is_another_script(data, declared):
        whole = _decoded(data, declared)
        if whole is not None:
            return whole, declared
    return _by_statistics(data, declared)


def unmarked_unicode(data: bytes) -> str | None:
    """The UTF-16 or UTF-32 that bytes without a mark are in, by where their NULs stand.

    Text that has no character below U+0100, not even a space or a line end, is not told so.
    """
    head = data[:4096]
    if b"\x00" not in head:
        return None
    zeros = [head[start::4].count(0) * 4 / len(head) for start in range(4)]
    even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    likely = (
        ("utf-32-be", len(data) % 4 == 0 and zeros[0] > 0.99 and zeros[3] < 0.3),
        ("utf-32-le", len(data) % 4 == 0 and zeros[3] > 0.99 and zeros[0] < 0.3),
        ("utf-16-be", len(data) % 2 == 0 and even > 0.005 and odd < even / 10),
        ("utf-16-le", len(data) % 2 == 0 and odd > 0.005 and even < odd / 10),
    )
    return next((name for name, yes in likely if yes and _decoded(data, name) is not None), None)


def _ascii(data: bytes) -> tuple[str, str]:
    """Seven bits: plain, unless escape sequences make another script of them."""
    if _ESCAPED.search(data) is not None:
        encoding = chardet.detect(data, max_bytes=len(data), compat_names=False)["encoding"]
        if encoding is not None and encoding.lower().replace("_", "").startswith(_SEVEN_BIT):
            decoded = _decoded(data, encoding)
            if decoded is not None:
                return decoded, codecs.lookup(encoding).name
    return data.decode("ascii"), "utf-8"


def _is_damaged_utf8(text: str) -> bool:
    """Whether nearly all that is not ASCII did decode as UTF-8."""
    bad = text.count("\ufffd")
    return len(text) - len(text.encode("ascii", "ignore")) - bad >= 10 * bad


def _is_another_script(data: bytes, declared: str) -> bool:
    """Whether whole words are not ASCII although a Western encoding is declared."""
    if declared not in _WESTERN:
        return False
    runs = [len(run) for run in _HIGH_RUN.findall(_MARKUP.sub(b" ", data[: 2 * SAMPLE]))]
    return 2 * sum(run for run in runs if run >= 4) > sum(runs)


def _by_statistics(data: bytes, declared: str | None) -> tuple[str, str]:
    # chardet believes a declaration, too; one that has just been found wrong is kept from it.
    content = data if declared is None else _MARKUP.sub(b" ", data)
    for sample in (_sample(content), content):
        found = chardet.detect(sample, max_bytes=len(sample), compat_names=False)["encoding"]
        if found is None:
            break
        decoded = _decoded(data, found)
        if decoded is not None:
            return decoded, codecs.lookup(found).name
    for encoding in (declared, found):
        text = data.decode(encoding, "replace") if encoding is not None else ""
        if encoding is not None and text.count("\ufffd") * 100 < len(text):
            return text, codecs.lookup(encoding).name
    raise RejectedError("encoding", "expected text, got bytes that no known encoding decodes")


def _sample(data: bytes) -> bytes:
    """The start, and what follows the first byte that is not ASCII."""
    first = _HIGH_RUN.search(data)
    start = 0 if first is None else first.start()
    return data[:SAMPLE] if start < HEAD else data[:HEAD] + data[start : start + SAMPLE - HEAD]


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):
        return None
