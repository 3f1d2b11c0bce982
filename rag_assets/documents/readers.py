"""Which reader reads these bytes: told by their content; a name decides where content cannot."""

import re

from rag_assets.documents.blocks import Extracted, RejectedError

_HTML = re.compile(rb"<!doctype\s+html|<html[\s>]|<body[\s>]|<head[\s>]", re.IGNORECASE)
_BOM = re.compile(rb"\xef\xbb\xbf|\xff\xfe|(?:\x00\x00)?\xfe\xff")


def extract(data: bytes, name: str) -> Extracted:
    """Title, structure and text of a file.

    Args:
        data: the file's bytes.
        name: its path; its ending tells Markdown from plain text where the content does not.

    Raises:
        RejectedError: with the reason why there is no document in these bytes.
    """
    # Readers are imported when first needed: a run without PDFs does not load pdfplumber.
    if data[:1024].lstrip().startswith(b"%PDF"):
        from rag_assets.documents.pdf import read_pdf

        return read_pdf(data)
    if _is_html(data[:4096], name.lower()):
        from rag_assets.documents.html import read_html

        return read_html(data)
    if b"\x00" in data[:8192] and _BOM.match(data) is None:
        raise RejectedError(
            "unsupported", "expected HTML, PDF, Markdown or text, got another binary format"
        )
    if name.lower().endswith((".md", ".markdown")):
        from rag_assets.documents.markdown import read_markdown

        return read_markdown(data)
    from rag_assets.documents.plaintext import read_text

    return read_text(data)


def _is_html(head: bytes, name: str) -> bool:
    """By its ending or by its first tags; a text that merely speaks of tags is none."""
    if name.endswith((".html", ".htm", ".xhtml")):
        return True
    head = _BOM.sub(b"", head, count=1).replace(b"\x00", b"").lstrip()  # UTF-16 has NULs between
    return head.startswith(b"<") and _HTML.search(head) is not None
