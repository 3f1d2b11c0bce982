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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow.compute as pc
from lancedb.table import Table

from rag_assets.access.file import Readers
from rag_assets.index.partitions import State, look_at, standing_rows, states_of
from rag_assets.index.rows import compared, embedders_of, figures, schema_of
from rag_assets.index.search_indexes import index_table, n_unindexed
from rag_assets.index.writing import Writer, copied, has_length, make_length
from rag_assets.lake import generations
from rag_assets.lake.delta import LakeStage, Progress
from rag_assets.lake.figures import Outcome
from rag_assets.lake.generations import INDEX, Generation
from rag_assets.lake.identity import data_version
from rag_assets.lake.store import LakeError, LakeStore, scan
from rag_assets.models.clients.prefixed import vectors_revision

VERSION = "6"
MAX_NAMED = 20  # partitions in a message
ATTEMPTS = 3  # at a build, where others write meanwhile to what it reads


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
    readers: Readers,
    progress: Progress | None = None,
) -> Outcome:
    """Build the candidate, one run at a time; see :func:`build_index`."""
    with store.locked(INDEX):
        report = build_index(
            store,
            stage,
            dimension=dimension,
            models=models,
            run_id=run_id,
            readers=readers,
            progress=progress,
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
    readers: Readers = lambda _uri: None,
    progress: Progress | None = None,
) -> BuildReport:
    """Build the candidate from what all partitions hold now.

    A document that another one represents (``duplicates``) is left out; its uri becomes an alias of
    its canonical's rows. One that others may read than its canonical stands by itself. Left out is
    a document with ``flags``, too: it is no page to answer from. ``models``,
    role -> model_id and revision, are for the manifest.

    Raises:
        LakeError: a partition has vectors of another embedder.
    """
    made_by = {role: dict(model) for role, model in models.items()}
    for _ in range(ATTEMPTS):
        report = _built(store, stage, dimension, made_by, run_id, readers, progress)
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
    readers: Readers,
    progress: Progress | None,
) -> BuildReport | None:
    """One attempt; None where others wrote meanwhile to what it read, so that rows may lack."""
    before = generations.candidate(store)
    if before is not None and store.table(INDEX) is None:  # its index was removed, by a person
        emptied = replace(before, index_version=0, data_version="", inputs={})
        generations.put_candidate(store, emptied)
    table = store.table(INDEX)
    is_other_length = table is not None and not has_length(table, dimension)
    if table is None or not is_other_length:
        table = store.open_or_create(INDEX, "all", schema_of(dimension))
    before = _candidate(store, table)
    if table.count_rows() and (before is None or not all(before.inputs.values())):
        index_table(table)  # a killed build left rows that every look for others would scan
    known = _known_inputs(table) if before is None else before.inputs
    writer = Writer(store, stage, table, dimension)
    was = _version(store, 0 if before is None else before.index_version)
    state = look_at(store, stage, known, writer.stood, was, readers)
    is_switch = before is None or before.models["embedder"] != made_by["embedder"]
    _refuse_mixture(store, made_by["embedder"], state.inputs if is_switch else state.changed)
    if is_other_length:
        if before is not None:
            emptied = replace(before, inputs={name: {} for name in known})
            generations.put_candidate(store, emptied)
        make_length(table, dimension)
        return None  # to be filled by another attempt
    if before is not None and state.changed:
        forgotten: dict[str, dict[str, str]] = {name: {} for name in state.changed}
        generations.put_candidate(store, replace(before, inputs=known | forgotten))
    inputs = {}
    for done, (partition, now) in enumerate(state.inputs.items()):
        if partition in state.keeping:
            left = _leave(writer, partition, state.keeping[partition])
            inputs[partition] = known.get(partition, {}) | left
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
    generation = replace(generation, dimension=dimension)
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


def _refuse_mixture(
    store: LakeStore, embedder: Mapping[str, str], partitions: Iterable[str]
) -> None:
    """Raise LakeError if one of these partitions has vectors of another embedder."""
    revision = vectors_revision(embedder["revision"], embedder.get("document_prefix", ""))
    wanted = {(embedder["model_id"], revision)}
    others = [name for name in partitions if not embedders_of(store, name) <= wanted]
    if others:
        raise LakeError(
            f"{len(others)} partitions have vectors of another embedder than "
            f"{embedder['model_id']} ({', '.join(others[:MAX_NAMED])}), and an index has those of "
            "one alone. The live generation stays. Run `rag refresh` for all sources; a source "
            "that is declared no more has to be declared again or emptied first"
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


def is_current(
    store: LakeStore,
    stage: LakeStage,
    models: Mapping[str, Mapping[str, str]],
    readers: Readers = lambda _uri: None,
) -> bool:
    """Whether a build with these models would find nothing changed."""
    table = store.table(INDEX)
    before = None if table is None else _candidate(store, table)
    if table is None or before is None or before.models != models:
        return False
    was = _version(store, before.index_version)
    return not look_at(store, stage, before.inputs, table, was, readers).changed


def _candidate(store: LakeStore, table: Table) -> Generation | None:
    """The build before; None where its table was removed, and its versions with it."""
    before = generations.candidate(store)
    return before if before is None or before.index_version <= table.version else None


def _known_inputs(table: Table) -> dict[str, dict[str, str]]:
    """Partitions with rows in an index that no record knows: the first build was killed."""
    names = scan(table, columns=["partition"])["partition"]
    return {name: {} for name in pc.unique(names).to_pylist()}


def _update(
    store: LakeStore, writer: Writer, partition: str, state: State
) -> dict[str, str] | None:
    """Bring one partition's rows in the index up to date; returns their ``figures``.

    None, and nothing done, where another run has written to its tables since the look.
    """
    found = compared(
        store, writer.stood, partition, state.aliases, writer.stage.version, writer.schema
    )
    if found is None or states_of(store, writer.stage, partition) != state.states[partition]:
        return None
    writer.replace(partition, found.stale, found.n_gone, found.fresh)
    return found.figures


def _leave(writer: Writer, partition: str, kept: Table | None) -> dict[str, str]:
    """Leave a partition's rows as a version of the index has them, and undo what came after."""
    rows = standing_rows(kept, partition)
    if kept is not writer.stood:
        now = {row["chunk_id"]: row["row_hash"] for row in standing_rows(writer.stood, partition)}
        then = {row["chunk_id"]: row["row_hash"] for row in rows}
        stale = [key for key, row_hash in now.items() if then.get(key) != row_hash]
        lost = [key for key, row_hash in then.items() if now.get(key) != row_hash]
        n_gone = len(now.keys() - then.keys())
        writer.replace(partition, stale, n_gone, copied(kept, partition, lost))
    return figures(rows)


def _version(store: LakeStore, version: int) -> Table | None:
    """The index as it was in a version; None of version 0."""
    table = store.table(INDEX) if version else None
    if table is not None:
        table.checkout(version)
    return table


def count_unindexed(store: LakeStore, generation: Generation) -> int:
    """Rows of a generation's index that its text index does not cover."""
    table = store.table(INDEX)
    if table is None:
        raise LakeError("there is no chunk_index in this lake; run `rag refresh`")
    table.checkout(generation.index_version)
    return n_unindexed(table)
