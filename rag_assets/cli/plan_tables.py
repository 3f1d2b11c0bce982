"""Plans and their history as tables for a terminal. ``~`` marks what is no count."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from rag_assets.pipeline.plan import PartitionPlan, RefreshPlan, StagePlan

ROWS_SHOWN = 30


def totals_table(plan: RefreshPlan) -> Table:
    """One row a stage, summed over partitions: what becomes of its inputs; fits 80 columns."""
    figures = ("new", "changed", "delete", "unchanged", "ask model", "tokens", "time")
    table = _narrow_table("what a refresh would do", "stage", figures)
    for stage in plan.totals:
        table.add_row(stage.stage, *_cells(stage))
    return table


def _narrow_table(title: str, first: str, figures: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right")
    return table


def _cells(stage: StagePlan) -> list[str]:
    tokens = "-"
    if stage.calls:
        tokens = _number(stage, "tokens_in")
        tokens += f" + {_number(stage, 'tokens_out')}" if stage.tokens_out else ""
    return [
        *(_number(stage, name) for name in ("new", "changed", "gone", "unchanged")),
        _number(stage, "calls") if stage.stage in ("embeddings", "enrichments") else "-",
        tokens,
        duration(stage.seconds),
    ]


def _number(stage: StagePlan, name: str) -> str:
    value = getattr(stage, name)
    return f"~{value:,}" if name in stage.estimated else f"{value:,}"


def partitions_table(plan: RefreshPlan) -> Table:
    """One row a partition with work, the longest first."""
    table = Table("partition", title="by partition", title_justify="left")
    for name in ("read", "parse", "cut", "embed", "describe", "delete", "time"):
        table.add_column(name, justify="right")
    busy = [one for one in plan.partitions if any(stage.has_work for stage in one.stages)]
    busy.sort(key=lambda one: -_seconds(one))
    for one in busy[:ROWS_SHOWN]:
        stages = {stage.stage: stage for stage in one.stages}
        table.add_row(
            one.partition,
            *(_compute(stages[name]) for name in ("source_files", "documents", "sections")),
            *(_number(stages[name], "calls") for name in ("embeddings", "enrichments")),
            _number(stages["source_files"], "gone"),
            duration(_seconds(one)),
        )
    if len(busy) > ROWS_SHOWN:
        table.caption = f"and {len(busy) - ROWS_SHOWN:,} more: --json lists all"
    return table


def _compute(stage: StagePlan) -> str:
    mark = "~" if {"new", "changed"} & set(stage.estimated) else ""
    return f"{mark}{stage.to_compute:,}"


def _seconds(partition: PartitionPlan) -> float:
    return sum(stage.seconds for stage in partition.stages)


def remarks(plan: RefreshPlan) -> list[str]:
    """What no table says: why, how much is read, what nobody knows, and where rates are from."""
    lines = [
        f"{stage.stage}: {', '.join(f'{cause} {n:,}' for cause, n in stage.causes.items())}"
        + (f" ({size(stage.n_bytes)} to read)" if stage.n_bytes else "")
        for stage in plan.totals
        if stage.causes
    ]
    lines += [
        f"{one.partition}: {text}"
        for one in plan.partitions
        for text in (one.problem, one.note)
        if text
    ]
    by_place: dict[str, list[str]] = {}
    for stage, where in plan.rates.items():
        by_place.setdefault(where, []).append(stage)
    lines += [f"rates of {', '.join(names)}: {where}" for where, names in by_place.items()]
    n_mute = sum(bool(one.problem or one.note) for one in plan.partitions)
    n_idle = sum(
        not (one.problem or one.note or any(stage.has_work for stage in one.stages))
        for one in plan.partitions
    )
    unknown = f", of {n_mute:,} it is not known" if n_mute else ""
    lines.append(
        f"in all about {duration(plan.seconds)}; {n_idle:,} of {len(plan.partitions):,} partitions "
        f"have nothing to do{unknown}. ~ marks averages and upper bounds"
    )
    return lines


def sentence(plan: RefreshPlan) -> str:
    """The plan in one line, for a refresh's own log."""
    by_name = {stage.stage: stage for stage in plan.totals}
    files = by_name.get("source_files")
    if files is None:
        return "planned: nothing, no source can be read"
    parts = [f"{_compute(files)} files to read ({size(files.n_bytes)}), {files.gone:,} gone"]
    parts.append(f"{_number(by_name['embeddings'], 'calls')} texts to embed")
    parts.append(f"{_number(by_name['enrichments'], 'calls')} documents to describe")
    return f"planned: {', '.join(parts)}; about {duration(plan.seconds)}"


def history_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Estimated and actual by refresh and stage, one figure where they agree; fits 80 columns.

    Stages without work in either are left out.
    """
    figures = ("compute", "delete", "ask model", "tokens", "time")
    table = _narrow_table("planned -> actual, or what both say", "refresh", figures)
    for entry in reversed(entries):
        seconds = f"{duration(entry['estimated_seconds'])} -> {duration(entry['actual_seconds'])}"
        at = entry["at"][:16].replace("T", " ")
        table.add_row(at, *[""] * 4, seconds, style="bold")
        for stage, figures in entry["stages"].items():
            planned, actual = figures["estimated"], figures["actual"]
            if actual and any(_work(one) for one in (planned, actual)):
                table.add_row(f"  {stage}", *_compared(planned, actual))
            elif not actual and _work(planned):
                table.add_row(f"  {stage}", *[""] * 4, "did not end")
    return table


def _work(figures: Mapping[str, float]) -> float:
    return sum(figures.get(name, 0) for name in ("new", "changed", "gone"))


def _compared(planned: Mapping[str, float], actual: Mapping[str, float]) -> Iterable[str]:
    def pair(*names: str) -> str:
        if not any(name in actual for name in names):
            return ""
        before, after = (sum(one.get(name, 0) for name in names) for one in (planned, actual))
        if before == after:
            return f"{after:,.0f}" if after else ""
        return f"{before:,.0f} -> {after:,.0f}"

    yield pair("new", "changed")
    yield pair("gone")
    yield pair("calls")
    yield pair("tokens_in", "tokens_out")
    yield f"{duration(planned['seconds'])} -> {duration(actual['seconds'])}"


def duration(seconds: float) -> str:
    """A time of two figures: 0.4 s, 12 s, 3 min, 2.5 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(n_bytes: float) -> str:
    """Bytes in the decimal unit that fits."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
