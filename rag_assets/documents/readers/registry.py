"""Which reader reads these bytes: told by their content; a name decides where content cannot."""

from collections.abc import Callable
from importlib import import_module

from rag_assets.documents.readers import media_types as types
from rag_assets.documents.readers.blocks import Extracted, RejectedError

Reader = Callable[[bytes], Extracted]

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


def extract(data: bytes, name: str) -> Extracted:
    """Title, structure and text of a file.

    Args:
        data: the file's bytes.
        name: its path; its ending tells Markdown and source code from text where content does not.

    Raises:
        RejectedError: with the reason why there is no document in these bytes.
    """
    if not data.strip():
        raise RejectedError("empty", f"expected content, got {len(data)} bytes of nothing")
    kind = types.media_type(data, name)
    if kind == types.ENCRYPTED_OFFICE:
        raise RejectedError("encrypted", "an Office document with a password; save it without one")
    if kind not in _READERS:
        raise RejectedError(
            "unsupported",
            f"expected a document, got {_ADVICE.get(kind, kind)}",
        )
    return _reader(kind)(data)


def _reader(kind: str) -> Reader:
    module, function = _READERS[kind]
    reader: Reader = getattr(import_module(f"rag_assets.documents.readers.{module}"), function)
    return reader
