"""A small real index: documents in, chunk rows in LanceDB out, published as a generation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from lancedb.index import FTS

from rag_assets.index.rows import schema_of
from rag_assets.index.search import IndexedChunk, IndexReader
from rag_assets.lake.generations import Generation, load, next_id, publish
from rag_assets.lake.identity import data_version, row_id, text_hash
from rag_assets.lake.store import LakeStore
from rag_assets_tests.answers.fakes import WordEmbedder, n_words

MODIFIED = datetime(2024, 5, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Doc:
    uri: str
    title: str
    sections: tuple[tuple[str, str], ...]  # heading, text
    language: str = "en"
    aliases: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    superseded_by: tuple[str, str] = ("", "")  # uri, title

    @property
    def document_id(self) -> str:
        return row_id("doc", self.uri, self.text)

    @property
    def text(self) -> str:
        return "\n\n".join(f"{heading}\n{text}" for heading, text in self.sections)


FERRIES = (
    Doc(
        "fleet:alder.html",
        "MV Alder",
        (
            (
                "History",
                "MV Alder was built in 1994 by Hestvik Yard. She replaced the ferry Elder.",
            ),
            ("Technical data", "Length 62 m.\nSpeed 14.5 knots.\nPassengers 320."),
        ),
    ),
    Doc(
        "fleet:tern.html",
        "MV Tern",
        (
            ("History", "MV Tern was built in 2003 by Solvik Marine. She sails on Route 5."),
            ("Technical data", "Length 41 m.\nSpeed 28 knots.\nPassengers 180."),
        ),
        aliases=("fleet:old/tern.html", "fleet:print/tern.pdf"),
        copies=("fleet:old/tern.html",),
    ),
    Doc(
        "fleet:fares.html",
        "Fares 2024",
        (("Bicycles", "A bicycle costs 4.50 euro on every route. Tandems cost 9 euro."),),
    ),
)


def chunks_of(doc: Doc, max_words: int = 40) -> list[IndexedChunk]:
    chunks = []
    for number, (heading, text) in enumerate(doc.sections):
        base = doc.text.index(f"{heading}\n{text}") + len(heading) + 1
        section_id = row_id("sec", doc.document_id, number)
        for ordinal, (start, end) in enumerate(_cut(text, max_words)):
            chunks.append(
                IndexedChunk(
                    chunk_id=row_id("chunk", section_id, start, text[start:end]),
                    partition="fleet.0",
                    document_id=doc.document_id,
                    section_id=section_id,
                    section_ordinal=number,
                    ordinal=ordinal,
                    uri=doc.uri,
                    aliases=list(doc.aliases),
                    title=doc.title,
                    language=doc.language,
                    heading_path=[doc.title, heading],
                    page=None,
                    start=base + start,
                    end=base + end,
                    text=text[start:end],
                    blocks=tables_of(text[start:end], base + start),
                    document_type="",
                    topics=[],
                    modified_at=MODIFIED,
                    copies=list(doc.copies),
                    superseded_by=doc.superseded_by[0],
                    superseded_by_title=doc.superseded_by[1],
                )
            )
    return chunks


def tables_of(text: str, start: int) -> list[dict[str, Any]]:
    """Blocks of a text that stands at ``start``: here whatever has bars is meant as a table."""
    return [
        {"kind": "table", "start": start + found.start(), "end": start + found.end()}
        for found in re.finditer(r"(?m)^.*\|.*$", text)
    ]


def _cut(text: str, max_words: int) -> list[tuple[int, int]]:
    """Spans of whole words, at most ``max_words`` tokens each."""
    spans: list[tuple[int, int]] = []
    for word in re.finditer(r"\S+", text):
        if spans and n_words(text[spans[-1][0] : word.end()]) <= max_words:
            spans[-1] = (spans[-1][0], word.end())
        else:
            spans.append((word.start(), word.end()))
    return spans


def rows_of(docs: Sequence[Doc], embedder: WordEmbedder, max_words: int = 40) -> pa.Table:
    rows = []
    for chunk in (chunk for doc in docs for chunk in chunks_of(doc, max_words)):
        header = " > ".join([chunk.title, chunk.heading_path[-1]])
        search_text = f"{header}\n{chunk.text}"
        row = {name: getattr(chunk, name) for name in IndexedChunk.__slots__}
        row |= {
            "search_text": search_text,
            "vector": embedder.embed([search_text])[0],
            "row_hash": text_hash(search_text),
        }
        rows.append(row)
    schema = schema_of(embedder.dimension)
    return pa.table([[row[name] for row in rows] for name in schema.names], schema=schema)


def build(
    store: LakeStore, docs: Sequence[Doc], embedder: WordEmbedder, max_words: int = 40
) -> Generation:
    """Write the index; the candidate generation, not published."""
    rows = rows_of(docs, embedder, max_words)
    table = store.open_or_create("chunk_index", "all", rows.schema)
    if table.count_rows():
        table.delete("true")
    if rows.num_rows:
        table.add(rows)
        table.create_index("search_text", config=FTS(), replace=True)
    version = data_version(
        zip(rows["chunk_id"].to_pylist(), rows["row_hash"].to_pylist(), strict=True)
    )
    return Generation(
        id=next_id(store, version),
        created_at="2024-06-01T00:00:00+00:00",
        index_version=table.version,
        data_version=version,
        models={"embedder": {"model_id": embedder.model_id, "revision": embedder.revision}},
        counts={"rows": rows.num_rows, "documents": len(docs)},
        inputs={},
        run_id="run-index",
    )


def publish_docs(
    store: LakeStore, docs: Sequence[Doc], embedder: WordEmbedder, max_words: int = 40
) -> Generation:
    generation = build(store, docs, embedder, max_words)
    publish(store, generation)
    return generation


def reader_of(
    store: LakeStore, docs: Sequence[Doc], embedder: WordEmbedder, max_words: int = 40
) -> IndexReader:
    generation = publish_docs(store, docs, embedder, max_words)
    return IndexReader(store, load(store, generation.id))
