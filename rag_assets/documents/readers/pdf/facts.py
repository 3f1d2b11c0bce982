"""What a PDF states about itself: title, author, dates, language, licence, bookmarks."""

import ctypes
import html
import re
from itertools import islice
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from rag_assets.documents.readers.metadata import facts
from rag_assets.documents.readers.pdf.blocks import outline_key

MAX_BOOKMARKS = 20_000
MAX_LICENCE_CHARS = 300  # a longer one is a notice, which the text has anyway

# What programs put in where the author named nothing.
_NO_TITLE = re.compile(
    r"microsoft (?:word|powerpoint|excel) - .*|untitled.*|unknown|title|document\d*|unbenannt.*"
    r"|slide \d+|powerpoint presentation|layout \d+|no title"
    r"|\S+\.(?:docx?|odt|rtf|tex|dvi|indd|qxd|pdf|pptx?|xlsx?|html?|fm|pmd|txt|exe|wpd|ps|eps|prn)",
    re.IGNORECASE,
)
_NO_AUTHOR = re.compile(r"unknown|author|user|owner|admin(?:istrator)?|ARRAY\(.*", re.IGNORECASE)
_DATE = re.compile(r"(?:D:)?(\d{4})-?(\d\d)-?(\d\d)")
_XMP = re.compile(rb"<x:xmpmeta.{0,200000}?</x:xmpmeta>", re.DOTALL)
_LICENCES = (  # XMP's rights schema and Creative Commons' own first: they name it by its address
    re.compile(r"<cc:license\s+rdf:resource=[\"']([^\"']+)"),
    re.compile(r"<xmpRights:WebStatement>([^<]+)<"),
    re.compile(r"xmpRights:WebStatement=[\"']([^\"']+)"),
    re.compile(r"<dc:rights>\s*<rdf:Alt>\s*<rdf:li[^>]*>([^<]+)<"),
)


def facts_of(pdf: pypdfium2.PdfDocument, data: bytes) -> dict[str, Any]:
    """Title, author, dates, language and licence of an opened file, those that are stated."""
    title, author = (" ".join(_stated(pdf, key).split()) for key in ("Title", "Author"))
    days = [_DATE.match(_stated(pdf, key)) for key in ("CreationDate", "ModDate")]
    created, modified = ("-".join(day.groups()) if day else "" for day in days)
    return facts(
        title="" if _NO_TITLE.fullmatch(title) else title,
        author="" if _NO_AUTHOR.fullmatch(author) else author,
        created=created,
        modified=modified,
        language=_language(pdf),
        licence=_licence(data),
    )


def _stated(pdf: pypdfium2.PdfDocument, key: str) -> str:
    return str(pdf.get_metadata_value(key))


def _language(pdf: pypdfium2.PdfDocument) -> str:
    length = pdfium.FPDFCatalog_GetLanguage(pdf, None, 0)
    if not 0 < length <= 200:
        return ""
    buffer = (ctypes.c_ushort * (length // 2 + 1))()
    pdfium.FPDFCatalog_GetLanguage(pdf, buffer, length)
    return bytes(buffer).decode("utf-16-le", "replace").rstrip("\x00")


def _licence(data: bytes) -> str:
    """The licence in the file's XMP metadata, its address if there is one; none if compressed."""
    found = _XMP.search(data)
    text = found[0].decode("utf-8", "replace") if found else ""
    stated = (match[1] for pattern in _LICENCES if (match := pattern.search(text)))
    return " ".join(html.unescape(next(stated, "")).split())[:MAX_LICENCE_CHARS]


def outline_of(pdf: pypdfium2.PdfDocument) -> dict[str, int]:
    """Level, from 1, of each bookmark by its title as ``outline_key`` writes it."""
    levels: dict[str, int] = {}
    for bookmark in islice(pdf.get_toc(), MAX_BOOKMARKS):
        levels.setdefault(outline_key(bookmark.get_title()), bookmark.level + 1)
    levels.pop("", None)
    return levels
