"""Which reader reads a file: its content decides, and its name where the content cannot."""

import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from rag_assets.documents.readers import media_types as types
from rag_assets.documents.readers.blocks import Block, Extracted, RejectedError


class Reader(Protocol):
    """Reads the files of some media types, in place of or in addition to the readers of this room.

    It is pickled for the processes that read files, so it is made of what a module defines.
    ``rag_assets.contracts.check_reader`` tests one.
    """

    @property
    def media_types(self) -> Sequence[str]:
        """What it reads."""

    @property
    def version(self) -> str:
        """Of its code; raise it when the same bytes give another text: they are read again then."""

    def recognise(self, data: bytes, name: str) -> str | None:
        """Which of its media types these bytes are of; None: of none, or ours tells.

        If it raises anything, that is a warning, and the file is left to the other readers.
        Of ``name``, a path, only the ending means anything.
        """

    def read(self, data: bytes) -> Extracted:
        """Title, structure and text.

        Raises:
            RejectedError: with the reason why there is no document in these bytes.
        """


# (module, function): readers are imported when first needed, so that a run without PDFs does not
# load pdfplumber.
_READERS = {
    types.PDF: ("pdf.reader", "read_pdf"),
    types.HTML: ("html.page", "read_html"),
    types.XML: ("text.xml_text", "read_xml"),
    types.MARKDOWN: ("text.markdown", "read_markdown"),
    types.TEXT: ("text.plaintext", "read_text"),
    types.SOURCE: ("text.plaintext", "read_source"),
    types.CSV: ("text.records", "read_csv"),
    types.JSON: ("text.records", "read_json"),
    types.JSON_LINES: ("text.records", "read_jsonl"),
    types.MAIL: ("text.mail", "read_mail"),
    types.EPUB: ("text.epub", "read_epub"),
    types.RTF: ("office.word", "read_rtf"),
    types.DOCX: ("office.word", "read_docx"),
    types.PPTX: ("office.slides", "read_pptx"),
    types.ODT: ("office.opendocument", "read_odf"),
    types.ODP: ("office.opendocument", "read_odf"),
    types.XLSX: ("office.spreadsheet", "read_spreadsheet"),
    types.XLSB: ("office.spreadsheet", "read_spreadsheet"),
    types.XLS: ("office.spreadsheet", "read_spreadsheet"),
    types.ODS: ("office.spreadsheet", "read_spreadsheet"),
}
_ADVICE = {
    types.DOC: "a Word document in the format of 1997; save it as .docx",
    types.PPT: "a PowerPoint presentation in the format of 1997; save it as .pptx",
    types.MSG: "an Outlook message; save it as text or PDF",
    types.ZIP: "a ZIP archive; unpack it into the source",
}


def extract(data: bytes, name: str, readers: Sequence[Reader] = ()) -> Extracted:
    """Title, structure and text of a file.

    The ending of its path ``name`` tells Markdown and source code from text where content does
    not; ``readers`` are asked before those of this room, in this order.

    Raises:
        RejectedError: with the reason why there is no document in these bytes.
    """
    if not data.strip():
        raise RejectedError("empty", f"expected content, got {len(data)} bytes of nothing")
    told = (_told_by(reader, data, name) for reader in readers)
    kind = next((kind for kind in told if kind), None) or types.media_type(data, name)
    for reader in readers:
        if kind in reader.media_types:
            return _read_by(reader, data)
    if kind == types.ENCRYPTED_OFFICE:
        raise RejectedError("encrypted", "an Office document with a password; save it without one")
    if kind not in _READERS:
        raise RejectedError("unsupported", f"expected a document, got {_ADVICE.get(kind, kind)}")
    module, function = _READERS[kind]
    found: Extracted = getattr(import_module(f"{__package__}.{module}"), function)(data)
    return found


def identity(reader: Reader) -> str:
    """What a fingerprint knows a reader by: its class and its version."""
    kind = type(reader)
    return f"{kind.__module__}.{kind.__qualname__}/{reader.version}"


def _told_by(reader: Reader, data: bytes, name: str) -> str | None:
    """What a reader takes a file for; one that fails at telling leaves the file to the others."""
    try:
        kind = reader.recognise(data, name)
        if kind is None or isinstance(kind, str):
            return kind
        why = f"returned a {type(kind).__name__}"
    except (MemoryError, ImportError):
        raise
    # What somebody else's code raises on strange bytes is anything.
    except Exception as error:  # noqa: BLE001
        why = f"raised {type(error).__name__}"
    # Python shows the same words once in a process.
    warnings.warn(
        f"recognise() of the reader {type(reader).__qualname__} {why} where a media type or None "
        "was expected; such files are left to other readers. Test it with "
        "rag_assets.contracts.check_reader",
        stacklevel=1,
    )
    return None


def _read_by(reader: Reader, data: bytes) -> Extracted:
    found: object = reader.read(data)
    if (
        isinstance(found, Extracted)
        and isinstance(found.title, str)
        and isinstance(found.blocks, (list, tuple))
        and all(isinstance(block, Block) and isinstance(block.text, str) for block in found.blocks)
    ):
        return found
    raise RejectedError(
        "corrupt",
        f"expected an Extracted with a title and blocks from read() of the reader "
        f"{type(reader).__qualname__}, got {found!r:.200}; the reader has to be mended",
    )
