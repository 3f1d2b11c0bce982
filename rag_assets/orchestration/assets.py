"""Assets and asset checks, made from the list of stages.

Each stage over partitions is an op of its name, and an asset for each of its tables; each stage
over the corpus is one asset. The first stage takes run config and has a check of its own.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from rag_assets.lake.delta import LakeStage, Progress, Report
from rag_assets.lake.figures import Markdown, Table, Value
from rag_assets.lake.identity import value_hash
from rag_assets.lake.store import LakeStore
from rag_assets.markup import markdown_cell
from rag_assets.orchestration.dagster_private import say_of_partition
from rag_assets.orchestration.partitions import corpus_backfills, corpus_partitions
from rag_assets.pipeline.plan import DELTA
from rag_assets.pipeline.run import Run
from rag_assets.pipeline.stage import Check, Stage, checked, counted, refresh_stage
from rag_assets.pipeline.stages import MAX_NOTICES
from rag_assets.sources.acceptance import NotAcceptedError, take
from rag_assets.sources.catalog import source_name
from rag_assets.sources.declaration import SourceShrunkError

RESOURCES = {"store", "models", "sources"}
HELD = "source_lists_what_it_held"
# A partition's own figures in the events of a run over a range: they add up to those of the run.
SUMMED = frozenset({"dagster/row_count", *DELTA, "unchanged", "rows_written"})
ROWS_SHOWN = 50  # of a table in the UI
CELL_CHARS = 160
SAY_EVERY_S = 10.0  # in the log of a run over a range of partitions

Shown = dg.MetadataValue | int | float | str
FIRST_CONFIG = {
    "accept_deletions": dg.Field(
        str,
        default_value="",
        description="Go on even if a source lists a fifth of what it held, or less: the token that "
        "`rag sources accept NAME` printed.",
    )
}
Results = Iterator[dg.MaterializeResult | dg.AssetCheckResult]


def assets_of(stages: Sequence[Stage]) -> list[dg.AssetsDefinition]:
    """An asset for each table of each stage.

    Raises:
        StageError: they make no list that can be run.
    """
    return [
        _corpus_asset(stage) if stage.scope == "corpus" else _partitioned_asset(stage)
        for stage in checked(stages)
    ]


def checks_of(stages: Iterable[Stage]) -> list[dg.AssetChecksDefinition]:
    """A blocking asset check for each check of each stage."""
    return [_check(stage, check) for stage in stages for check in stage.checks]


def _deps(stage: LakeStage) -> list[dg.AssetKey]:
    """Its upstream, without what another upstream follows from anyway."""
    implied = {one.name for upstream in stage.upstream for one in _before(upstream)}
    return [dg.AssetKey(one.name) for one in stage.upstream if one.name not in implied]


def _before(stage: LakeStage) -> Iterator[LakeStage]:
    for one in stage.upstream:
        yield one
        yield from _before(one)


def _spec(stage: Stage, name: str, description: str = "") -> dg.AssetSpec:
    return dg.AssetSpec(
        name,
        deps=_deps(stage),
        group_name=stage.group,
        kinds=set(stage.kinds),
        code_version=stage.version,
        description=description or stage.description,
    )


def _run(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    partitions: Sequence[str] = (),
    *,
    accept_deletions: bool = False,
) -> Run:
    resources = context.resources
    return Run(
        resources.store.client,
        resources.models.facts,
        resources.models,
        resources.sources.catalog(resources.store.client),
        run_id=context.run.run_id,
        partitions=partitions,
        accept_deletions=accept_deletions,
    )


def _partitioned_asset(stage: Stage) -> dg.AssetsDefinition:
    is_first = not stage.upstream
    held = dg.AssetCheckSpec(
        HELD,
        asset=stage.name,
        blocking=True,
        description="The source lists more than a fifth of what it held, or a person agreed.",
    )

    @dg.multi_asset(
        name=stage.name,
        specs=[_spec(stage, table.name, table.description) for table in stage.tables],
        partitions_def=corpus_partitions,
        backfill_policy=corpus_backfills,
        required_resource_keys=RESOURCES,
        config_schema=FIRST_CONFIG if is_first else None,
        check_specs=[held] if is_first else None,
    )
    def refreshed(context: dg.AssetExecutionContext) -> Results:
        given = list(context.partition_keys)
        token = is_first and context.op_execution_context.op_config["accept_deletions"]
        with _run(context, given, accept_deletions=bool(token)) as run:
            keys = declared_keys(context, run, given)
            try:
                if token:
                    of_run = context.run.root_run_id or context.run.run_id
                    take(run.store, token, map(source_name, keys), of_run)
                reports = refresh_all(context, run, stage, keys)
            except (SourceShrunkError, NotAcceptedError) as error:
                yield dg.AssetCheckResult(check_name=HELD, passed=False, description=str(error))
                raise dg.Failure(f"stopped at the check {HELD}", allow_retries=False) from error
            for table in stage.tables:
                asked = _asked(run, stage) if table is stage.main else {}
                summary = stage.summaries.get(table.name)
                figures = {} if summary is None else _metadata(summary(run, keys))
                yield _result(table.name, reports, {**asked, **figures})
            if is_first:
                for text in run.files.notices[:MAX_NOTICES]:
                    context.log.warning(text)
                yield dg.AssetCheckResult(check_name=HELD, passed=True)

    return refreshed


def _corpus_asset(stage: Stage) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=stage.name, specs=[_spec(stage, stage.name)], required_resource_keys=RESOURCES
    )
    def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        assert stage.whole is not None  # `checked` saw to it
        with _run(context) as run:
            outcome = stage.whole(run, stage, progress_log(context, "partitions"))
        for note in outcome.notes:
            context.log.info(note)
        for warning in outcome.warnings:
            context.log.warning(warning)
        return dg.MaterializeResult(
            metadata=_metadata(outcome.figures),
            data_version=dg.DataVersion(outcome.data_version),
        )

    return made


def _check(stage: Stage, check: Check) -> dg.AssetChecksDefinition:
    name = stage.main.name if stage.tables else stage.name

    @dg.asset_check(
        name=check.__name__,
        asset=dg.AssetKey(name),
        additional_deps=[dg.AssetKey(table.name) for table in stage.tables[:-1]],
        blocking=True,
        description=check.__doc__,
        required_resource_keys=RESOURCES,
    )
    def checked(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        with _run(context) as run:
            found = check(run, partitions_to_check(context, run.store, name))
        return dg.AssetCheckResult(
            passed=found.passed, description=found.description, metadata=dict(found.figures)
        )

    return checked


def partitions_to_check(
    context: dg.AssetCheckExecutionContext, store: LakeStore, table: str
) -> list[str]:
    """The run's own partitions, or all of the table's where the run has none.

    Others may be half-way through a run of their own, and are checked there.
    """
    if context.has_partition_key or context.has_partition_key_range:
        return [str(key) for key in context.partition_keys]
    return store.partitions(table)


def progress_log(context: dg.AssetExecutionContext, what: str) -> Progress:
    """Progress into the run's log: "12 of 45 documents"."""
    return lambda done, total: context.log.info(f"{done} of {total} {what}")


def declared_keys(
    context: dg.AssetExecutionContext, run: Run, partitions: Sequence[str]
) -> list[str]:
    """The partitions of declared sources: the UI lists those of a removed source for a while.

    Raises:
        Failure: there is no other.
    """
    undeclared, keys = run.undeclared(partitions), run.declared(partitions)
    if not keys:
        raise dg.Failure(undeclared, allow_retries=False)
    if undeclared:
        context.log.warning(undeclared)
    return keys


def refresh_all(
    context: dg.AssetExecutionContext, run: Run, stage: Stage, partitions: Sequence[str]
) -> list[Report]:
    """Run a stage over every partition of this step; one run may hold one key or a range.

    Each partition's event says its own rows and delta. Of a range, the log says how far it is: the
    event log takes some 10 ms a line, and a range may hold thousands of partitions.
    """
    reports: list[Report] = []
    said_at = time.monotonic()
    progress = progress_log(context, stage.counts) if len(partitions) == 1 else None
    for partition in partitions:
        report = refresh_stage(run, stage, partition, progress)
        reports.append(report)
        for table in report.n_rows:
            say_of_partition(context, dg.AssetKey(table), partition, _figures([report], table))
        if time.monotonic() - said_at > SAY_EVERY_S:
            context.log.info(
                f"{len(reports)} of {len(partitions)} partitions: {_sentence(counted(reports))}"
            )
            said_at = time.monotonic()
    name = partitions[0] if len(partitions) == 1 else f"{len(partitions)} partitions"
    context.log.info(f"{name}: {_sentence(counted(reports))}")
    return reports


def _sentence(counts: Mapping[str, int]) -> str:
    if not any(counts[name] for name in DELTA):
        return f"nothing changed, {counts['unchanged']} inputs are as they were"
    inputs = ", ".join(f"{counts[name]} {name}" for name in (*DELTA, "unchanged"))
    return f"{inputs}; {counts['rows_written']} rows written"


def _figures(reports: Sequence[Report], table: str) -> dict[str, int | str]:
    counts = counted(reports)
    return {
        "dagster/row_count": sum(report.n_rows[table] for report in reports),
        # Dagster keeps this once a partition: a sentence for each would be their square.
        "summary": _sentence(counts),
        **counts,
        "lance_version": max(report.lance_versions[table] for report in reports),
    }


def _asked(run: Run, stage: Stage) -> dict[str, int | str]:
    """What a stage asked of its model in this run."""
    if stage.asks == "embedder":
        return {
            "model": run.embedder.model_id,
            "dimension": run.embedder.dimension,
            "model_calls": run.embedder.n_texts,
            "prompt_tokens": run.tokens_embedded,
        }
    if stage.asks == "slm":
        return {
            "model": run.slm.model_id,
            "model_calls": run.slm.n_calls,
            "prompt_tokens": run.slm.prompt_tokens,
            "completion_tokens": run.slm.completion_tokens,
        }
    return {}


def _result(
    table: str, reports: Sequence[Report], metadata: Mapping[str, Shown]
) -> dg.MaterializeResult:
    """The materialisation of one table of a stage: rows, delta, and a data version of the content.

    When nothing changed the data version is the one before, and Dagster finds nothing stale.
    """
    versions = [report.data_version for report in reports]
    return dg.MaterializeResult(
        asset_key=dg.AssetKey(table),
        metadata={**_figures(reports, table), **metadata},
        data_version=dg.DataVersion(versions[0] if len(versions) == 1 else value_hash(versions)),
    )


def _metadata(figures: Mapping[str, Value]) -> dict[str, Shown]:
    return {name: _shown(value) for name, value in figures.items()}


def _shown(value: Value) -> Shown:
    if isinstance(value, Table):
        return dg.MetadataValue.md(markdown_table(value))
    if isinstance(value, Markdown):
        return dg.MetadataValue.md(value.text)
    return dg.MetadataValue.bool(value) if isinstance(value, bool) else value


def markdown_table(table: Table) -> str:
    """The first rows as a Markdown table for the UI; all are in the lake."""
    if not table.rows:
        return "none"
    shown = [
        [markdown_cell(str(cell), CELL_CHARS) for cell in row] for row in table.rows[:ROWS_SHOWN]
    ]
    rows = (table.columns, ["---"] * len(table.columns), *shown)
    more = len(table.rows) - len(shown)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + (
        f"\n\n... and {more:,} more" if more else ""
    )
