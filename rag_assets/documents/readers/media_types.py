"""The media type of a file, from its content; the name decides only where the content cannot.

The order matters: first formats with a signature, then formats with a grammar, then those that only
habit tells apart.
"""

import re
from collections.abc import Callable
from functools import partial

from rag_assets.documents.readers.archives import Archive
from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.decoding import decode, unmarked_unicode
from rag_assets.documents.readers.text import records
from rag_assets.documents.readers.text.markdown import is_markdown

HTML = "text/html"
XML = "application/xml"
PDF = "application/pdf"
RTF = "application/rtf"
EPUB = "application/epub+zip"
JSON = "application/json"
JSON_LINES = "application/jsonl"
CSV = "text/csv"
MARKDOWN = "text/markdown"
TEXT = "text/plain"
SOURCE = "text/x-source"
MAIL = "message/rfc822"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
ODT = "application/vnd.oasis.opendocument.text"
ODP = "application/vnd.oasis.opendocument.presentation"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
DOC = "application/msword"
XLS = "application/vnd.ms-excel"
PPT = "application/vnd.ms-powerpoint"
MSG = "application/vnd.ms-outlook"
OLE = "application/x-ole-storage"
ENCRYPTED_OFFICE = "application/encrypted"
ZIP = "application/zip"
BINARY = "application/octet-stream"

HEAD_BYTES = 64 * 1024  # enough to know a text's habits
MIN_CONTROL = 8  # control characters; in a short text a few are no evidence
MAX_CONTROL_SHARE = 0.03  # of bytes; text has next to none, random bytes have a tenth

_MAIN_PARTS = ((b"word/document", DOCX), (b"ppt/presentation", PPTX),
               (b"xl/workbook.bin", XLSB), (b"xl/workbook", XLSX))  # fmt: skip
_PACKAGES = (EPUB, ODT, ODP, ODS)
_OLE_STREAMS = (("EncryptedPackage", ENCRYPTED_OFFICE), ("WordDocument", DOC),
                ("PowerPoint Document", PPT), ("Workbook", XLS), ("Book", XLS),
                ("__properties_version1.0", MSG))  # fmt: skip
# (offset, bytes, name): only to say what it is that is not read
_SIGNATURES = (
    (0, b"\x89PNG", "image/png"), (0, b"\xff\xd8\xff", "image/jpeg"), (0, b"GIF8", "image/gif"),
    (0, b"II*\x00", "image/tiff"), (0, b"MM\x00*", "image/tiff"), (0, b"BM", "image/bmp"),
    (8, b"WEBP", "image/webp"), (8, b"WAVE", "audio/wav"), (8, b"AVI ", "video/x-msvideo"),
    (4, b"ftypavif", "image/avif"), (4, b"ftyphei", "image/heic"), (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"), (0, b"ID3", "audio/mpeg"), (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"), (0, b"fLaC", "audio/flac"), (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"\x1f\x8b", "application/gzip"), (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ", "application/x-xz"), (0, b"(\xb5/\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf", "application/x-7z-compressed"), (0, b"Rar!", "application/vnd.rar"),
    (257, b"ustar", "application/x-tar"), (60, b"BOOKMOBI", "application/x-mobipocket-ebook"),
    (0, b"\x7fELF", "application/x-elf"), (0, b"MZ", "application/x-msdownload"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"), (0, b"\x00asm", "application/wasm"),
    (0, b"SQLite format 3", "application/vnd.sqlite3"),
    (0, b"PAR1", "application/vnd.apache.parquet"), (0, b"wOF", "font/woff"),
    (0, b"AT&TFORM", "image/vnd.djvu"),
)  # fmt: skip

_BOM = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
# Without ESC, SO and SI, which switch character sets in ISO-2022 texts.
_CONTROL = bytes({*range(0x08), *range(0x10, 0x1B), *range(0x1C, 0x20), 0x7F})
_HTML_TAG = re.compile(r"<!doctype\s+html|<(?:html|body|head)[\s>]", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[a-z!/][^<>]{0,500}>", re.IGNORECASE)
_PROLOG = re.compile(  # comments, instructions, declarations; the last may be open
    r"(?:\s++|<!(?=--).*?(?:-->|\Z)|<(?=\?).*?(?:\?>|\Z)|<![^\[>]*+(?:>|\[.*?(?:\]>|\Z)|\Z))*+",
    re.DOTALL,
)
_ROOT = re.compile(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)([^<>]{0,5000})")
_HEADERS = re.compile(r"(?:[A-Za-z][\w-]*:[^\n]*\n(?:[ \t][^\n]*\n)*+)++(?=\r?\n)")
_HEADER = re.compile(r"^([\w-]+):", re.MULTILINE)
_BLOCK_TAGS = frozenset(("h1", "h2", "h3", "p", "div", "table", "ul", "ol", "section", "article"))
_HTML_NAMES = (".html", ".htm", ".xhtml")
_CSV_NAMES = (".csv", ".tsv", ".tab")
_MARKDOWN_NAMES = (".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd")
# Program text and settings, whose layout means something: YAML looks like front matter, rows of
# SQL look like CSV, and what a program documents in Markdown does not make it Markdown.
_SOURCE_NAMES = (
    ".py", ".pyi", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".java", ".kt", ".scala", ".go",
    ".rs", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".swift", ".rb", ".php", ".pl", ".lua", ".r",
    ".jl", ".hs", ".ex", ".sh", ".bash", ".zsh", ".ps1", ".bat", ".sql", ".css", ".scss", ".yaml",
    ".yml", ".toml", ".ini", ".cfg", ".conf", ".json5", ".jsonc", ".proto", ".tf", ".cmake",
)  # fmt: skip
_TEXT_NAMES = (".rst", ".tex", ".adoc", ".org", ".srt", ".vtt", ".log")


def media_type(data: bytes, name: str) -> str:
    """The media type of a file, also of one that no reader reads; of ``name`` the ending counts."""
    name = name.lower()
    if _is_pdf(data):
        return PDF
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_type(data)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        streams = (kind for stream, kind in _OLE_STREAMS if stream.encode("utf-16-le") in data)
        return next(streams, OLE)
    if data.startswith(b"{\\rtf"):
        return RTF
    is_text = not is_binary(data)
    for at, mark, kind in _SIGNATURES:
        # A text may begin with the letters of a mark, but not with its other bytes, nor with NULs.
        is_sure = not mark.isascii() or b"\x00" in data[:8192] or not is_text
        if data[at : at + len(mark)] == mark and is_sure:
            return kind
    return _text_type(data, name) if is_text else BINARY


def is_binary(data: bytes) -> bool:
    """Whether the bytes cannot be text: control characters, or NULs but those of UTF-16 and 32."""
    head = data[:8192]
    if head.startswith(_BOM):
        return False
    encoding = unmarked_unicode(data) if b"\x00" in head else None
    if encoding is not None:  # sound and pixels can have their NULs where UTF-16 has them
        head = head.decode(encoding, "replace").encode("utf-8", "replace")
    elif b"\x00" in head:
        return True
    n_control = len(head) - len(head.translate(None, _CONTROL))
    n_allowed = 0 if encoding is not None else MIN_CONTROL
    return n_control > max(n_allowed, MAX_CONTROL_SHARE * len(head))


def _is_pdf(data: bytes) -> bool:
    if data[:64].lstrip().startswith(b"%PDF-"):
        return True
    # Mail gateways and printers leave lines above the mark; an article may quote it.
    return re.search(rb"%PDF-\d", data[:1024]) is not None and b"endobj" in data


def _zip_type(data: bytes) -> str:
    names, declared = data, data[:200]  # the raw bytes, if the archive is cut off or broken
    try:
        archive = Archive(data)
        names = "\n".join(archive.names).encode("utf-8", "replace")
        if "mimetype" in archive:
            declared = archive.read("mimetype")
    except RejectedError:
        pass
    for kind in _PACKAGES:
        if kind.encode() in declared:
            return kind
    if b"META-INF/container.xml" in names:
        return EPUB
    return next((kind for part, kind in _MAIN_PARTS if part in names), ZIP)


def _text_type(data: bytes, name: str) -> str:
    try:
        text = decode(_head(data))[0].lstrip("\ufeff \t\r\n")
    except RejectedError:
        return TEXT  # whose reader says what is wrong with the encoding
    if _is_mail(text):
        return MAIL
    is_cut = len(data) > HEAD_BYTES
    markup = _markup_type(text, name) if text.startswith("<") else None
    if markup is not None:
        return markup
    if name.endswith(_HTML_NAMES) and _ANY_TAG.search(text):
        return HTML
    if text[:1] in ("{", "["):
        if records.is_json_lines(text):
            return JSON_LINES
        if _holds(data, records.is_json):
            return JSON
        if is_cut and _holds(data, records.is_json_lines):  # lines longer than the head
            return JSON_LINES
    if name.endswith(_SOURCE_NAMES):
        return SOURCE
    if name.endswith(_TEXT_NAMES):
        return TEXT
    sniff = partial(records.sniff, text, is_cut=is_cut)
    if name.endswith(_CSV_NAMES) and sniff(is_named=True):
        return CSV
    if name.endswith(_MARKDOWN_NAMES) or is_markdown(text):
        return MARKDOWN
    return CSV if sniff(is_named=False) else TEXT


def _is_mail(text: str) -> bool:
    """Whether it begins with headers, among them one that programs write and people do not."""
    headers = _HEADERS.match(text)
    names = {name.lower() for name in _HEADER.findall(headers[0])} if headers else set()
    return {"from", "date"} <= names and not names.isdisjoint(
        ("message-id", "mime-version", "received")
    )


def _head(data: bytes) -> bytes:
    head = data[:HEAD_BYTES]
    if len(head) < HEAD_BYTES or b"\x00" in head:  # UTF-16 is even, and so is the limit
        return head
    end = len(head)
    while end > HEAD_BYTES - 4 and head[end - 1] & 0xC0 == 0x80:  # a UTF-8 character cut in two
        end -= 1
    return head[: end - 1] if head[end - 1] >= 0xC0 else head[:end]


def _markup_type(text: str, name: str) -> str | None:
    """HTML, XML or SVG, by how it begins; None for a text that begins with a tag."""
    prolog = _PROLOG.match(text)
    start = prolog.end() if prolog else 0
    root = _ROOT.match(text, start)
    tag = root[1].lower() if root else ""
    if tag in ("html", "head", "body") or _HTML_TAG.search(text[:start]):
        return HTML
    may_be_markdown = name.endswith(_MARKDOWN_NAMES)
    is_xml = text.startswith("<?xml") or name.endswith((".xml", ".fb2", ".rss", ".atom", ".svg"))
    has_namespace = root is not None and "xmlns" in root[2] and not may_be_markdown
    if root is not None and (is_xml or has_namespace):
        return "image/svg+xml" if tag == "svg" else XML
    if may_be_markdown:
        return None
    # A page may begin with a script or a style; a fragment of one with a paragraph.
    is_fragment = tag in _BLOCK_TAGS and text.rstrip().endswith(">") and not is_markdown(text)
    return HTML if is_fragment or _HTML_TAG.search(text[:4096]) else None


def _holds(data: bytes, test: Callable[[str], bool]) -> bool:
    """Whether the whole text passes the test, not only its head."""
    try:
        return test(decode(data)[0])
    except RejectedError:
        return False
