"""Stage 6: bring ``chunk_index`` up to date and name the result as a candidate generation.

The index is one Lance table over all partitions, so that a search sees one version of everything.
For each partition whose inputs changed since the last build, the rows that should be there are
compared by hash with the rows that are. The difference is written in batches of ``BATCH_ROWS`` over
several partitions: one commit deletes the replaced rows, another appends the new ones. (One merge
for each partition would join its rows with the whole index each time.) Readers pin the version of
their generation, so they see none of this. Before the first commit, the candidate's record forgets
what those partitions were built from. If the build is killed, the next build compares them again,
even if the change that caused it was taken back.

The cost of a build depends on what changed. Of an unchanged partition, the ids and hashes of its
documents are read; its share of the index's data version is in the record. Of a changed one, the
ids and hashes of all rows are compared, and the texts and vectors of the rows to write are read (of
all rows, if those are more than ``FEW``).

A partition waits and keeps its old rows while its tables do not fit together, because a run works
on it or failed half-way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from lancedb.table import Table

from rag_assets.chunks.stage import TABLE as CHUNKS
from rag_assets.documents.stage import TABLE as DOCUMENTS
from rag_assets.embeddings.stage import TABLE as EMBEDDINGS
from rag_assets.enrichments.stage import TABLE as ENRICHMENTS
from rag_assets.index.partitions import (
    FIGURES,
    Aliases,
    State,
    look_at,
    standing_rows,
    states_of,
)
from rag_assets.index.search_indexes import index_table, n_unindexed
from rag_assets.lake import generations
from rag_assets.lake.delta import LakeStage, Progress
from rag_assets.lake.figures import Outcome
from rag_assets.lake.generations import INDEX, Generation
from rag_assets.lake.identity import data_version, value_hash
from rag_assets.lake.schemas import CHUNK_BLOCKS, TEXT, TEXTS, required
from rag_assets.lake.store import LakeError, LakeStore, quoted, scan
from rag_assets.sources.stage import TABLE as SOURCE_FILES

VERSION = "5"
BATCH_ROWS = 8192  # a commit: 25 MB with their vectors
MOST_DELETIONS = 32  # partitions in one commit's condition, which nests as deep
FEW = 1000  # rows are looked up; of more, all of a partition are read
COPIED = ("chunk_id", "document_id", "section_id", "section_ordinal", "ordinal", "heading_path",
          "page", "start", "end", "text", "blocks")  # from a chunk into its row  # fmt: skip
MAX_NAMED = 20  # partitions in a message
ATTEMPTS = 3  # at a build, where others write meanwhile to what it reads


def schema_of(dimension: int) -> pa.Schema:
    """Arrow schema for vectors of ``dimension`` floats: all that answering reads, in one table."""
    return pa.schema(
        [
            required("chunk_id", TEXT),
            required("partition", TEXT),
            required("document_id", TEXT),
            required("section_id", TEXT),
            required("section_ordinal", pa.int32()),
            required("ordinal", pa.int32()),
            required("uri", TEXT),
            required("aliases", TEXTS),  # uris of the document's collapsed duplicates
            required("title", TEXT),
            required("language", TEXT),
            required("heading_path", TEXTS),
            pa.field("page", pa.int32()),
            required("start", pa.int64()),
            required("end", pa.int64()),
            required("text", TEXT),
            CHUNK_BLOCKS,
            required("search_text", TEXT),  # what BM25 sees: header, text and enrichment
            required("document_type", TEXT),
            required("topics", TEXTS),
            required("modified_at", pa.timestamp("us", "UTC")),
            required("vector", pa.list_(pa.float32(), dimension)),
            required("row_hash", TEXT),
        ]
    )


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did to the index."""

    generation: Generation
    is_new: bool
    n_upserted: int
    n_deleted: int
    n_unindexed: int  # rows that the text index does not cover; must be 0
    waiting: list[str]  # partitions that were left as they were


def build(
    store: LakeStore,
    stage: LakeStage,
    *,
    dimension: int,
    models: Mapping[str, Mapping[str, str]],
    run_id: str,
    progress: Progress | None = None,
) -> Outcome:
    """Build the candidate, one run at a time; see :func:`build_index`."""
    with store.locked(INDEX):
        report = build_index(
            store, stage, dimension=dimension, models=models, run_id=run_id, progress=progress
        )
    generation = report.generation
    note = f"{generation.id} is kept; nothing changed"
    if report.is_new:
        note = f"{generation.id}: {report.n_upserted} rows written, {report.n_deleted} deleted"
    waiting = (
        f"{len(report.waiting)} partitions keep their rows until a run has finished them: "
        f"{', '.join(report.waiting[:MAX_NAMED])}"
    )
    return Outcome(
        generation.data_version,
        {
            "dagster/row_count": generation.counts["chunks"],
            "documents": generation.counts["documents"],
            "candidate": generation.id,
            "is_new": report.is_new,
            "rows_written": report.n_upserted,
            "rows_deleted": report.n_deleted,
            "rows_unindexed": report.n_unindexed,
            "partitions_waiting": len(report.waiting),
            "lance_version": generation.index_version,
        },
        notes=[note],
        warnings=[waiting] if report.waiting else [],
    )


def build_index(
    store: LakeStore,
    stage: LakeStage,
    *,
    dimension: int,
    models: Mapping[str, Mapping[str, str]],
    run_id: str,
    progress: Progress | None = None,
) -> BuildReport:
    """Build the candidate from what all partitions hold now.

    A document that another one represents (``duplicates``) is left out; its uri becomes an alias of
    its canonical's rows. So is a document with ``flags``: it is no page to answer from.

    Args:
        store: the lake.
        stage: this one, with those that it takes rows of.
        dimension: floats a vector.
        models: role -> model_id and revision, for the manifest.
        run_id: of the Dagster run.
        progress: called with (partitions done, partitions).
    """
    made_by = {role: dict(model) for role, model in models.items()}
    for _ in range(ATTEMPTS):
        report = _built(store, stage, dimension, made_by, run_id, progress)
        if report is not None:
            return report
    raise LakeError(
        "partitions were written each time while the index read them; run `rag refresh` again when "
        "fewer runs are at work"
    )


def _built(
    store: LakeStore,
    stage: LakeStage,
    dimension: int,
    made_by: dict[str, dict[str, str]],
    run_id: str,
    progress: Progress | None,
) -> BuildReport | None:
    """One attempt; None where others wrote meanwhile to what it read, so that rows may lack."""
    before = generations.candidate(store)
    if before is not None and store.table(INDEX) is None:  # its index was removed, by a person
        emptied = replace(before, index_version=0, data_version="", inputs={})
        generations.put_candidate(store, emptied)
    table = store.open_or_create(INDEX, "all", schema_of(dimension))
    before = _candidate(store, table)
    if table.count_rows() and (before is None or not all(before.inputs.values())):
        index_table(table)  # a killed build left rows that every look for others would scan
    known = _known_inputs(table) if before is None else before.inputs
    writer = _Writer(store, stage, table, dimension)
    was = _version(store, 0 if before is None else before.index_version)
    state = look_at(store, stage, known, writer.stood, was)
    if before is not None and state.changed:
        forgotten: dict[str, dict[str, str]] = {name: {} for name in state.changed}
        generations.put_candidate(store, replace(before, inputs=known | forgotten))
    inputs = {}
    for done, (partition, now) in enumerate(state.inputs.items()):
        if partition in state.keeping:
            figures = _leave(writer, partition, state.keeping[partition])
            inputs[partition] = {**known.get(partition, {}), **figures}
        elif partition not in state.changed:
            inputs[partition] = known[partition]
        elif (updated := _update(store, writer, partition, state)) is not None:
            inputs[partition] = now | updated
        else:
            writer.flush()
            return None
        if progress is not None:
            progress(done + 1, len(state.inputs))
    writer.flush()
    index_table(table)
    generation = _generation(store, table, before, inputs, made_by, run_id)
    if generation != before:
        generations.put_candidate(store, generation)
    return BuildReport(
        generation,
        is_new=before is None or generation.id != before.id,
        n_upserted=writer.n_added,
        n_deleted=writer.n_gone,
        n_unindexed=n_unindexed(table),
        waiting=list(state.keeping),
    )


def _generation(
    store: LakeStore,
    table: Table,
    before: Generation | None,
    inputs: dict[str, dict[str, str]],
    made_by: dict[str, dict[str, str]],
    run_id: str,
) -> Generation:
    """The candidate's record: a new one only where rows or models are others than before."""
    version = data_version(
        (name, of["rows"]) for name, of in inputs.items() if of["n_chunks"] != "0"
    )
    if before is not None and (before.data_version, before.models) == (version, made_by):
        return replace(before, inputs=inputs)  # what it was built and judged as still holds
    counts = {
        counted: sum(int(of[f"n_{counted}"]) for of in inputs.values())
        for counted in ("chunks", "documents")
    }
    return Generation(
        id=generations.next_id(store, version),
        created_at=generations.now_iso(),
        index_version=int(table.version),
        data_version=version,
        models=made_by,
        counts=counts,
        inputs=inputs,
        run_id=run_id,
    )


def is_current(store: LakeStore, stage: LakeStage, models: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a build with these models would find nothing changed."""
    table = store.table(INDEX)
    before = None if table is None else _candidate(store, table)
    if table is None or before is None or before.models != models:
        return False
    was = _version(store, before.index_version)
    return not look_at(store, stage, before.inputs, table, was).changed


class _Writer:
    """Writes to the index in batches; what it holds back is at most ``BATCH_ROWS`` rows and ids.

    Attributes:
        stage: whose rows they are.
        stood: the index as it was before, where every row is found by a scalar index.
        schema: of the index.
        n_added: rows inserted or replaced.
        n_gone: rows deleted and not replaced.
    """

    def __init__(self, store: LakeStore, stage: LakeStage, table: Table, dimension: int) -> None:
        stood = store.table(INDEX)
        if stood is None:
            raise LakeError("chunk_index was removed while it was built; run `rag refresh` again")
        stood.checkout(table.version)
        self.stage = stage
        self.stood = stood
        self.schema = schema_of(dimension)
        self.n_added = self.n_gone = 0
        self._table = table
        self._stale: dict[str, list[str]] = {}
        self._fresh: list[pa.Table] = []

    def replace(
        self, partition: str, stale: Sequence[str], n_gone: int, fresh: Iterator[pa.Table]
    ) -> None:
        """Delete a partition's rows of these chunk ids, ``n_gone`` of them for good, and add rows.

        Args:
            partition: whose rows.
            stale: chunk ids.
            n_gone: how many of them have no new row.
            fresh: tables of at most ``BATCH_ROWS`` rows.
        """
        self.n_gone += n_gone
        for start in range(0, len(stale), BATCH_ROWS):
            self._stale.setdefault(partition, []).extend(stale[start : start + BATCH_ROWS])
            self._flush_if_full()
        for rows in fresh:
            self.n_added += rows.num_rows
            self._fresh.append(rows)
            self._flush_if_full()

    def _flush_if_full(self) -> None:
        n_rows = sum(rows.num_rows for rows in self._fresh)
        n_ids = sum(len(ids) for ids in self._stale.values())
        if max(n_rows, n_ids) >= BATCH_ROWS or len(self._stale) >= MOST_DELETIONS:
            self.flush()

    def flush(self) -> None:
        """Write what is held back: deletions first."""
        if self._stale:
            self._table.delete(
                " OR ".join(
                    f"(partition = {quoted([name])} AND chunk_id IN ({quoted(ids)}))"
                    for name, ids in self._stale.items()
                )
            )
        if self._fresh:
            # What is copied from an earlier version of the index may lack a newer column.
            self._table.add(pa.concat_tables(self._fresh, promote_options="default"))
        self._stale, self._fresh = {}, []


def _candidate(store: LakeStore, table: Table) -> Generation | None:
    """The build before; None where its table was removed, and its versions with it."""
    before = generations.candidate(store)
    return before if before is None or before.index_version <= table.version else None


def _known_inputs(table: Table) -> dict[str, dict[str, str]]:
    """Partitions with rows in an index that no record knows: the first build was killed."""
    names = scan(table, columns=["partition"])["partition"]
    return {name: {} for name in pc.unique(names).to_pylist()}


def _update(
    store: LakeStore, writer: _Writer, partition: str, state: State
) -> dict[str, str] | None:
    """Bring one partition's rows in the index up to date; returns their ``_figures``.

    None, and nothing done, where another run has written to its tables since the look.
    """
    found = _compared(store, writer, partition, state.aliases)
    if found is None or states_of(store, writer.stage, partition) != state.states[partition]:
        return None
    writer.replace(partition, found.stale, found.n_gone, found.fresh)
    return found.figures


@dataclass(frozen=True, slots=True)
class _Difference:
    """Between a partition's rows in the index and those that should be there."""

    stale: Sequence[str]  # chunk ids
    n_gone: int
    fresh: Iterator[pa.Table]
    figures: dict[str, str]


def _compared(
    store: LakeStore, writer: _Writer, partition: str, aliases: Aliases
) -> _Difference | None:
    """None where somebody deletes meanwhile what belongs to the rows.

    Rows are compared by the hashes of what they are made of, the stage's version among it.
    """
    before = {row["chunk_id"]: row["row_hash"] for row in standing_rows(writer.stood, partition)}
    embedded = _embedded(store, partition)
    documents = _documents(store, partition, aliases, writer.stage.version)
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
    tables = _fresh(store, partition, fresh, documents, writer.schema)
    if tables is None:
        return None
    replaced = [key for key in fresh if key in before]
    return _Difference(gone + replaced, len(gone), tables, _figures(rows.values()))


def _leave(writer: _Writer, partition: str, kept: Table | None) -> dict[str, str]:
    """Leave a partition's rows as a version of the index has them, and undo what came after."""
    rows = standing_rows(kept, partition)
    if kept is not writer.stood:
        now = {row["chunk_id"]: row["row_hash"] for row in standing_rows(writer.stood, partition)}
        then = {row["chunk_id"]: row["row_hash"] for row in rows}
        stale = [key for key, row_hash in now.items() if then.get(key) != row_hash]
        lost = [key for key, row_hash in then.items() if now.get(key) != row_hash]
        n_gone = len(now.keys() - then.keys())
        writer.replace(partition, stale, n_gone, _copied(kept, partition, lost))
    return _figures(rows)


def _copied(table: Table | None, partition: str, chunk_ids: Sequence[str]) -> Iterator[pa.Table]:
    """These rows of a partition, whole."""
    if table is None:
        return
    for start in range(0, len(chunk_ids), FEW):
        ids = quoted(chunk_ids[start : start + FEW])
        yield scan(table, where=f"partition = {quoted([partition])} AND chunk_id IN ({ids})")


def _version(store: LakeStore, version: int) -> Table | None:
    """The index as it was in a version; None of version 0."""
    table = store.table(INDEX) if version else None
    if table is not None:
        table.checkout(version)
    return table


def _figures(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What a partition's rows add to the generation: version and counts, ``FIGURES``."""
    hashes, documents = [], set()
    for row in rows:
        hashes.append((row["chunk_id"], row["row_hash"]))
        documents.add(row["document_id"])
    figures = (data_version(hashes), str(len(hashes)), str(len(documents)))
    return dict(zip(FIGURES, figures, strict=True))


def _fresh(
    store: LakeStore,
    partition: str,
    rows: Mapping[str, Mapping[str, str]],
    documents: Mapping[str, "_Document"],
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
    documents: Mapping[str, "_Document"],
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


@dataclass(frozen=True, slots=True)
class _Document:
    """What a document's rows in the index have in common."""

    columns: dict[str, Any]  # of the index; modified_at is None where the file is gone
    sought: str  # of its labels: found by search, beside the text
    digest: str  # of both, of the file, and of the code that makes rows


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
    columns = ["document_id", "uri", "title", "language", "raw_hash", "flags"]
    documents = {}
    for row in store.rows(DOCUMENTS.name, partition, columns=columns):
        key = row["document_id"]
        if key in aliases.canonical_of or row["flags"]:
            continue
        label = labels.get(key, {"document_type": "", "topics": [], "questions": []})
        common = {
            "partition": partition,
            "uri": row["uri"],
            "aliases": aliases.uris_of.get(key, []),
            "title": row["title"],
            "language": row["language"],
            "document_type": label["document_type"],
            "topics": label["topics"],
        }
        sought = " ".join(label["topics"] + label["questions"])
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


def count_unindexed(store: LakeStore, generation: Generation) -> int:
    """Rows of a generation's index that its text index does not cover."""
    table = store.table(INDEX)
    if table is None:
        raise LakeError("there is no chunk_index in this lake; run `rag refresh`")
    table.checkout(generation.index_version)
    return n_unindexed(table)
