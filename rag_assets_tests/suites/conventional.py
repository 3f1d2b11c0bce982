"""Indexes of the lesser pipelines, from conventional RAG up to ours without enrichment.

An ablation needs the same documents, questions and models behind pipelines that differ in one
discipline each. Every variant is a ``chunk_index`` of the ordinary schema in a lake of its own, so
that answering reads it like any generation:

    fixed         windows of the files' naive text, every copy included
    deduplicated  windows of the normalised text, copies collapsed into their canonical
    sectioned     the same windows, never across a section's border
    disciplined   the chunks of the ordinary stages with their headers; no enrichment

The step from "fixed" to "deduplicated" is all that reading with care brings: main content without
menus and running lines, normal characters, the document's own title, and no copies.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pypdfium2
from lxml import html

from rag_assets.chunks import stage as cut
from rag_assets.chunks.chunking import embedded_text
from rag_assets.documents import stage as normalise
from rag_assets.documents.readers.decoding import decode
from rag_assets.embeddings import stage as embed
from rag_assets.index.rows import schema_of
from rag_assets.index.search import IndexReader
from rag_assets.index.search_indexes import index_table
from rag_assets.lake import generations
from rag_assets.lake.delta import StageTable
from rag_assets.lake.generations import INDEX, Generation
from rag_assets.lake.identity import data_version, row_id, text_hash, value_hash
from rag_assets.lake.store import LakeError, LakeStore, quoted, scan
from rag_assets.models.protocols import Embedder
from rag_assets.sections import stage as structure
from rag_assets.sources import stage as ingest

Variant = Literal["fixed", "deduplicated", "sectioned", "disciplined"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)  # each adds one discipline to the one before

VERSION = "2"
# What LangChain's RAG tutorial sets, and most that follow it.
WINDOW_CHARS = 1000
OVERLAP_CHARS = 200
EMBED_BATCH = 512
RECORD = "built"

# What each variant cuts; a "fixed" window is cut from the blob.
_READ: dict[Variant, tuple[StageTable, list[str]]] = {
    "deduplicated": (normalise.TABLE, ["text"]),
    "sectioned": (
        structure.TABLE,
        ["section_id", "ordinal", "heading_path", "page", "start", "text"],
    ),
    "disciplined": (
        cut.TABLE,
        ["chunk_id", "section_id", "section_ordinal", "ordinal", "heading_path", "page", "start",
         "end", "text", "header", "blocks", "pages"],
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Built:
    """A variant's index.

    Attributes:
        reader: reads it like any generation.
        n_chunks: its rows.
        n_documents: documents that have rows.
        n_cut: windows whose end the embedder did not see; 0 where chunks are cut to its limit.
    """

    reader: IndexReader
    n_chunks: int
    n_documents: int
    n_cut: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a variant retrieves; ``start`` and ``end`` count in the text that it was cut from."""

    chunk_id: str
    section_id: str
    section_ordinal: int
    ordinal: int
    heading_path: list[str]
    page: int | None
    start: int
    end: int
    text: str
    header: str = ""
    blocks: list[dict[str, Any]] | None = None  # kinds of its parts, where sections have them
    pages: list[dict[str, Any]] | None = None  # where its pages begin, likewise


def build_variant(
    store: LakeStore,
    variant: Variant,
    *,
    folder: Path,
    embedder: Embedder,
    progress: Callable[[int, int], None] | None = None,
) -> Built:
    """Build a variant's index, or open it where it was built from the same inputs before.

    Args:
        store: a lake that the ordinary stages refreshed; only read.
        variant: which pipeline.
        folder: ``<folder>/<variant>`` is its lake; ``<folder>/cache`` holds vectors for all.
        embedder: the one that the lake was refreshed with.
        progress: called with (documents done, documents).

    Raises:
        LakeError: nothing is live in ``store``, or its chunks wait for vectors of this embedder.
        EngineUnavailableError: texts are new and the embedder does not answer.
    """
    lake = LakeStore(str(folder / variant))
    with lake.locked(INDEX):
        stamp = _stamp(store, variant, embedder)
        record = lake.get_record(RECORD)
        if record is None or record["stamp"] != stamp:
            vectors_of = _Vectors(store, LakeStore(str(folder / "cache")), variant, embedder)
            generation = _build(store, lake, variant, vectors_of, progress)
            n_cut = vectors_of.n_cut
            record = {"stamp": stamp, "generation": asdict(generation), "n_cut": n_cut}
            lake.put_record(RECORD, record)
    generation = Generation(**record["generation"])
    counts = generation.counts
    reader = IndexReader(lake, generation)
    return Built(reader, counts["chunks"], counts["documents"], record["n_cut"])


def windows(
    length: int, *, size: int = WINDOW_CHARS, overlap: int = OVERLAP_CHARS
) -> list[tuple[int, int]]:
    """Half-open spans of ``size`` characters that cover ``range(length)``; the last may be shorter.

    Each begins ``overlap`` characters before the one before it ends.

    Raises:
        ValueError: ``overlap`` is not in ``range(size)``, so that windows would not advance.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"expected 0 <= overlap < size, got overlap {overlap} and size {size}")
    starts = range(0, max(length - overlap, min(length, 1)), size - overlap)
    return [(start, min(start + size, length)) for start in starts]


def naive_text(data: bytes, media_type: str) -> str:
    """Text of a file as a first attempt reads it: all that a page's body shows, menus included.

    A PDF that this reader cannot open has no text, though another reader may find some.
    """
    if media_type == "application/pdf":
        text = _pdf_text(data)
    elif media_type == "text/html":
        text = _html_text(data)
    else:
        text = decode(data)[0]
    return text.encode("utf-8", "replace").decode()  # Arrow takes no lone surrogates


def _pdf_text(data: bytes) -> str:
    try:
        with pypdfium2.PdfDocument(data) as pdf:
            return "\n".join(page.get_textpage().get_text_range() for page in pdf)
    except pypdfium2.PdfiumError:
        return ""


def _html_text(data: bytes) -> str:
    utf8 = decode(data)[0].replace("\x00", "").encode("utf-8", "replace")
    page = html.document_fromstring(utf8, parser=html.HTMLParser(encoding="utf-8"))
    # One line a text node: joined by nothing, neighbouring cells would become one word.
    texts = page.xpath("//body//text()[not(ancestor::script or ancestor::style)]")
    return "\n".join(text.strip() for text in texts if text.strip())


def _stamp(store: LakeStore, variant: Variant, embedder: Embedder) -> str:
    """Hash of all that the variant is made of.

    The live index alone would not do: it has no rows for the collapsed copies that "fixed" reads.
    """
    live = generations.live_generation(store)
    if live is None:
        raise LakeError(f"no generation is live in {store.uri}; run `rag refresh` first")
    content = data_version(
        (f"{stage.name}/{partition}/{row[stage.key]}", row["row_hash"])
        for stage in (ingest.TABLE, normalise.TABLE, structure.TABLE, cut.TABLE)
        for partition in store.partitions(stage.name)
        for row in store.rows(stage.name, partition, columns=[stage.key, "row_hash"])
    )
    copies = sorted(store.rows("duplicates"), key=lambda row: str(row["document_id"]))
    model = [embedder.model_id, embedder.revision]
    return value_hash([live.data_version, content, copies, VERSION, variant, *model])


def _build(
    store: LakeStore,
    lake: LakeStore,
    variant: Variant,
    vectors_of: "_Vectors",
    progress: Callable[[int, int], None] | None,
) -> Generation:
    schema = schema_of(vectors_of.embedder.dimension)
    if lake.table(INDEX) is not None:  # of other inputs, perhaps with vectors of another length
        lake.overwrite(INDEX, schema.empty_table())
    table = lake.open_or_create(INDEX, "all", schema)
    documents = _documents(store, variant)
    done, total = 0, sum(map(len, documents.values()))
    for partition, of_partition in documents.items():
        for n_done, rows in _batches(_rows(store, variant, partition, of_partition)):
            vectors = vectors_of(partition, rows) if rows else []
            for row, vector in zip(rows, vectors, strict=True):
                hashed = {key: value for key, value in row.items() if key != "modified_at"}
                row["row_hash"] = value_hash([hashed, vectors_of.model])
                row["vector"] = vector
            if rows:
                table.add(pa.Table.from_pylist(rows, schema=schema))
            done += n_done
            if progress is not None:
                progress(done, total)
    index_table(table)
    rows = scan(table, columns=["chunk_id", "row_hash", "document_id"]).to_pydict()
    version = data_version(zip(rows["chunk_id"], rows["row_hash"], strict=True))
    model = {"model_id": vectors_of.embedder.model_id, "revision": vectors_of.embedder.revision}
    return Generation(
        id=f"{variant}-{version[:8]}",
        created_at=generations.now_iso(),
        index_version=int(table.version),
        data_version=version,
        models={"embedder": model},
        counts={"chunks": len(rows["chunk_id"]), "documents": len(set(rows["document_id"]))},
        inputs={},
        run_id="",
    )


def _documents(store: LakeStore, variant: Variant) -> dict[str, list[dict[str, Any]]]:
    """Partition -> its documents in order of uri: their columns of the index, and their bytes."""
    aliases: dict[str, list[str]] = {}
    collapsed: set[str] = set()
    if variant != "fixed":
        for row in store.rows("duplicates"):
            collapsed.add(row["document_id"])
            aliases.setdefault(row["canonical_id"], []).append(row["uri"])
    columns = ["document_id", "uri", "title", "language", "media_type", "flags"]
    found: dict[str, list[dict[str, Any]]] = {}
    for partition in store.partitions(normalise.TABLE.name):
        files = store.rows(ingest.TABLE.name, partition, columns=["uri", "raw_hash", "modified_at"])
        file_of = {file["uri"]: file for file in files}
        rows = store.rows(normalise.TABLE.name, partition, columns=columns)
        found[partition] = [
            {
                **row,
                "title": _file_name(row["uri"]) if variant == "fixed" else row["title"],
                "aliases": sorted(aliases.get(row["document_id"], [])),
                **file_of[row["uri"]],
            }
            for row in sorted(rows, key=lambda row: str(row["uri"]))
            if row["document_id"] not in collapsed
            and row["uri"] in file_of
            and (variant == "fixed" or not row["flags"])
        ]
    return found


def _file_name(uri: str) -> str:
    return uri.partition(":")[2].rpartition("/")[2]


def _rows(
    store: LakeStore, variant: Variant, partition: str, documents: Sequence[Mapping[str, Any]]
) -> Iterator[list[dict[str, Any]]]:
    """Rows of each document; they lack their vectors and their hashes."""
    sources: dict[str, list[dict[str, Any]]] = {}
    if variant != "fixed":
        stage, columns = _READ[variant]
        for row in store.rows(stage.name, partition, columns=["document_id", *columns]):
            sources.setdefault(row["document_id"], []).append(row)
    for document in documents:
        if variant == "fixed":
            digest = document["raw_hash"]
            data = store.get_blob(digest) if store.has_blob(digest) else b""
            read = [{"text": naive_text(data, document["media_type"]) if data else ""}]
        else:
            read = sources.get(document["document_id"], [])
        yield [
            {
                **{key: value for key, value in asdict(piece).items() if key != "header"},
                **{key: document[key] for key in ("document_id", "uri", "aliases", "title")},
                "language": document["language"],
                "partition": partition,
                "search_text": embedded_text(piece.header, piece.text),
                "document_type": "",
                "topics": [],
                "modified_at": document["modified_at"],
                "stated": "",
                "copies": [],
                "superseded_by": "",
                "superseded_by_title": "",
            }
            for row in read
            for piece in _pieces(variant, document["document_id"], row)
        ]


def _pieces(variant: Variant, document_id: str, row: Mapping[str, Any]) -> Iterator[_Piece]:
    """Cut one row of what the variant reads: a text, a section, or a chunk, which stays whole."""
    if variant == "disciplined":
        yield _Piece(**{key: row[key] for key in _READ[variant][1]})
        return
    spans = [span for span in windows(len(row["text"])) if row["text"][slice(*span)].strip()]
    for ordinal, (start, end) in enumerate(spans):
        text = row["text"][start:end]
        if variant == "sectioned":
            section_id, section_ordinal = row["section_id"], row["ordinal"]
            yield _Piece(
                chunk_id=row_id("chk", variant, section_id, start),
                section_id=section_id,
                section_ordinal=section_ordinal,
                ordinal=ordinal,
                heading_path=row["heading_path"],
                page=row["page"],
                start=row["start"] + start,
                end=row["start"] + end,
                text=text,
            )
        else:  # a bare window is its own section: there is nothing around it to read with it
            place = (variant, document_id, start)
            yield _Piece(
                chunk_id=row_id("chk", *place),
                section_id=row_id("sec", *place),
                section_ordinal=ordinal,
                ordinal=0,
                heading_path=[],
                page=None,
                start=start,
                end=end,
                text=text,
            )


def _batches(
    documents: Iterator[list[dict[str, Any]]],
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Rows in batches of ``EMBED_BATCH``, each with how many documents it completes."""
    pending: list[dict[str, Any]] = []
    n_done = 0
    for rows in documents:
        pending.extend(rows)
        n_done += 1
        while len(pending) >= EMBED_BATCH:
            yield n_done, pending[:EMBED_BATCH]
            pending, n_done = pending[EMBED_BATCH:], 0
    if pending or n_done:
        yield n_done, pending


class _Vectors:
    """Vectors of rows: of chunks as the lake has them, of windows from the cache or the embedder.

    ``n_cut`` counts the windows whose end did not fit into the embedder's window. Common libraries
    cut it off silently; our embedder refuses, so it is cut off here.
    """

    def __init__(
        self, store: LakeStore, cached: LakeStore, variant: Variant, embedder: Embedder
    ) -> None:
        self.embedder = embedder
        self.model = value_hash(["windows", embedder.model_id, embedder.revision])
        self.n_cut = 0
        self._store = store
        self._cached = cached
        self._variant = variant

    def __call__(self, partition: str, rows: Sequence[Mapping[str, Any]]) -> list[np.ndarray]:
        if self._variant == "disciplined":
            return self._stored(partition, rows)
        return self._embedded([row["search_text"] for row in rows])

    def _stored(self, partition: str, rows: Sequence[Mapping[str, Any]]) -> list[np.ndarray]:
        found = {
            (row["chunk_id"], row["embedded_hash"], row["model_id"], row["model_revision"]): row
            for row in self._store.rows(
                embed.TABLE.name,
                partition,
                where=f"chunk_id IN ({quoted([row['chunk_id'] for row in rows])})",
            )
        }
        model = (self.embedder.model_id, self.embedder.revision)
        keys = [(row["chunk_id"], text_hash(row["search_text"]), *model) for row in rows]
        missing = [key[0] for key in keys if key not in found]
        if missing:
            raise LakeError(
                f"expected vectors of {' '.join(model)} for all chunks of {partition}, found none "
                f"for {len(missing)} (first: {missing[0]}); run `rag refresh`"
            )
        return [np.asarray(found[key]["vector"], dtype=np.float32) for key in keys]

    def _embedded(self, texts: Sequence[str]) -> list[np.ndarray]:
        seen = [_seen(text, self.embedder) for text in texts]
        self.n_cut += sum(len(a) < len(b) for a, b in zip(seen, texts, strict=True))
        hashes = [text_hash(text) for text in seen]
        by_hash = dict(zip(hashes, seen, strict=True))
        found, _ = embed.vectors(self._cached, by_hash, self.embedder, self.model)
        return [found[key] for key in hashes]


def _seen(text: str, embedder: Embedder) -> str:
    """The longest beginning of a text that fits into the embedder's window."""
    if embedder.count(text) <= embedder.max_tokens:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if embedder.count(text[:middle]) <= embedder.max_tokens:
            fits = middle
        else:
            too_long = middle
    return text[:fits]
