"""Erasing from the index: a new generation without what is erased, and the end of all others."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lancedb.table import Table

from rag_assets.access.file import Readers
from rag_assets.index.naming import NAMES, NEWER
from rag_assets.index.partitions import standing_rows
from rag_assets.index.rows import BATCH_ROWS, figures
from rag_assets.index.search_indexes import index_table
from rag_assets.index.stage import build_index
from rag_assets.lake import erasing, generations
from rag_assets.lake.delta import LakeStage
from rag_assets.lake.erasing import Named
from rag_assets.lake.generations import INDEX, LIVE, Generation
from rag_assets.lake.identity import data_version
from rag_assets.lake.store import LakeError, LakeStore, batches, quoted
from rag_assets.progress import Tell

RUN_ID = "purge"


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the generations.

    Attributes:
        live: id of the new generation; "" where none was live.
        ended: ids of those that can be neither opened nor rolled back to any more.
        readers: generation -> who had it leased still when the deadline came.
    """

    live: str = ""
    ended: Sequence[str] = ()
    readers: Mapping[str, str] = field(default_factory=dict)


def erase(
    store: LakeStore,
    stage: LakeStage,
    is_named: Named,
    *,
    readers: Readers,
    deadline_s: float,
    hot_load: Callable[[], None],
    tell: Tell,
) -> Ended:
    """Publish an index without the documents of these names, and end every other generation.

    It is built from what the partitions hold now, so copies of a document that went are found from
    then on. It passes no gate: what must be gone may not stay because a question was answered from
    it. Readers of other generations have until the deadline.

    Copies are told apart by their ``readers``, as in every build. Nobody builds an index
    meanwhile.
    """
    with store.locked(INDEX):
        table = store.table(INDEX)
        if table is None:
            return Ended()
        built = _built(store, stage, table, readers, tell)
        table.checkout_latest()
        touched = _delete(table, is_named)
        erasing.rewrite(table)
        index_table(table)
        if built is None:  # no build was ever finished, so nobody reads it
            erasing.delete_versions(store, INDEX)
            return Ended()
        generation = _generation(store, table, built, touched)
        generations.put_candidate(store, generation)
        with store.locked(LIVE):
            if generations.live(store) is not None:
                generations.publish(store, generation)
                tell(f"{generation.id} is live")
        hot_load()
        ended = erasing.end_generations(store, generation.id)
        held = erasing.wait_for_readers(store, generation.id, deadline_s, tell)
        erasing.delete_versions(store, INDEX)
        is_live = generations.live(store) is not None
    return Ended(generation.id if is_live else "", ended, held)


def _built(
    store: LakeStore, stage: LakeStage, table: Table, readers: Readers, tell: Tell
) -> Generation | None:
    """The candidate, built again from what the partitions hold now."""
    before = generations.candidate(store)
    if before is None:
        return None
    dimension = int(table.schema.field("vector").type.list_size)
    try:
        report = build_index(
            store,
            stage,
            dimension=dimension,
            models=before.models,
            run_id=RUN_ID,
            readers=readers,
        )
    except LakeError as error:  # such as vectors of another embedder; the next refresh says so, too
        tell(f"the index keeps its other rows as they are: {error}")
        return before
    return report.generation


def _delete(table: Table, is_named: Named) -> set[str]:
    """Delete rows and names that the build left, of partitions that wait; these partitions."""
    named: dict[str, set[str]] = {}
    columns = [name for name in ("uri", *NAMES, *NEWER) if name in table.schema.names]
    for batch in batches(table, columns=["partition", *columns], batch_size=BATCH_ROWS):
        for row in batch.to_pylist():
            for uri in filter(is_named, _uris(row, columns)):
                named.setdefault(uri, set()).add(row["partition"])
    for uri in named:
        one = quoted([uri])
        table.delete(f"uri = {one}")
        for column in (name for name in NAMES if name in columns):
            without = {column: f"array_remove_all({column}, {one})"}
            table.update(where=f"array_has({column}, {one})", values_sql=without)
        if NEWER.keys() <= set(columns):
            table.update(where=f"superseded_by = {one}", values=NEWER)
    return {partition for of in named.values() for partition in of}


def _uris(row: Mapping[str, Any], columns: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for column in columns:
        value = row[column]
        found |= {value} if isinstance(value, str) else set(value or ())
    return found - {""}


def _generation(
    store: LakeStore, table: Table, built: Generation, touched: Iterable[str]
) -> Generation:
    """A manifest for what the table holds now; what was touched is compared by the next build."""
    inputs = {**built.inputs, **{name: figures(standing_rows(table, name)) for name in touched}}
    version = data_version((name, of["rows"]) for name, of in inputs.items() if _n(of, "chunks"))
    return replace(
        built,
        id=generations.next_id(store, version),
        created_at=generations.now_iso(),
        index_version=int(table.version),
        data_version=version,
        counts={name: sum(_n(of, name) for of in inputs.values()) for name in built.counts},
        inputs=inputs,
        run_id=RUN_ID,
        evaluation={},
    )


def _n(figures_of: Mapping[str, str], counted: str) -> int:
    return int(figures_of.get(f"n_{counted}", "0"))
