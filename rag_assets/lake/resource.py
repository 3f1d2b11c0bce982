"""The lake as a Dagster resource, and how a stage reports what it did."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import dagster as dg
from pydantic import Field

from rag_assets.lake.delta import Progress, Report
from rag_assets.lake.identity import value_hash
from rag_assets.lake.store import LakeStore
from rag_assets.settings import load_settings

Refresh = Callable[[str, Progress], Report]

# A partition's own figures in the events of a run over a range: they add up to those of the run.
SUMMED = frozenset({"dagster/row_count", "new", "changed", "gone", "unchanged", "rows_written"})
ROWS_SHOWN = 50  # of a table in the UI
SAY_EVERY_S = 10.0  # in the log of a run over a range of partitions


class LakeResource(dg.ConfigurableResource):
    """Hands out one LakeStore per process; bound under the key ``store``."""

    uri: str = Field(
        default="", description="Folder or object-store URI; empty: RAG_LAKE, or data/lake."
    )

    @cached_property
    def client(self) -> LakeStore:
        """The store; connects on first use, so loading definitions stays offline."""
        return LakeStore(self.uri or load_settings().lake_uri)


def progress_log(context: dg.AssetExecutionContext, what: str) -> Progress:
    """Progress into the run's log: "12 of 45 documents"."""
    return lambda done, total: context.log.info(f"{done} of {total} {what}")


def _say_nothing(_done: int, _total: int) -> None:
    """Progress of one partition of many."""


def refresh_partitions(
    context: dg.AssetExecutionContext, what: str, refresh: Refresh
) -> list[Report]:
    """Run a stage over every partition of this step; one run may hold one key or a range.

    Each partition's event says its own rows and delta. Of a range, the log says how far it is: the
    event log takes some 10 ms a line, and a range may hold thousands of partitions.
    """
    reports: list[Report] = []
    partitions = list(context.partition_keys)
    said_at = time.monotonic()
    for partition in partitions:
        alone = len(partitions) == 1
        report = refresh(partition, progress_log(context, what) if alone else _say_nothing)
        reports.append(report)
        for table in report.n_rows:
            _say_of_partition(context, partition, table, _figures([report], table))
        if time.monotonic() - said_at > SAY_EVERY_S:
            context.log.info(
                f"{len(reports)} of {len(partitions)} partitions: {_sentence(reports)}"
            )
            said_at = time.monotonic()
    name = partitions[0] if len(partitions) == 1 else f"{len(partitions)} partitions"
    context.log.info(f"{name}: {_sentence(reports)}")
    return reports


def _say_of_partition(
    context: dg.AssetExecutionContext, partition: str, table: str, figures: Mapping[str, int | str]
) -> None:
    """``context.add_asset_metadata`` without its look whether the partition is of this run.

    That look reads all keys from Dagster's storage each time, which with 4,096 of them takes longer
    than to find out that a partition has not changed.
    """
    step = context.get_step_execution_context()
    step._metadata_accumulator = step._metadata_accumulator.with_additional_asset_metadata(
        asset_key=dg.AssetKey(table), metadata=figures, partition_key=partition
    )


def partitions_to_check(
    context: dg.AssetCheckExecutionContext, store: LakeStore, table: str
) -> list[str]:
    """The run's own partitions, or all of the table's where the run has none.

    Others may be half-way through a run of their own, and are checked there.
    """
    if context.has_partition_key or context.has_partition_key_range:
        return [str(key) for key in context.partition_keys]
    return store.partitions(table)


def counted(counts: Mapping[str, int]) -> str:
    """The most frequent first; equals by name, as rows are read in no order."""
    ranked = sorted(counts.items(), key=lambda of: (-of[1], of[0]))
    return ", ".join(f"{name} {n}" for name, n in ranked) or "none"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first rows as a Markdown table for the UI; all are in the lake."""
    if not rows:
        return "none"
    shown = [
        [" ".join(cell[:160].split()).replace("|", "\\|") for cell in row]
        for row in rows[:ROWS_SHOWN]
    ]
    lines = ["| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *shown)]
    more = len(rows) - len(shown)
    return "\n".join(lines) + (f"\n\n... and {more:,} more" if more else "")


def sentence(report: Report) -> str:
    """What a refresh did, for a log line."""
    return _sentence([report])


def _sentence(reports: Sequence[Report]) -> str:
    deltas = [report.delta for report in reports]
    unchanged = sum(delta.unchanged for delta in deltas)
    if all(report.is_noop for report in reports):
        return f"nothing changed, {unchanged} inputs stand as they were"
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


def stage_result(
    reports: Sequence[Report],
    table: str,
    *,
    asset_key: dg.AssetKey | None = None,
    metadata: Mapping[str, dg.MetadataValue | int | str] | None = None,
) -> dg.MaterializeResult:
    """The materialisation of one table of a stage: rows, delta, and a data version of the content.

    When nothing changed the data version is the one before, and Dagster finds nothing stale.
    """
    versions = [report.data_version for report in reports]
    return dg.MaterializeResult(
        asset_key=asset_key,
        metadata={
            **_figures(reports, table),
            **(metadata or {}),
        },
        data_version=dg.DataVersion(versions[0] if len(versions) == 1 else value_hash(versions)),
    )


def histogram(values: Sequence[int], *, n_bins: int = 10, unit: str = "tokens") -> str:
    """Text bars in Markdown: how many values fall in each of ``n_bins`` equal bins."""
    if not values:
        return "no values"
    width = max(-(-(max(values) + 1) // n_bins), 1)
    counts = [0] * n_bins
    for value in values:
        counts[min(value // width, n_bins - 1)] += 1
    scale = 40 / max(counts)
    lines = [
        f"{n * width:>6}-{(n + 1) * width - 1:<6} {'█' * round(count * scale)} {count}"
        for n, count in enumerate(counts)
    ]
    return f"```\n{unit}\n" + "\n".join(lines) + "\n```"
