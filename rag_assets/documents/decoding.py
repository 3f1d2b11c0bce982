"""Bytes to text: byte order mark, then UTF-8, then what the document declares, then statistics."""

import codecs
import re

from charset_normalizer import from_bytes

from rag_assets.documents.blocks import RejectedError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""")


def decode(data: bytes) -> tuple[str, str]:
    """Text of a file and the name of the encoding it was in.

    Raises:
        RejectedError: ``encoding``, when nothing decodes the bytes as text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), encoding
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    declared = _DECLARED.search(data[:2048])
    if declared is not None:
        name = declared[1].decode("ascii")
        try:
            codec = codecs.lookup(name).name
            # Who says Latin-1 or ASCII means Windows-1252: so the WHATWG encoding standard.
            codec = "cp1252" if codec in ("iso8859-1", "ascii") else codec
            return data.decode(codec), codec
        except (LookupError, UnicodeError):
            pass
    return _by_statistics(data)


def _by_statistics(data: bytes) -> tuple[str, str]:
    matches = from_bytes(data)
    best = matches.best()
    if best is None:
        raise RejectedError("encoding", "expected text, got bytes that no known encoding decodes")
    # Western texts are short of evidence: several code pages decode them, equally free of mess.
    # Windows-1252 is then by far the likeliest, as the WHATWG encoding standard also holds.
    for match in matches:
        if "cp1252" in match.could_be_from_charset and match.chaos <= best.chaos:
            return data.decode("cp1252", "replace"), "cp1252"
    return str(best), best.encoding
