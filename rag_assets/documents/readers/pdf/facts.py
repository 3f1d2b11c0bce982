"""What a PDF states about itself: title, author, dates, language, licence, bookmarks."""

import ctypes
import html
import re
from datetime import date
from itertools import islice

import pypdfium2
import pypdfium2.raw as pdfium

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


def title_of(pdf: pypdfium2.PdfDocument) -> str:
    """The stated title, or nothing where a file name or a program's own words stand instead."""
    title = " ".join(_fact(pdf, "Title").split())
    return "" if _NO_TITLE.fullmatch(title) else title


def author_of(pdf: pypdfium2.PdfDocument) -> str | None:
    """The stated author."""
    author = " ".join(_fact(pdf, "Author").split())
    return author if author and not _NO_AUTHOR.fullmatch(author) else None


def date_of(pdf: pypdfium2.PdfDocument, key: str) -> str | None:
    """The day of ``CreationDate`` or ``ModDate`` as YYYY-MM-DD; None for what is no day."""
    found = _DATE.match(_fact(pdf, key))
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).isoformat()
    except ValueError:
        return None


def language_of(pdf: pypdfium2.PdfDocument) -> str | None:
    """ISO 639-1 code of the catalogue's language, if it has one."""
    length = pdfium.FPDFCatalog_GetLanguage(pdf, None, 0)
    if not 0 < length <= 200:
        return None
    buffer = (ctypes.c_ushort * (length // 2 + 1))()
    pdfium.FPDFCatalog_GetLanguage(pdf, buffer, length)
    language = bytes(buffer).decode("utf-16-le", "replace").rstrip("\x00").strip().lower()
    return language[:2] if re.fullmatch(r"[a-z]{2}([-_].*)?", language) else None


def licence_of(data: bytes) -> str | None:
    """The licence in the file's XMP metadata, its address if there is one; None if compressed."""
    found = _XMP.search(data)
    if found is None:
        return None
    text = found[0].decode("utf-8", "replace")
    stated = (match[1] for pattern in _LICENCES if (match := pattern.search(text)))
    licence = html.unescape(next(stated, "")).strip()
    return " ".join(licence.split())[:MAX_LICENCE_CHARS] or None


def outline_of(pdf: pypdfium2.PdfDocument) -> dict[str, int]:
    """Level, from 1, of each bookmark by its title as ``outline_key`` writes it."""
    levels: dict[str, int] = {}
    for bookmark in islice(pdf.get_toc(), MAX_BOOKMARKS):
        levels.setdefault(outline_key(bookmark.get_title()), bookmark.level + 1)
    levels.pop("", None)
    return levels


def _fact(pdf: pypdfium2.PdfDocument, key: str) -> str:
    return str(pdf.get_metadata_value(key))
