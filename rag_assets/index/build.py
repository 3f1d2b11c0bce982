"""Stage 6: bring ``chunk_index`` up to date and name the result as a candidate generation.

The index is one Lance table over all partitions, so that a search sees one version of
everything. It is built by the same law as the stages: for each partition whose inputs
have moved since the last build, the rows that should be there are compared by hash with
those that are, and the difference is written in one commit. Before the first of them is written,
the candidate's record forgets what those partitions were built from: a build that is killed leaves
them to be compared again, even if what moved them has been taken back by then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
from lancedb.index import FTS, BTree, IvfHnswSq
from lancedb.table import Table

from rag_assets.chunks import cut
from rag_assets.documents import normalise
from rag_assets.enrichments import enrich
from rag_assets.lake import generations
from rag_assets.lake.delta import Progress, upstream_hashes
from rag_assets.lake.generations import Generation
from rag_assets.lake.identity import data_version, value_hash
from rag_assets.lake.schemas import chunk_index
from rag_assets.lake.store import LakeError, LakeStore, quoted, scan
from rag_assets.sources import ingest

CODE_VERSION = "2"
INDEX = "chunk_index"
EMBEDDINGS = "embeddings"
MIN_ROWS_FOR_ANN = 50_000  # below it an exact scan takes less than 100 ms and loses nothing


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did to the index."""

    generation: Generation
    is_new: bool
    n_upserted: int
    n_deleted: int
    n_unindexed: int  # rows that the text index does not cover; must be 0


def build_index(
    store: LakeStore,
    *,
    dimension: int,
    models: Mapping[str, Mapping[str, str]],
    run_id: str,
    progress: Progress | None = None,
) -> BuildReport:
    """Build the candidate from what all partitions hold now.

    A document that another one stands for (``duplicates``) is left out; its uri becomes an alias of
    its canonical's rows. So is a document with ``flags``: it is no page to answer from.

    Args:
        store: the lake.
        dimension: floats a vector.
        models: role -> model_id and revision, for the manifest.
        run_id: of the Dagster run.
        progress: called with (partitions done, partitions).
    """
    table = store.open_or_create(INDEX, "all", chunk_index(dimension))
    before = _candidate(store, table)
    aliases = _aliases(store)
    known = _known_inputs(table) if before is None else before.inputs
    partitions = store.partitions(normalise.TABLE.name)
    gone = sorted(known.keys() - set(partitions))
    inputs = {name: _inputs(store, name, aliases) for name in [*partitions, *gone]}
    moved = [name for name, now in inputs.items() if known.get(name) != now]
    if before is not None and moved:
        forgotten: dict[str, dict[str, str]] = {name: {} for name in moved}
        generations.put_candidate(store, replace(before, inputs=inputs | forgotten))
    n_upserted = n_deleted = 0
    for done, partition in enumerate(inputs):
        if partition in moved:
            done_here = _update(store, table, partition, dimension, aliases)
            if done_here is None:
                inputs[partition] = known.get(partition, {})
            else:
                n_upserted, n_deleted = n_upserted + done_here[0], n_deleted + done_here[1]
        if progress is not None:
            progress(done + 1, len(inputs))
    index_table(table)
    rows = scan(table, columns=["chunk_id", "row_hash", "document_id"]).to_pydict()
    version = data_version(zip(rows["chunk_id"], rows["row_hash"], strict=True))
    if before is not None and before.data_version == version:
        same = replace(before, inputs=inputs)  # what it was built and judged as still holds
        if same != before:
            generations.put_candidate(store, same)
        return BuildReport(same, False, n_upserted, n_deleted, _n_unindexed(table))
    generation = Generation(
        id=generations.next_id(store, version),
        created_at=generations.now_iso(),
        index_version=int(table.version),
        data_version=version,
        models={role: dict(model) for role, model in models.items()},
        counts={"chunks": len(rows["chunk_id"]), "documents": len(set(rows["document_id"]))},
        inputs=inputs,
        run_id=run_id,
    )
    generations.put_candidate(store, generation)
    return BuildReport(generation, True, n_upserted, n_deleted, _n_unindexed(table))


@dataclass(frozen=True, slots=True)
class _Aliases:
    canonical_of: dict[str, str]  # alias id -> canonical id
    uris_of: dict[str, list[str]]  # canonical id -> uris of its aliases, sorted


def _aliases(store: LakeStore) -> _Aliases:
    canonical_of: dict[str, str] = {}
    uris_of: dict[str, list[str]] = {}
    for row in store.rows("duplicates"):
        canonical_of[row["document_id"]] = row["canonical_id"]
        uris_of.setdefault(row["canonical_id"], []).append(row["uri"])
    return _Aliases(canonical_of, {key: sorted(uris) for key, uris in uris_of.items()})


def _candidate(store: LakeStore, table: Table) -> Generation | None:
    """The build before; None where its table was removed, and its versions with it."""
    before = generations.candidate(store)
    return before if before is None or before.index_version <= table.version else None


def _known_inputs(table: Table) -> dict[str, dict[str, str]]:
    """Partitions with rows in an index that no record knows: the first build was killed."""
    return {name: {} for name in scan(table, columns=["partition"])["partition"].to_pylist()}


def _inputs(store: LakeStore, partition: str, aliases: _Aliases) -> dict[str, str]:
    """What the index rows of a partition depend on, as short strings that change with it.

    Versions say that a table was written; a table that was removed and made anew counts from 1
    again, therefore the documents' content, too.
    """
    hashes = upstream_hashes(store, normalise.TABLE, partition)
    mine = sorted(hashes)
    collapsed = {i: aliases.canonical_of[i] for i in mine if i in aliases.canonical_of}
    standing = {i: aliases.uris_of[i] for i in mine if i in aliases.uris_of}
    found = {
        "code": CODE_VERSION,
        "content": data_version(hashes.items()),
        "duplicates": value_hash([collapsed, standing]),
    }
    for name in ("documents", "chunks", EMBEDDINGS, "enrichments"):
        table = store.table(name, partition)
        found[name] = "0" if table is None else str(table.version)
    return found


def _update(
    store: LakeStore, table: Table, partition: str, dimension: int, aliases: _Aliases
) -> tuple[int, int] | None:
    """Bring one partition's rows in the index up to date; returns (upserted, deleted).

    None, and nothing done, where chunks wait for their vectors, or documents to follow their
    deleted files: another run is at work on this partition, and will build the index again.
    """
    mine = f"partition = {quoted([partition])}"
    stored = scan(table, columns=["chunk_id", "row_hash"], where=mine).to_pylist()
    before = {row["chunk_id"]: row["row_hash"] for row in stored}
    embedded = _embedded(store, partition)
    rows = {}
    for row, raw_hash, embedded_hash in _rows(store, partition, aliases):
        vector_of, vector_hash = embedded.get(row["chunk_id"], ("", ""))
        modified_at = row.pop("modified_at")  # by raw_hash instead: touched is not changed
        if vector_of != embedded_hash or modified_at is None:
            return None
        row["row_hash"] = value_hash([row, raw_hash, vector_hash])
        rows[row["chunk_id"]] = {**row, "modified_at": modified_at}
    fresh = [row for key, row in rows.items() if before.get(key) != row["row_hash"]]
    gone = sorted(before.keys() - rows.keys())
    if fresh:
        vectors = _vectors(store, partition, [row["chunk_id"] for row in fresh])
        for row in fresh:
            row["vector"] = vectors[row["chunk_id"]]
        merge = table.merge_insert("chunk_id").when_matched_update_all()
        merge = merge.when_not_matched_insert_all()
        if gone:
            merge = merge.when_not_matched_by_source_delete(f"chunk_id IN ({quoted(gone)})")
        merge.execute(pa.Table.from_pylist(fresh, schema=chunk_index(dimension)))
    elif gone:
        table.delete(f"chunk_id IN ({quoted(gone)})")
    return len(fresh), len(gone)


def _embedded(store: LakeStore, partition: str) -> dict[str, tuple[str, str]]:
    """Chunk id -> (hash of the text that was embedded, hash of that and the model)."""
    columns = ["chunk_id", "embedded_hash", "row_hash"]
    rows = store.rows(EMBEDDINGS, partition, columns=columns)
    return {row["chunk_id"]: (row["embedded_hash"], row["row_hash"]) for row in rows}


def _rows(
    store: LakeStore, partition: str, aliases: _Aliases
) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Rows that this partition should have, each with the hash of its file and of what is embedded.

    They lack their vectors and their own hashes. ``modified_at`` is None where the file is gone.
    """
    columns = ["document_id", "uri", "title", "language", "raw_hash", "flags"]
    documents = {
        row["document_id"]: row
        for row in store.rows(normalise.TABLE.name, partition, columns=columns)
        if row["document_id"] not in aliases.canonical_of and not row["flags"]
    }
    labels = {row["document_id"]: row for row in store.rows(enrich.TABLE.name, partition)}
    modified = {
        row["uri"]: row["modified_at"]
        for row in store.rows(ingest.TABLE.name, partition, columns=["uri", "modified_at"])
    }
    for chunk in store.rows(cut.TABLE.name, partition):
        document = documents.get(chunk["document_id"])
        if document is None:
            continue
        row = _row(chunk, document, labels.get(chunk["document_id"]), partition, aliases)
        row["modified_at"] = modified.get(document["uri"])
        yield row, document["raw_hash"], chunk["embedded_hash"]


def _row(
    chunk: dict[str, Any],
    document: dict[str, Any],
    labels: dict[str, Any] | None,
    partition: str,
    aliases: _Aliases,
) -> dict[str, Any]:
    topics = [] if labels is None else labels["topics"]
    questions = [] if labels is None else labels["questions"]
    copied = ("chunk_id", "document_id", "section_id", "section_ordinal", "ordinal",
              "heading_path", "page", "start", "end", "text")  # fmt: skip
    return {
        **{name: chunk[name] for name in copied},
        "partition": partition,
        "uri": document["uri"],
        "aliases": aliases.uris_of.get(document["document_id"], []),
        "title": document["title"],
        "language": document["language"],
        "search_text": "\n".join([chunk["header"], chunk["text"], " ".join(topics + questions)]),
        "document_type": "" if labels is None else labels["document_type"],
        "topics": topics,
    }


def _vectors(store: LakeStore, partition: str, chunk_ids: list[str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for start in range(0, len(chunk_ids), 1000):
        where = f"chunk_id IN ({quoted(chunk_ids[start : start + 1000])})"
        for row in store.rows(EMBEDDINGS, partition, columns=["chunk_id", "vector"], where=where):
            found[row["chunk_id"]] = row["vector"]
    return found


def index_table(table: Table) -> None:
    """Make the search indexes where they are missing, and let them take in what is new.

    A text index made on an empty table never catches up (recall 0), so it waits for rows.
    """
    n_rows = table.count_rows()
    if n_rows == 0:
        return
    existing = {column for index in table.list_indices() for column in index.columns}
    if "search_text" not in existing:
        table.create_index("search_text", config=FTS(with_position=False))
    for column in ("chunk_id", "section_id", "document_id", "partition"):
        if column not in existing:
            table.create_index(column, config=BTree())
    if "vector" not in existing and n_rows >= MIN_ROWS_FOR_ANN:
        table.create_index("vector", config=IvfHnswSq(distance_type="cosine"))
    if _n_unindexed(table):
        table.optimize(cleanup_older_than=timedelta(days=3650))  # cleaning up is not its task here


def _n_unindexed(table: Table) -> int:
    """Rows that the text index does not cover; all of them if there is none."""
    for index in table.list_indices():
        stats = table.index_stats(index.name)
        if stats is not None and index.columns == ["search_text"]:
            return int(stats.num_unindexed_rows)
    return int(table.count_rows())


def count_unindexed(store: LakeStore, generation: Generation) -> int:
    """Rows of a generation's index that its text index does not cover."""
    table = store.table(INDEX)
    if table is None:
        raise LakeError("there is no chunk_index in this lake; run `rag refresh`")
    table.checkout(generation.index_version)
    return _n_unindexed(table)
