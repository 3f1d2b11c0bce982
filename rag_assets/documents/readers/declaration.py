"""The encoding that a document names itself: HTML's meta elements, XML's declaration."""

import codecs
import re

PRESCAN = 1024  # bytes that a browser looks through before it parses
HEAD = 16_384  # bytes looked through after that, as a browser corrects itself while it parses
_XML = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']\s*([A-Za-z0-9._:-]{2,40})""")
_SCRIPT = re.compile(rb"<script\b.*?</script", re.DOTALL | re.IGNORECASE)
# A comment, any tag with its attributes, or a declaration to be passed over.
_TAG = re.compile(
    rb"""<!--.*?--\s*>|"""
    rb"""<(/?[a-z][^\s/>]*+)((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>|<[!/?][^>]*>""",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(rb"""([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']*)))?""")
_CHARSET = re.compile(rb"""charset\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;"']+))""", re.IGNORECASE)
# WHATWG's reading of labels where it is wider than, or unknown to, Python's.
_LABELS = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs",
    "shift_jis": "cp932", "euc_kr": "cp949", "utf-16": "utf-8", "utf-16-le": "utf-8",
    "utf-16-be": "utf-8", "utf-32": "utf-8", "x-user-defined": "cp1252", "x-sjis": "cp932",
    "windows-31j": "cp932", "x-gbk": "gb18030", "x-x-big5": "big5hkscs", "macintosh": "mac-roman",
    "x-mac-roman": "mac-roman", "x-mac-cyrillic": "mac-cyrillic", "x-mac-ukrainian":
    "mac-cyrillic", "dos-874": "cp874", "windows-874": "cp874", "iso-8859-8-i": "iso8859-8",
    "logical": "iso8859-8", "visual": "iso8859-8", "iso-8859-8-e": "iso8859-8", "koi": "koi8-r",
    "koi8": "koi8-r", "sun_eu_greek": "iso8859-7", "unicode-1-1-utf-8": "utf-8",
    "x-unicode20utf8": "utf-8", "x-euc-jp": "euc_jp", "windows-949": "cp949", "ks_c_5601-1987":
    "cp949", "korean": "cp949", "x-euc-kr": "cp949",
}  # fmt: skip

# Python's own, in which no file is; UTF-7 is left to its escape sequences.
_NO_FILES = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7", "undefined"}


def declared_encoding(data: bytes) -> str | None:
    """Python's name of the encoding that the head of a document declares, if it is a known one.

    The head is read as the WHATWG standard has it: comments passed over, ``meta`` elements only
    (at first even those in scripts), UTF-16 taken for UTF-8, since a declaration in UTF-16 could
    not be read so; then XML's declaration.
    """
    found = _of_elements(data[:PRESCAN])
    if found is None and len(data) > PRESCAN:
        found = _of_elements(_SCRIPT.sub(b"", data[:HEAD]))
    if found is None:
        declaration = _XML.match(data[:PRESCAN].lstrip())
        found = python_name(declaration[1]) if declaration else None
    return found


def python_name(label: bytes) -> str | None:
    """Python's name of the encoding that a label means to a browser; None for an unknown one."""
    name = label.strip().lower().decode("ascii", "replace")
    if name.startswith("x-cp"):
        name = name[2:]
    try:
        name = codecs.lookup(_LABELS.get(name, name)).name
        b"a".decode(name, "replace")  # "hex" and the like are codecs, but no encodings of text
    except (LookupError, ValueError):
        return None
    if name in _NO_FILES:
        return None
    return _LABELS.get(name, name)


def _of_elements(head: bytes) -> str | None:
    for tag in _TAG.finditer(head):
        if tag[1] is not None and tag[1].lower() == b"meta":
            found = _of_meta(tag[2])
            if found is not None:
                return found
    return None


def _of_meta(attributes: bytes) -> str | None:
    values: dict[bytes, bytes] = {}
    for match in _ATTRIBUTE.finditer(attributes):
        values.setdefault(match[1].lower(), match[2] or match[3] or match[4] or b"")
    if b"charset" in values:
        return python_name(values[b"charset"])
    if values.get(b"http-equiv", b"").lower() == b"content-type":
        charset = _CHARSET.search(values.get(b"content", b""))
        if charset is not None:
            return python_name(charset[1] or charset[2] or charset[3] or b"")
    return None
