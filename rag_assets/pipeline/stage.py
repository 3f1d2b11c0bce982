"""A stage as a value: what it is called, what it reads and writes, and what computes its rows.

Assets, plans, the index, upkeep and tests derive from such values; ``stages.py`` lists them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pyarrow as pa

from rag_assets.errors import RagError
from rag_assets.lake import delta
from rag_assets.lake.delta import Cache, Progress, Report, Scope, StageTable, upstream_hashes
from rag_assets.lake.figures import Finding, Outcome, Value
from rag_assets.lake.identity import value_hash
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline.plan import DELTA
from rag_assets.pipeline.run import ModelFacts, Run
from rag_assets.sources.declaration import Source


class StageError(RagError):
    """Stages do not make a list that can be run; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs of one partition that are to be computed together.

    Attributes:
        source: that the partition belongs to.
        partition: its key.
        ids: of the inputs.
        fingerprint: of the stage; part of the keys of what it caches.
        version: of the stage's code.
    """

    source: Source
    partition: str
    ids: Sequence[str]
    fingerprint: str
    version: str


Compute = Callable[[Run, Batch], Mapping[str, pa.Table]]
Check = Callable[[Run, Sequence[str]], Finding]  # run, partitions; its name is the check's
Summary = Callable[[Run, Sequence[str]], Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stage cost where it was measured: a plan's first rate, until a refresh has its own.

    Attributes:
        units: inputs (of a stage over the corpus: rows that moved).
        seconds: that these took.
        rows_per_input: rows that an input gives.
        tokens_in, tokens_out: of a model, for all units.
        where: machine and date.
    """

    units: float = 1
    seconds: float = 0.0
    rows_per_input: float = 1.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    where: str = "not measured"

    def expected(self, units: float) -> float:
        """Seconds that so many units take."""
        return units * self.seconds / self.units


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage.

    A stage over partitions has ``compute``; its rows are kept up to date by ``lake.delta``: only
    inputs that are new or changed are computed. A stage over the corpus has ``whole``.

    Attributes:
        name: of the stage, its main table, its asset and its room.
        description: a sentence for Dagster's UI.
        upstream: stages whose rows it takes; the rows of the first one are its inputs.
        version: of its code; raise it when the same input gives other rows.
        tables: its tables, the main one last. An input's rows are in exactly one of them.
        group: of its assets in Dagster's UI.
        kinds: badges there.
        counts: its inputs, in a line of progress: "files read".
        schema: of the main table, where it depends on the models.
        parts: what else the fingerprint is made of, by the name that a plan shows: of the models
            and of the source. When one differs, its rows are computed anew.
        is_hashed: whether the fingerprint is a hash of the parts instead of their text.
        compute: gives the rows of inputs, by table; each carries ``input_id`` and ``input_hash``.
        inputs: gives input id -> hash; None: the rows of the first upstream.
        recorded: the same as the lake holds it now, without looking for anything.
        retry: gives inputs to compute even if they did not change.
        wanted: whether a source is to have rows of it.
        may_be_missing: whether a partition may have no rows of it though its upstream has.
        batch: inputs a commit; bounds memory and what a kill can undo.
        size_of: gives the bytes of inputs, where a batch of them may be too much at once.
        one_row_an_input: whether an input always gives one row, under the input's own id.
        asks: role of the model that it asks.
        cache: where it keeps what the model made.
        whole: computes a stage over the corpus.
        is_current: whether ``whole`` would find nothing changed.
        checks: each proves one property of the rows; a check that fails stops the run.
        summaries: figures for the UI, by table.
        cost: a first rate.
    """

    name: str
    description: str
    version: str
    upstream: tuple["Stage", ...] = ()
    tables: tuple[StageTable, ...] = ()
    group: str = "corpus"
    kinds: frozenset[str] = frozenset({"lancedb"})
    counts: str = "inputs"
    schema: Callable[[ModelFacts], pa.Schema] | None = None
    parts: Callable[[ModelFacts, Source | None], Mapping[str, Any]] = lambda _facts, _source: {}
    is_hashed: bool = False
    compute: Compute | None = None
    inputs: Callable[[Run, "Stage", str], Mapping[str, str]] | None = None
    recorded: Callable[[LakeStore, str], Mapping[str, str]] | None = None
    retry: Callable[[Run, str], Set[str]] | None = None
    wanted: Callable[[Source], bool] = lambda _source: True
    may_be_missing: bool = False
    batch: int = 256
    size_of: Callable[[LakeStore, str, Sequence[str]], Mapping[str, int]] | None = None
    one_row_an_input: bool = False
    asks: Literal["embedder", "slm"] | None = None
    cache: Cache | None = None
    whole: Callable[[Run, "Stage", Progress], Outcome] | None = None
    is_current: Callable[[LakeStore, "Stage", ModelFacts], bool] | None = None
    checks: tuple[Check, ...] = ()
    summaries: Mapping[str, Summary] = field(default_factory=dict)
    cost: Cost = Cost()

    @property
    def scope(self) -> Scope:
        """Whether it works on one partition at a time or on the corpus at once."""
        return "corpus" if self.compute is None else "partition"

    @property
    def main(self) -> StageTable:
        """The table that the next stage reads."""
        return self.tables[-1]

    def fingerprint(self, facts: ModelFacts, source: Source | None = None) -> str:
        """Of code, configuration and models; a row with another one is computed anew.

        Args:
            facts: of the models.
            source: that the rows are of; None stands for one that configures nothing.

        Raises:
            StageError: ``parts`` gives what no fingerprint can be made of.
        """
        parts = self.parts(facts, source)
        try:
            made_of = [self.name, self.version, *parts.values()]
            return value_hash(made_of) if self.is_hashed else "/".join(made_of)
        except (AttributeError, TypeError) as error:
            raise StageError(
                f"stage {self.name}: expected `parts` to give a text by name, got {parts!r}; write "
                "str() around what is none"
            ) from error

    def tables_for(self, facts: ModelFacts) -> list[StageTable]:
        """Its tables with the schemas that these models give."""
        if self.schema is None:
            return list(self.tables)
        return [*self.tables[:-1], replace(self.main, schema=self.schema(facts))]

    def recorded_inputs(self, store: LakeStore, partition: str) -> Mapping[str, str]:
        """Input id -> hash, as the lake holds them now."""
        if self.recorded is not None:
            return self.recorded(store, partition)
        return upstream_hashes(store, self.upstream[0].main, partition)


def checked(stages: Sequence[Stage]) -> Sequence[Stage]:
    """The stages, if they can be run in this order.

    Raises:
        StageError: one is no stage or has nothing to compute with, two have one name, table or
            check, or one takes rows of a stage that does not stand before it.
    """
    names, owner = set[str](), dict[str, str]()
    for stage in stages:
        if wrong := _wrong(stage):
            raise StageError(wrong)
        if stage.name in names:
            raise StageError(f"two stages are called {stage.name}; give one another name")
        # A stage over the corpus has an asset of its own name instead of tables.
        for table in [one.name for one in stage.tables] or [stage.name]:
            if table in owner:
                raise StageError(
                    f"stages {owner[table]} and {stage.name} both write the table {table}; give "
                    "one of the tables another name"
                )
            owner[table] = stage.name
        for one in stage.upstream:
            if one.name not in names:
                raise StageError(
                    f"stage {stage.name} takes rows of {one.name}, which is not among the stages "
                    f"before it ({', '.join(sorted(names)) or 'none'}); add it, or move it there"
                )
        names.add(stage.name)
    return stages


def _wrong(stage: Stage) -> str:
    """What keeps this stage from being run, whatever others there are; "" if nothing."""
    if not isinstance(stage, Stage):
        return f"expected stages, got {stage!r}; pass rag_assets.Stage objects"
    for field_name in ("name", "version"):
        value = getattr(stage, field_name)
        if not isinstance(value, str) or not value:
            return f"stage {stage.name!r}: expected a text as `{field_name}`, got {value!r}"
    for field_name, kind in (("upstream", Stage), ("tables", StageTable)):
        given = getattr(stage, field_name)
        if not isinstance(given, Sequence) or not all(isinstance(one, kind) for one in given):
            return (
                f"stage {stage.name}: expected a tuple of {kind.__name__} objects as "
                f"`{field_name}`, got {given!r:.200}"
            )
    if (stage.compute is None) == (stage.whole is None):
        has = "neither `compute` nor" if stage.compute is None else "both `compute` and"
        return f"stage {stage.name} has {has} `whole`; give it one of them"
    if stage.compute is not None and not stage.tables:
        return f"stage {stage.name} has `compute` and no table; name one in `tables`"
    if stage.compute is not None and not stage.upstream and stage.inputs is None:
        return f"stage {stage.name} has neither `upstream` nor `inputs`; give it one of them"
    checks = [check.__name__ for check in stage.checks]
    if twice := [name for name in checks if checks.count(name) > 1]:
        return f"stage {stage.name} has two checks called {twice[0]}; give one another name"
    return ""


def counted(reports: Iterable[Report]) -> dict[str, int]:
    """What stages did with their inputs, and how many rows they wrote, summed."""
    counts = dict.fromkeys((*DELTA, "unchanged", "rows_written"), 0)
    for report in reports:
        for name in DELTA:
            counts[name] += len(getattr(report.delta, name))
        counts["unchanged"] += report.delta.unchanged
        counts["rows_written"] += report.n_written
    return counts


def changed(stages: Sequence[Stage], name: str, **fields: Any) -> tuple[Stage, ...]:  # noqa: ANN401
    """The stages with other fields of one of them, which is upstream of the same ones as before.

    Args:
        stages: in the order in which data flows.
        name: of the stage that is changed.
        fields: of it, for example another ``compute``.

    Raises:
        StageError: no stage has this name.
    """
    if name not in {stage.name for stage in stages}:
        known = ", ".join(stage.name for stage in stages)
        raise StageError(f"expected one of the stages {known}; got {name!r}")
    made: dict[str, Stage] = {}
    for stage in stages:
        upstream = tuple(made.get(one.name, one) for one in stage.upstream)
        own = fields if stage.name == name else {}
        made[stage.name] = replace(stage, **{"upstream": upstream, **own})
    return tuple(made.values())


def refresh_stage(
    run: Run, stage: Stage, partition: str, progress: Progress | None = None
) -> Report:
    """Bring one partition of a stage up to date.

    Args:
        run: what it works with.
        stage: one that works on partitions.
        partition: its key.
        progress: called with (inputs done, inputs to do).

    Raises:
        StageError: ``compute`` gave something else than the rows of the stage's tables.
        LakeError: the stage lost an input, repeated a key, or put an input into two tables.
        SourceError: the partition belongs to no source, or its source cannot be listed.
    """
    source, retry, size_of = run.source_of(partition), stage.retry, stage.size_of
    fingerprint = stage.fingerprint(run.facts, source)
    tables = stage.tables_for(run.facts)

    def upstream() -> Mapping[str, str]:
        if not stage.wanted(source):
            return {}
        if stage.inputs is not None:
            return stage.inputs(run, stage, partition)
        return stage.recorded_inputs(run.store, partition)

    return delta.refresh(
        run.store,
        tables,
        partition,
        upstream=upstream,
        compute=lambda ids: _rows_of(
            stage, run, tables, Batch(source, partition, ids, fingerprint, stage.version)
        ),
        fingerprint=fingerprint,
        run_id=run.run_id,
        batch_inputs=stage.batch,
        size_of=None if size_of is None else lambda ids: size_of(run.store, partition, ids),
        progress=progress,
        retry=frozenset if retry is None else lambda: retry(run, partition),
    )


def _rows_of(
    stage: Stage, run: Run, tables: Sequence[StageTable], batch: Batch
) -> Mapping[str, pa.Table]:
    """What ``compute`` gives, if it is what the lake takes."""
    if stage.compute is None:
        raise StageError(f"stage {stage.name} works on the corpus at once; call its `whole`")
    made = stage.compute(run, batch)
    columns = {t.name: {*t.content, *t.unhashed, "input_id", "input_hash"} for t in tables}
    if not isinstance(made, Mapping) or not made.keys() <= columns.keys():
        got = list(made) if isinstance(made, Mapping) else type(made).__name__
        raise StageError(
            f"`compute` of stage {stage.name} gave {got}; expected a mapping from its tables "
            f"({', '.join(columns)}) to rows, each a pyarrow.Table"
        )
    for name, rows in made.items():
        has = set(rows.column_names) if isinstance(rows, pa.Table) else set()
        if lacking := columns[name] - has:
            raise StageError(
                f"`compute` of stage {stage.name} gave {type(rows).__name__} as {name}; expected "
                f"a pyarrow.Table that also has the columns {', '.join(sorted(lacking))}"
            )
    return made
