"""The rows of a partition as they should be in the index, and what of the index differs from them.

Rows are compared by the hashes of what they are made of, the stage's version among it, so that only
the texts and vectors of rows to write are read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from lancedb.table import Table

from rag_assets.chunks.stage import TABLE as CHUNKS
from rag_assets.documents.stage import TABLE as DOCUMENTS
from rag_assets.embeddings.stage import TABLE as EMBEDDINGS
from rag_assets.enrichments.stage import TABLE as ENRICHMENTS
from rag_assets.index.partitions import FIGURES, Aliases, standing_rows
from rag_assets.index.paths import path_words
from rag_assets.lake.identity import data_version, value_hash
from rag_assets.lake.schemas import CHUNK_BLOCKS, CHUNK_PAGES, TEXT, TEXTS, required, texts
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.sources.stage import TABLE as SOURCE_FILES

BATCH_ROWS = 8192  # a commit: 25 MB with their vectors
FEW = 1000  # rows are looked up; of more, all of a partition are read
COPIED = ("chunk_id", "document_id", "section_id", "section_ordinal", "ordinal", "heading_path",
          "page", "start", "end", "text", "blocks",
          "pages")  # from a chunk into its row  # fmt: skip


def schema_of(dimension: int) -> pa.Schema:
    """Arrow schema for vectors of ``dimension`` floats: all that answering reads, in one table."""
    return pa.schema(
        [
            *texts("chunk_id", "partition", "document_id", "section_id"),
            required("section_ordinal", pa.int32()),
            required("ordinal", pa.int32()),
            required("uri", TEXT),
            required("aliases", TEXTS),  # uris of the document's collapsed duplicates
            *texts("title", "language"),
            required("heading_path", TEXTS),
            pa.field("page", pa.int32()),
            required("start", pa.int64()),
            required("end", pa.int64()),
            required("text", TEXT),
            CHUNK_BLOCKS,
            CHUNK_PAGES,
            required("search_text", TEXT),  # what BM25 sees: header, text, enrichment, path, date
            required("document_type", TEXT),
            required("topics", TEXTS),
            required("modified_at", pa.timestamp("us", "UTC")),
            required("vector", pa.list_(pa.float32(), dimension)),
            required("row_hash", TEXT),
            # Null until a refresh has written the row, in an index from before there were these.
            pa.field("stated", TEXT),  # the document's own date, YYYY-MM-DD; "" if it states none
            pa.field("copies", TEXTS),  # of the aliases those with the same text, word for word
            pa.field("superseded_by", TEXT),  # uri of the newest version; "" if this is it
            pa.field("superseded_by_title", TEXT),
        ]
    )


@dataclass(frozen=True, slots=True)
class _Document:
    """What a document's rows in the index have in common."""

    columns: dict[str, Any]  # of the index; modified_at is None where the file is gone
    sought: str  # of its labels, path and date: found by search, beside the text
    digest: str  # of both, of the file, and of the code that makes rows


@dataclass(frozen=True, slots=True)
class Difference:
    """Between a partition's rows in the index and those that should be there."""

    stale: Sequence[str]  # chunk ids
    n_gone: int
    fresh: Iterator[pa.Table]
    figures: dict[str, str]


def compared(
    store: LakeStore,
    stood: Table,
    partition: str,
    aliases: Aliases,
    version: str,
    schema: pa.Schema,
) -> Difference | None:
    """Compare a partition's rows, as code of this version makes them, with those that stood.

    None where somebody deletes meanwhile what belongs to the rows.
    """
    before = {row["chunk_id"]: row["row_hash"] for row in standing_rows(stood, partition)}
    embedded = _embedded(store, partition)
    documents = _documents(store, partition, aliases, version)
    rows = {}
    columns = ["chunk_id", "document_id", "row_hash", "embedded_hash"]
    for chunk in store.rows(CHUNKS.name, partition, columns=columns):
        document = documents.get(chunk["document_id"])
        if document is None:
            continue
        vector_of, made_by = embedded.get(chunk["chunk_id"], ("", ""))
        if vector_of != chunk["embedded_hash"] or document.columns["modified_at"] is None:
            return None
        chunk["row_hash"] = value_hash([chunk["row_hash"], document.digest, made_by])
        rows[chunk["chunk_id"]] = chunk
    fresh = {key: row for key, row in rows.items() if before.get(key) != row["row_hash"]}
    gone = sorted(before.keys() - rows.keys())
    tables = _fresh(store, partition, fresh, documents, schema)
    if tables is None:
        return None
    replaced = [key for key in fresh if key in before]
    return Difference(gone + replaced, len(gone), tables, figures(rows.values()))


def figures(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What a partition's rows add to the generation: version and counts, ``FIGURES``."""
    hashes, documents = [], set()
    for row in rows:
        hashes.append((row["chunk_id"], row["row_hash"]))
        documents.add(row["document_id"])
    found = (data_version(hashes), str(len(hashes)), str(len(documents)))
    return dict(zip(FIGURES, found, strict=True))


def _fresh(
    store: LakeStore,
    partition: str,
    rows: Mapping[str, Mapping[str, str]],
    documents: Mapping[str, _Document],
    schema: pa.Schema,
) -> Iterator[pa.Table] | None:
    """Rows to write, whole; None where a chunk or a vector was deleted since they were counted."""
    if not rows:
        return iter(())
    chunks = _of_chunks(store, CHUNKS.name, partition, list(rows), [*COPIED, "header"])
    vectors = _of_chunks(store, EMBEDDINGS.name, partition, list(rows), ["chunk_id", "vector"])
    if chunks is None or vectors is None or min(len(chunks), len(vectors)) < len(rows):
        return None
    at = pc.index_in(chunks["chunk_id"], value_set=vectors["chunk_id"].combine_chunks())
    return _tables(chunks, vectors["vector"].take(at), rows, documents, schema)


def _tables(
    chunks: pa.Table,
    vectors: pa.ChunkedArray,
    rows: Mapping[str, Mapping[str, str]],
    documents: Mapping[str, _Document],
    schema: pa.Schema,
) -> Iterator[pa.Table]:
    """The rows of chunks and their vectors as tables of at most ``BATCH_ROWS``."""
    plain = pa.schema([of for of in schema if of.name != "vector"])
    for start in range(0, len(chunks), BATCH_ROWS):
        made = [
            _row(chunk, documents[chunk["document_id"]], rows[chunk["chunk_id"]]["row_hash"])
            for chunk in chunks.slice(start, BATCH_ROWS).to_pylist()
        ]
        some = pa.Table.from_pylist(made, schema=plain)
        mine = vectors.slice(start, BATCH_ROWS)
        columns = [mine if name == "vector" else some[name] for name in schema.names]
        yield pa.table(columns, schema=schema)


def _embedded(store: LakeStore, partition: str) -> dict[str, tuple[str, str]]:
    """Chunk id -> (hash of the text that was embedded, what made a vector of it)."""
    columns = ["chunk_id", "embedded_hash", "fingerprint"]
    rows = store.rows(EMBEDDINGS.name, partition, columns=columns)
    return {row["chunk_id"]: (row["embedded_hash"], row["fingerprint"]) for row in rows}


def embedders_of(store: LakeStore, partition: str) -> set[tuple[str, str]]:
    """Model id and revision of a partition's vectors; of one embedder, unless a run was killed."""
    table = store.read(EMBEDDINGS.name, partition, columns=["model_id", "model_revision"])
    if table is None:
        return set()
    found = table.group_by(["model_id", "model_revision"]).aggregate([])
    return {(row["model_id"], row["model_revision"]) for row in found.to_pylist()}


def _documents(
    store: LakeStore, partition: str, aliases: Aliases, version: str
) -> dict[str, _Document]:
    """A partition's documents that rows are made of, by id."""
    columns = ["document_id", "document_type", "topics", "questions"]
    enriched = store.rows(ENRICHMENTS.name, partition, columns=columns)
    labels = {row["document_id"]: row for row in enriched}
    modified = {
        row["uri"]: row["modified_at"]
        for row in store.rows(SOURCE_FILES.name, partition, columns=["uri", "modified_at"])
    }
    columns = [
        "document_id",
        "uri",
        "title",
        "language",
        "raw_hash",
        "flags",
        "created",
        "modified",
    ]
    documents = {}
    for row in store.rows(DOCUMENTS.name, partition, columns=columns):
        key = row["document_id"]
        if key in aliases.canonical_of or row["flags"]:
            continue
        newest_uri, newest_title = aliases.newest_of.get(key, ("", ""))
        label = labels.get(key, {"document_type": "", "topics": [], "questions": []})
        common = {
            "partition": partition,
            "uri": row["uri"],
            "aliases": aliases.uris_of.get(key, []),
            "copies": aliases.copies_of.get(key, []),
            "superseded_by": newest_uri,
            "superseded_by_title": newest_title,
            "title": row["title"],
            "language": row["language"],
            "document_type": label["document_type"],
            "topics": label["topics"],
            "stated": row["modified"] or row["created"] or "",
        }
        named = [path_words(row["uri"]), common["stated"]]
        sought = " ".join(filter(None, [*label["topics"], *label["questions"], *named]))
        digest = value_hash([version, common, sought, row["raw_hash"]])
        # of the time nothing is hashed: what was touched has not changed, raw_hash says what has
        common["modified_at"] = modified.get(row["uri"])
        documents[key] = _Document(common, sought, digest)
    return documents


def _row(chunk: dict[str, Any], document: _Document, row_hash: str) -> dict[str, Any]:
    """A chunk's row in the index, without its vector."""
    return {
        **{name: chunk.get(name) for name in COPIED},
        **document.columns,
        "search_text": "\n".join([chunk["header"], chunk["text"], document.sought]),
        "row_hash": row_hash,
    }


def _of_chunks(
    store: LakeStore, stage: str, partition: str, chunk_ids: Sequence[str], columns: Sequence[str]
) -> pa.Table | None:
    """A stage's rows of those of these chunks that it has, in any order; None without a table.

    A table that no refresh has written since a column was added lacks it.
    """
    table = store.table(stage, partition)
    if table is None:
        return None
    columns = [name for name in columns if name in table.schema.names]
    if len(chunk_ids) <= FEW:
        where = f"chunk_id IN ({quoted(chunk_ids)})"
        return store.read(stage, partition, columns=columns, where=where)
    found = store.read(stage, partition, columns=columns)
    if found is None:
        return None
    # filtered, not taken: Arrow would join the texts for that, and cannot above 2 GiB of them
    return found.filter(pc.is_in(found["chunk_id"], value_set=pa.array(chunk_ids, pa.string())))
