"""Documents in the lake behind the ferry pages, as a refresh would have left them."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from rag_assets.documents.signatures import N_BANDS
from rag_assets.documents.stage import DOCUMENTS
from rag_assets.lake.identity import bytes_hash
from rag_assets.lake.store import LakeStore
from rag_assets_tests.answers.world import Doc
from rag_assets_tests.documents import pdfs

PLAN = Doc(
    "fleet:plan.pdf",
    "Docking plan",
    (("Docking", "MV Gannet docks on 4 March 2025 at Hestvik Yard. The work takes nine days."),),
)


def keep(store: LakeStore, *docs: Doc, **other: Any) -> None:  # noqa: ANN401 - columns of a row
    """Write rows of documents, PDFs with their bytes; ``other`` columns win."""
    rows = [{**_row(store, doc), **other} for doc in docs]
    table = store.open_or_create("documents", "fleet.0", DOCUMENTS)
    table.delete(" OR ".join(f"uri = '{doc.uri}'" for doc in docs))
    table.add(pa.Table.from_pylist(rows, schema=DOCUMENTS))


def pdf_of(doc: Doc) -> bytes:
    """A page for each section, behind a title page."""
    drawn: list[Sequence[tuple[str, str]]] = [[("h1", doc.title)]]
    drawn += [[("h2", heading), ("p", text)] for heading, text in doc.sections]
    return pdfs.write(drawn)


def _row(store: LakeStore, doc: Doc) -> dict[str, Any]:
    is_pdf = doc.uri.endswith(".pdf")
    raw = pdf_of(doc) if is_pdf else doc.text.encode()
    store.put_blob(bytes_hash(raw), raw)
    blocks = []
    for number, (heading, text) in enumerate(doc.sections):
        start = doc.text.index(f"{heading}\n{text}")
        middle = start + len(heading)
        page = number + 2 if is_pdf else None
        blocks += [
            {"kind": "heading", "level": 2, "start": start, "end": middle, "page": page},
            {
                "kind": "paragraph", "level": 0, "page": page,
                "start": middle + 1, "end": middle + 1 + len(text),
            },
        ]  # fmt: skip
    return {
        "document_id": doc.document_id, "uri": doc.uri, "raw_hash": bytes_hash(raw),
        "text_hash": "t", "media_type": "application/pdf" if is_pdf else "text/html",
        "encoding": None, "title": doc.title, "language": "en", "author": None, "created": None,
        "modified": None, "licence": None, "text": doc.text, "blocks": blocks, "edits": [],
        "flags": [], "bands": [0] * N_BANDS, "sketch": [], "input_id": doc.uri,
        "input_hash": "h", "fingerprint": "f", "row_hash": "r", "run_id": "run-documents",
    }  # fmt: skip
