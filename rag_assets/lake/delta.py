"""The one incremental mechanism: compute what is new or changed, delete what is gone.

Every stage is a function from input rows to output rows. Each output row stores the hash of its
input and the stage's fingerprint (code version, configuration that matters, model). Comparing the
upstream's (id, hash) pairs with the stored ones tells what to do. Each batch of inputs is replaced
in **one** Lance commit (``merge_insert`` with a delete clause). A reader, and a run that starts
after a kill, finds a batch wholly old or wholly new; the next run computes what is not yet new.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Literal, Protocol

import pyarrow as pa
from lancedb.table import Table

from rag_assets.lake.identity import data_version, value_hash
from rag_assets.lake.schemas import LINEAGE_NAMES
from rag_assets.lake.store import LakeError, LakeStore, quoted, scan

# Of inputs that are computed together: what is made of them is in memory until it is committed.
BATCH_BYTES = 100_000_000

Compute = Callable[[Sequence[str]], Mapping[str, pa.Table]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class StageTable:
    """A table of a stage: where it is stored and what makes a row of it itself.

    Attributes:
        name: table name, also the asset's.
        schema: Arrow schema; ends with the lineage columns.
        key: column that identifies a row; unique within a partition.
        unhashed: content columns left out of ``row_hash`` because others determine them (vectors)
            or because they say nothing about content (a file's mtime).
        passes: column with the hash of what the next stage reads of a row.
        description: a sentence for Dagster's UI, where it is not the stage's own.
    """

    name: str
    schema: pa.Schema
    key: str
    unhashed: frozenset[str] = frozenset()
    passes: str = "row_hash"
    description: str = ""

    @property
    def content(self) -> list[str]:
        """Names of the columns that ``row_hash`` covers."""
        skipped = LINEAGE_NAMES | self.unhashed
        return [name for name in self.schema.names if name not in skipped]


Scope = Literal["partition", "corpus"]


@dataclass(frozen=True, slots=True)
class Cache:
    """Where a stage keeps what a model made, so that it is never asked twice for the same."""

    name: str  # of the table
    # Of the stage's main table; with the fingerprint it makes the key of a cached value. None:
    # upkeep takes nothing out of this cache.
    column: str | None = None


class LakeStage(Protocol):
    """What the lake and the index ask of a stage; ``pipeline.stage.Stage`` is one."""

    @property
    def name(self) -> str:
        """Of the stage and of its main table."""

    @property
    def scope(self) -> Scope:
        """Whether it works on one partition at a time or on all of them at once."""

    @property
    def version(self) -> str:
        """Of its code."""

    @property
    def upstream(self) -> Sequence["LakeStage"]:
        """Stages whose rows it takes."""

    @property
    def tables(self) -> Sequence[StageTable]:
        """Its tables, the main one last."""

    @property
    def may_be_missing(self) -> bool:
        """Whether a partition may have no rows of it though its upstream has."""

    @property
    def cache(self) -> Cache | None:
        """Where it keeps what a model made."""

    def recorded_inputs(self, store: LakeStore, partition: str) -> Mapping[str, str]:
        """Input id -> hash, as the lake holds them now."""


def before(stage: LakeStage) -> list[LakeStage]:
    """The partitioned stages that a stage's rows follow from, in the order in which data flows."""
    found: dict[str, LakeStage] = {}
    for one in stage.upstream:
        found |= {earlier.name: earlier for earlier in before(one)}
        if one.scope == "partition":
            found[one.name] = one
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Delta:
    """What differs between an upstream and what a stage has stored of it; ids sorted."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    unchanged: int

    @property
    def to_compute(self) -> tuple[str, ...]:
        """Inputs to compute, new ones and changed ones."""
        return tuple(sorted(self.new + self.changed))


@dataclass(frozen=True, slots=True)
class Report:
    """What a refresh of one partition did."""

    delta: Delta
    n_rows: Mapping[str, int]  # rows after the refresh, by table
    n_computed: int  # inputs handed to the stage's code
    n_written: int  # rows inserted or replaced
    n_deleted: int  # rows that went, with their inputs or because an input has fewer now
    data_version: str
    lance_versions: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_noop(self) -> bool:
        """True when nothing had to be done."""
        return not (self.delta.new or self.delta.changed or self.delta.gone)


def diff(
    upstream: Mapping[str, str], stored: Mapping[str, tuple[str, str]], fingerprint: str
) -> Delta:
    """Compare an upstream with what is stored.

    Args:
        upstream: input id -> hash of the input's content now.
        stored: input id -> (hash of the input, fingerprint) that the stored rows came from.
        fingerprint: of the stage as it is now.
    """
    new, changed = [], []
    for key, digest in upstream.items():
        if key not in stored:
            new.append(key)
        elif stored[key] != (digest, fingerprint):
            changed.append(key)
    gone = sorted(stored.keys() - upstream.keys())
    unchanged = len(upstream) - len(new) - len(changed)
    return Delta(tuple(sorted(new)), tuple(sorted(changed)), tuple(gone), unchanged)


def upstream_hashes(store: LakeStore, stage: StageTable, partition: str) -> dict[str, str]:
    """(key -> hash) of a stage's rows: what the next stage takes as its upstream."""
    rows = store.rows(stage.name, partition, columns=[stage.key, stage.passes])
    return {row[stage.key]: row[stage.passes] for row in rows}


def refresh(
    store: LakeStore,
    tables: Sequence[StageTable],
    partition: str,
    *,
    upstream: Callable[[], Mapping[str, str]],
    compute: Compute,
    fingerprint: str,
    run_id: str,
    batch_inputs: int = 256,
    size_of: Callable[[Sequence[str]], Mapping[str, int]] | None = None,
    progress: Progress | None = None,
    retry: Callable[[], Set[str]] = frozenset,
) -> Report:
    """Bring one partition of a stage up to date with its upstream.

    Args:
        store: the lake.
        tables: the stage's tables, the main one last. An input's rows are in exactly one of them.
        partition: partition key.
        upstream: gives input id -> content hash, all inputs that exist now; asked when this
            run's turn has come, so that one that waited does not bring back what was.
        compute: called with at most ``batch_inputs`` ids; returns rows by table name, as
            ``stage_rows`` makes them. Every input that still exists yields a row, and each row
            has the ``input_hash`` of what was read for it: another run may have written since
            ``upstream`` was asked, even twice, so that it stands as listed again.
        fingerprint: of the stage's code, configuration and model.
        run_id: of the Dagster run, kept with each row.
        batch_inputs: inputs a commit; bounds memory and what a kill can undo.
        size_of: gives the bytes of inputs; a commit has at most ``BATCH_BYTES`` of them, or one
            input. None: they are all small.
        progress: called with (inputs done, inputs to do).
        retry: gives inputs to compute even if they are unchanged; asked after ``upstream``.

    Raises:
        LakeError: ``compute`` lost an input, repeated a key, or put an input into two tables.
    """
    # Two runs of one partition (a sensor's and a person's, say) would both find a row missing and
    # both insert it: Lance does not let the second one's merge see the first one's rows.
    with store.locked(f"{tables[-1].name}.{partition}"):
        listed = upstream()  # before a table is made: an upstream that is refused leaves none
        opened = {
            t.name: store.open_or_create(
                t.name,
                partition,
                t.schema,
                partial(_is_superseded, table=t, fingerprint=fingerprint),
            )
            for t in tables
        }
        columns = ["input_id", "input_hash", "fingerprint"]
        stored = origins(
            row for one in opened.values() for row in scan(one, columns=columns).to_pylist()
        )
        again = {key: ("", "") for key in retry() if key in stored}
        delta = diff(listed, stored | again, fingerprint)
        todo, n_written, n_deleted, n_done = delta.to_compute, 0, 0, 0
        for ids in _bounded(_batched(todo, batch_inputs), size_of):
            made = compute(ids)
            lost = _lost(tables, ids, made)
            # Another run of this partition may have deleted inputs since they were listed here.
            if lost and not lost.isdisjoint(upstream()):
                raise LakeError(
                    f"{tables[-1].name} made no row for {len(lost)} of {len(ids)} inputs, the "
                    f"first is {min(lost)!r}; every input must yield a row or a rejected one"
                )
            for table in tables:
                rows = _with_lineage(table, made.get(table.name), fingerprint, run_id)
                n_deleted += _replace(opened[table.name], table, ids, rows)
                n_written += rows.num_rows
            n_done += len(ids)
            if progress is not None:
                progress(n_done, len(todo))
        for ids in _batched(delta.gone, 1000):
            for table in tables:
                n_deleted += _delete(opened[table.name], f"input_id IN ({quoted(ids)})")
        counts = (len(todo), n_written, n_deleted)
        return _report(opened, tables, partition, delta, counts)


def _batched(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _bounded(
    batches: Iterable[Sequence[str]],
    size_of: Callable[[Sequence[str]], Mapping[str, int]] | None,
) -> Iterator[Sequence[str]]:
    """The batches, each parted into as many as its bytes ask for."""
    for ids in batches:
        sizes = {} if size_of is None else size_of(ids)
        part: list[str] = []
        n_bytes = 0
        for key in ids:
            size = sizes.get(key, 0)
            if part and n_bytes + size > BATCH_BYTES:
                yield part
                part, n_bytes = [], 0
            part.append(key)
            n_bytes += size
        yield part


def _is_superseded(stored: Table, table: StageTable, fingerprint: str) -> bool:
    """Whether the table has columns that cannot be added to, as vectors of another length are.

    Every row of such a table is computed anew anyway, because its fingerprint is another one.
    """
    is_there = {(field.name, field.type) for field in stored.schema}
    wanted = {(field.name, field.type) for field in table.schema}
    addable = {(field.name, field.type) for field in table.schema if field.nullable}
    if is_there <= wanted and wanted - is_there <= addable:
        return False
    return not stored.count_rows(f"fingerprint = {quoted([fingerprint])}")


def origins(rows: Iterable[Mapping[str, str]]) -> dict[str, tuple[str, str]]:
    """Input id -> (hash of the input, fingerprint) that a stage's stored rows came from."""
    stored: dict[str, tuple[str, str]] = {}
    for row in rows:
        made_from = (row["input_hash"], row["fingerprint"])
        # An input with rows of two origins was caught between two commits: compute it again.
        known = stored.setdefault(row["input_id"], made_from)
        if known != made_from:
            stored[row["input_id"]] = ("", "")
    return stored


def _lost(
    tables: Sequence[StageTable], ids: Sequence[str], made: Mapping[str, pa.Table]
) -> set[str]:
    """Inputs without a row; raises if a row or an input occurs twice."""
    seen: dict[str, str] = {}
    for table in tables:
        rows = made.get(table.name)
        if rows is None:
            continue
        keys = rows[table.key].to_pylist()
        if len(set(keys)) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise LakeError(
                f"expected unique {table.key} in {table.name}, got {twice!r} more than once; "
                "merging would keep an arbitrary one of the rows"
            )
        for input_id in set(rows["input_id"].to_pylist()):
            if input_id in seen:
                raise LakeError(
                    f"input {input_id!r} has rows in {seen[input_id]} and in {table.name}; "
                    "expected one or the other"
                )
            seen[input_id] = table.name
    return set(ids) - seen.keys()


def _with_lineage(
    table: StageTable, rows: pa.Table | None, fingerprint: str, run_id: str
) -> pa.Table:
    if rows is None:
        return table.schema.empty_table()
    hashes = [
        value_hash({name: _plain(value) for name, value in row.items()})
        for row in rows.select(table.content).to_pylist()
    ]
    lineage = {
        "fingerprint": pa.array([fingerprint] * len(hashes), pa.string()),
        "row_hash": pa.array(hashes, pa.string()),
        "run_id": pa.array([run_id] * len(hashes), pa.string()),
    }
    columns = [lineage[name] if name in lineage else rows[name] for name in table.schema.names]
    return pa.table(columns, schema=table.schema)


def _plain(value: object) -> object:
    """JSON has no form for timestamps; their ISO form is exact to the microsecond."""
    return value.isoformat() if isinstance(value, datetime) else value


def _replace(opened: Table, table: StageTable, ids: Sequence[str], rows: pa.Table) -> int:
    """Replace all rows of these inputs by ``rows``, in one commit; how many went unreplaced."""
    stale = f"input_id IN ({quoted(ids)})"
    if rows.num_rows == 0:
        return _delete(opened, stale)
    merged = (
        opened.merge_insert(table.key)
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .when_not_matched_by_source_delete(stale)
        .execute(rows)
    )
    return int(merged.num_deleted_rows)


def _delete(opened: Table, where: str) -> int:
    """Delete these rows; how many there were. Lance would commit even if there are none."""
    n_rows = int(opened.count_rows(where))
    if n_rows:
        opened.delete(where)
    return n_rows


def _report(
    opened: Mapping[str, Table],
    tables: Sequence[StageTable],
    partition: str,
    delta: Delta,
    counts: tuple[int, int, int],
) -> Report:
    n_rows, versions, content = {}, {}, []
    for table in tables:
        rows = scan(opened[table.name], columns=[table.key, "row_hash"]).to_pylist()
        if len({row[table.key] for row in rows}) != len(rows):
            raise LakeError(
                f"{table.name}/{partition} holds rows with the same {table.key}, which no refresh "
                "leaves behind; remove the partition's tables and refresh again"
            )
        n_rows[table.name] = len(rows)
        versions[table.name] = int(opened[table.name].version)
        content += [(f"{table.name}/{row[table.key]}", row["row_hash"]) for row in rows]
    return Report(delta, n_rows, *counts, data_version(content), versions)
