"""Assets and asset checks, made from the list of stages.

Each stage over partitions is an op of its name, and an asset for each of its tables; each stage
over the corpus is one asset. Only ``source_files`` is written by hand: it takes run config and has
a check of its own.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import dagster as dg
from pydantic import Field

from rag_assets.lake.delta import LakeStage, Progress, Report
from rag_assets.lake.figures import Markdown, Table, Value
from rag_assets.lake.identity import value_hash
from rag_assets.lake.store import LakeStore
from rag_assets.markup import markdown_cell
from rag_assets.orchestration.dagster_private import say_of_partition
from rag_assets.orchestration.partitions import corpus_backfills, corpus_partitions
from rag_assets.orchestration.resources import LakeResource, ModelsResource, SourcesResource
from rag_assets.pipeline.run import Run
from rag_assets.pipeline.stage import Check, Stage, checked, refresh_stage
from rag_assets.sources.declaration import SourceShrunkError

HELD = "source_lists_what_it_held"
# A partition's own figures in the events of a run over a range: they add up to those of the run.
SUMMED = frozenset({"dagster/row_count", "new", "changed", "gone", "unchanged", "rows_written"})
ROWS_SHOWN = 50  # of a table in the UI
CELL_CHARS = 160
SAY_EVERY_S = 10.0  # in the log of a run over a range of partitions
MAX_NOTICES = 50

Shown = dg.MetadataValue | int | float | str
Results = Iterator[dg.MaterializeResult | dg.AssetCheckResult]


class SourceFilesConfig(dg.Config):
    """Run config of the first stage."""

    accept_deletions: bool = Field(
        default=False, description="Go on even if a source lists a fifth of what it held, or less."
    )


def assets_of(stages: Sequence[Stage]) -> list[dg.AssetsDefinition]:
    """An asset for each table of each stage.

    Raises:
        StageError: they make no list that can be run.
    """
    checked(stages)
    made = []
    for stage in stages:
        if stage.scope == "corpus":
            made.append(_corpus_asset(stage))
        else:
            made.append(_partitioned_asset(stage) if stage.upstream else _first_asset(stage))
    return made


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


def _specs(stage: Stage) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            table.name,
            deps=_deps(stage),
            group_name=stage.group,
            kinds=set(stage.kinds),
            code_version=stage.version,
            description=table.description or stage.description,
        )
        for table in stage.tables
    ]


@contextmanager
def _opened(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    resources: tuple[LakeResource, ModelsResource, SourcesResource],
    partitions: Sequence[str] = (),
    *,
    accept_deletions: bool = False,
) -> Iterator[Run]:
    store, models, sources = resources
    with Run(
        store.client,
        models.facts,
        models,
        sources.catalog(store.client),
        run_id=context.run.run_id,
        partitions=partitions,
        accept_deletions=accept_deletions,
    ) as run:
        yield run


def _first_asset(stage: Stage) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=stage.name,
        specs=_specs(stage),
        partitions_def=corpus_partitions,
        backfill_policy=corpus_backfills,
        check_specs=[
            dg.AssetCheckSpec(
                HELD,
                asset=stage.name,
                blocking=True,
                description="The source lists more than a fifth of what it held, or a person "
                "agreed.",
            )
        ],
    )
    def listed(
        context: dg.AssetExecutionContext,
        config: SourceFilesConfig,
        store: LakeResource,
        models: ModelsResource,
        sources: SourcesResource,
    ) -> Results:
        accept = config.accept_deletions
        keys = list(context.partition_keys)
        with _opened(context, (store, models, sources), keys, accept_deletions=accept) as run:
            try:
                reports = refresh_all(context, run, stage)
            except SourceShrunkError as error:
                yield dg.AssetCheckResult(check_name=HELD, passed=False, description=str(error))
                raise dg.Failure(f"stopped at the check {HELD}", allow_retries=False) from error
            notices = run.files.notices
        for text in notices[:MAX_NOTICES]:
            context.log.warning(text)
        shown = "\n".join(f"- {markdown_cell(text)}" for text in notices[:MAX_NOTICES]) or "none"
        unread: dict[str, Shown] = {
            "n_kept_unread": len(notices),
            "kept_unread": dg.MetadataValue.md(shown),
        }
        yield _result(stage.main.name, reports, unread)
        yield dg.AssetCheckResult(check_name=HELD, passed=True)

    return listed


def _partitioned_asset(stage: Stage) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=stage.name,
        specs=_specs(stage),
        partitions_def=corpus_partitions,
        backfill_policy=corpus_backfills,
    )
    def refreshed(
        context: dg.AssetExecutionContext,
        store: LakeResource,
        models: ModelsResource,
        sources: SourcesResource,
    ) -> Results:
        keys = list(context.partition_keys)
        with _opened(context, (store, models, sources), keys) as run:
            reports = refresh_all(context, run, stage)
            for table in stage.tables:
                asked = _asked(run, stage) if table is stage.main else {}
                summary = stage.summaries.get(table.name)
                figures = {} if summary is None else _metadata(summary(run, keys))
                yield _result(table.name, reports, {**asked, **figures})

    return refreshed


def _corpus_asset(stage: Stage) -> dg.AssetsDefinition:
    @dg.asset(
        name=stage.name,
        deps=_deps(stage),
        group_name=stage.group,
        kinds=set(stage.kinds),
        code_version=stage.version,
        description=stage.description,
    )
    def made(
        context: dg.AssetExecutionContext,
        store: LakeResource,
        models: ModelsResource,
        sources: SourcesResource,
    ) -> dg.MaterializeResult:
        whole = stage.whole
        if whole is None:
            raise ValueError(f"stage {stage.name} has neither `compute` nor `whole`")
        with _opened(context, (store, models, sources)) as run:
            outcome = whole(run, stage, progress_log(context, "partitions"))
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
    )
    def checked(
        context: dg.AssetCheckExecutionContext,
        store: LakeResource,
        models: ModelsResource,
        sources: SourcesResource,
    ) -> dg.AssetCheckResult:
        with _opened(context, (store, models, sources)) as run:
            found = check(run, partitions_to_check(context, store.client, name))
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


def refresh_all(context: dg.AssetExecutionContext, run: Run, stage: Stage) -> list[Report]:
    """Run a stage over every partition of this step; one run may hold one key or a range.

    Each partition's event says its own rows and delta. Of a range, the log says how far it is: the
    event log takes some 10 ms a line, and a range may hold thousands of partitions.
    """
    reports: list[Report] = []
    partitions = list(context.partition_keys)
    said_at = time.monotonic()
    progress = progress_log(context, stage.counts) if len(partitions) == 1 else None
    for partition in partitions:
        report = refresh_stage(run, stage, partition, progress)
        reports.append(report)
        for table in report.n_rows:
            say_of_partition(context, dg.AssetKey(table), partition, _figures([report], table))
        if time.monotonic() - said_at > SAY_EVERY_S:
            context.log.info(
                f"{len(reports)} of {len(partitions)} partitions: {_sentence(reports)}"
            )
            said_at = time.monotonic()
    name = partitions[0] if len(partitions) == 1 else f"{len(partitions)} partitions"
    context.log.info(f"{name}: {_sentence(reports)}")
    return reports


def _sentence(reports: Sequence[Report]) -> str:
    deltas = [report.delta for report in reports]
    unchanged = sum(delta.unchanged for delta in deltas)
    if all(report.is_noop for report in reports):
        return f"nothing changed, {unchanged} inputs are as they were"
    return (
        f"{sum(len(delta.new) for delta in deltas)} new, "
        f"{sum(len(delta.changed) for delta in deltas)} changed, "
        f"{sum(len(delta.gone) for delta in deltas)} gone, "
        f"{unchanged} unchanged; {sum(report.n_written for report in reports)} rows written"
    )


def _figures(reports: Sequence[Report], table: str) -> dict[str, int | str]:
    return {
        "dagster/row_count": sum(report.n_rows[table] for report in reports),
        # Dagster keeps this once a partition: a sentence for each would be their square.
        "summary": _sentence(reports),
        "new": sum(len(report.delta.new) for report in reports),
        "changed": sum(len(report.delta.changed) for report in reports),
        "gone": sum(len(report.delta.gone) for report in reports),
        "unchanged": sum(report.delta.unchanged for report in reports),
        "rows_written": sum(report.n_written for report in reports),
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
    table: str,
    reports: Sequence[Report],
    metadata: Mapping[str, Shown],
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


def _metadata(
    figures: Mapping[str, Value],
) -> dict[str, Shown]:
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
