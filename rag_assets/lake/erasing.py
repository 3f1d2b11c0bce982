"""Erasing: what nobody may find any more, neither by a question nor by reading the lake's files.

To delete rows is not enough. Lance keeps the versions before, and a deleted row stays in its data
file until that file is rewritten; words of it stay in the files of text indexes. So rows are
deleted first, and then the table is **scrubbed**: all its rows are written anew, and every file and
version before is deleted.

Rows are found by their lineage: from the files of a source to the documents, sections, chunks and
vectors that were made of them. They are deleted in the other direction, so that an erasure that was
cut off finds what is left when it is run again. Raw bytes are named by the versions of
``source_files``, so that table is scrubbed last.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta

from lancedb.table import Table

from rag_assets.lake import generations, sweeping
from rag_assets.lake import leases as readers
from rag_assets.lake.delta import LakeStage
from rag_assets.lake.generations import INDEX
from rag_assets.lake.store import ASIDE, GLOBAL, LakeStore, quoted, scan
from rag_assets.lake.sweeping import RAW, RAW_HASH
from rag_assets.progress import Tell

Named = Callable[[str], bool]  # whether a uri is of what is erased
FOR_EVER = timedelta(days=36_500)
AT_ONCE = timedelta(milliseconds=1)  # LanceDB warns of 0
# Half a file of a writer that was killed; one that is written now is younger.
ABANDONED = timedelta(minutes=10)
IDS_AT_ONCE = 1000
POLL_S = 1.0


def rows_of(
    store: LakeStore, stages: Sequence[LakeStage], partition: str, is_named: Named
) -> dict[str, list[str]]:
    """Stage -> ids of the inputs, in a partition, that follow from files with these names."""
    inputs: dict[str, list[str]] = {}
    for stage in stages:
        if stage.scope != "partition":
            continue
        wanted = None if not stage.upstream else _keys(store, stage.upstream[0], partition, inputs)
        rows = [
            row["input_id"]
            for table in stage.tables
            for row in store.rows(table.name, partition, columns=["input_id"])
        ]
        inputs[stage.name] = sorted(
            {one for one in rows if (is_named(one) if wanted is None else one in wanted)}
        )
    return inputs


def _keys(
    store: LakeStore, stage: LakeStage, partition: str, inputs: Mapping[str, Sequence[str]]
) -> Set[str]:
    """Ids of a stage's rows that follow from its inputs that go."""
    table, gone = stage.tables[-1], set(inputs.get(stage.name, ()))
    rows = store.rows(table.name, partition, columns=[table.key, "input_id"])
    return {row[table.key] for row in rows if row["input_id"] in gone}


def delete_rows(
    store: LakeStore, stages: Sequence[LakeStage], partition: str, is_named: Named
) -> int:
    """Delete what was made of files with these names in a partition; how many rows there were.

    Each stage's turn is waited for, so no run brings back what it had read before.
    """
    n_deleted = 0
    inputs = rows_of(store, stages, partition, is_named)
    for stage in reversed([stage for stage in stages if stage.name in inputs]):
        with store.locked(f"{stage.tables[-1].name}.{partition}"):
            for table in stage.tables:
                n_deleted += _delete(store.table(table.name, partition), inputs[stage.name])
    return n_deleted


def _delete(table: Table | None, ids: Sequence[str]) -> int:
    n_deleted = 0
    for start in range(0, len(ids), IDS_AT_ONCE):
        where = f"input_id IN ({quoted(ids[start : start + IDS_AT_ONCE])})"
        n_rows = 0 if table is None else int(table.count_rows(where))
        if table is not None and n_rows:
            table.delete(where)
        n_deleted += n_rows
    return n_deleted


def scrub(store: LakeStore, name: str, partition: str = GLOBAL) -> None:
    """Write a table's rows anew, and delete every file and version before."""
    table = store.table(name, partition)
    if table is not None:
        rewrite(table)
        delete_versions(store, name, partition)


def rewrite(table: Table) -> None:
    """Write all rows into files of their own, in one commit.

    Search indexes go: to write them anew, as LanceDB would here, takes more memory than to make
    them, see ``search_indexes``.
    """
    for index in table.list_indices():
        table.drop_index(index.name)
    first = table.schema.names[0]
    if table.count_rows():
        table.update(values_sql={first: f"`{first}`"})  # appends meanwhile stay, as nothing else
    table.optimize(cleanup_older_than=FOR_EVER)


def delete_versions(store: LakeStore, name: str, partition: str = GLOBAL) -> None:
    """Delete all versions of a table but the newest, and what killed writers left beside them."""
    table = store.table(name, partition)
    if table is None:
        return
    table.optimize(cleanup_older_than=AT_ONCE)
    folder = f"tables/{name}/{partition}.lance"
    indexes = [f"{folder}/_indices/{index}" for index in store.folders(f"{folder}/_indices")]
    # Lance keeps files that no version names for a week, as a writer may be about to name them.
    # The rows were written a moment ago: whatever is much older is no writer's.
    for place in (f"{folder}/data", f"{folder}/_deletions", *indexes):
        _remove_abandoned(store, place, is_named=lambda _: True)


def remove_parts(store: LakeStore) -> None:
    """Delete the halves of files that writers of records and raw bytes left when they died."""
    for root in ("records", RAW):
        for place in _folders(store, root):
            _remove_abandoned(store, place, is_named=lambda name: name.startswith("."))


def _folders(store: LakeStore, root: str) -> Iterator[str]:
    yield root
    for name in store.folders(root):
        yield from _folders(store, f"{root}/{name}")


def _remove_abandoned(store: LakeStore, place: str, is_named: Named) -> None:
    for file in store.files(place):
        is_old = datetime.now(UTC) - file.mtime > ABANDONED
        if is_old and is_named(file.base_name):
            store.remove(f"{place}/{file.base_name}")


def drop(store: LakeStore, stages: Sequence[LakeStage], partition: str) -> None:
    """Remove a partition's tables, whatever is in their folders; the first stage's last."""
    for stage in reversed(stages):
        for table in stage.tables if stage.scope == "partition" else ():
            store.drop(table.name, partition)


def erase_bytes(
    store: LakeStore, stages: Sequence[LakeStage], partitions: Sequence[str], is_named: Named
) -> int:
    """Delete the raw bytes of files with these names, also of what they held before.

    Bytes that another row refers to stay: another document has the same. Returns how many went.
    """
    first = next(stage for stage in stages if not stage.upstream).tables[-1]
    digests = {
        row[RAW_HASH]
        for partition in partitions
        for stood in _versions(store.table(first.name, partition))
        for row in scan(stood, columns=["input_id", RAW_HASH]).to_pylist()
        if row[RAW_HASH] and is_named(row["input_id"])
    }
    referring = [t.name for stage in stages for t in stage.tables if RAW_HASH in t.schema.names]
    shared = {
        row[RAW_HASH]
        for name in referring
        for partition in store.partitions(name)
        for row in store.rows(name, partition, columns=[RAW_HASH])
    }
    for digest in digests - shared:
        for ending in ("", ASIDE):
            store.remove(f"{RAW}/{digest[:2]}/{digest}{ending}")
    return len(digests - shared)


def _versions(table: Table | None) -> Iterator[Table]:
    """A table as each of its versions has it."""
    for version in [] if table is None else table.list_versions():
        assert table is not None
        table.checkout(version["version"])
        yield table


def erase_cached(store: LakeStore, stages: Sequence[LakeStage]) -> int:
    """Take out of caches what no row refers to, and scrub them; how many values there were.

    A cache that does not say what its values were made of is emptied. The rows that were made with
    it stay.
    """
    n_gone = 0
    for stage in stages:
        if stage.cache is None:
            continue
        table = store.table(stage.cache.name)
        if stage.cache.column is None and table is not None:
            n_gone += int(table.count_rows())
            table.delete("true")
        n_gone += sweeping.sweep_cache(
            store, stage, now=datetime.now(UTC), until=float("inf"), keep_for=timedelta(0)
        )
        scrub(store, stage.cache.name)
    return n_gone


def end_generations(store: LakeStore, but: str) -> list[str]:
    """Take manifests and tags from all generations but one; nobody can open or roll back to them.

    Hold the lock ``INDEX``. Returns their ids.
    """
    with store.locked(generations.LIVE):
        ended = [one for one in generations.generation_ids(store) if one != but]
        for generation_id in ended:
            store.remove(f"records/{generations.FOLDER}/{generation_id}.json")
        table = store.table(INDEX)
        for tag in {} if table is None else table.tags.list():
            if table is not None and tag != but:
                table.tags.delete(tag)
    return ended


def wait_for_readers(
    store: LakeStore, but: str, deadline_s: float, tell: Tell, poll_s: float = POLL_S
) -> dict[str, str]:
    """Wait until nobody has leased another generation; those that still do at the deadline."""
    until, told = time.monotonic() + deadline_s, ""
    while True:
        held = readers.leased(store, datetime.now(UTC))
        held = {generation: who for generation, who in held.items() if generation != but}
        if not held or time.monotonic() >= until:
            return held
        said = ", ".join(f"{generation} ({who})" for generation, who in held.items())
        if said != told:
            tell(f"waiting at most {deadline_s:.0f} s for the readers of {said}")
            told = said
        time.sleep(poll_s)
