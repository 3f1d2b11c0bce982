"""Plans and their history as tables for a terminal. ``~`` marks what is no count."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from rag_assets.pipeline.plan import DELTA, PartitionPlan, RefreshPlan, StagePlan, duration

ROWS_SHOWN = 30


def totals_table(plan: RefreshPlan) -> Table:
    """One row a stage, summed over partitions: what becomes of its inputs; fits 80 columns."""
    figures = ("new", "changed", "delete", "kept", "ask model", "tokens", "time")
    table = _narrow_table("what a refresh would do", "stage", figures)
    for stage in plan.totals:
        table.add_row(stage.stage, *_cells(stage))
    return table


def _narrow_table(title: str, first: str, figures: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), title=title, title_justify="left")
    table.add_column(first, no_wrap=first != "partition", overflow="fold")
    for name in figures:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _cells(stage: StagePlan) -> list[str]:
    tokens = "-"
    if stage.calls:
        tokens = stage.shown("tokens_in")
        tokens += f" + {stage.shown('tokens_out')}" if stage.tokens_out else ""
    return [
        *(stage.shown(name) for name in (*DELTA, "unchanged")),
        stage.shown("calls") if stage.calls else "-",
        tokens,
        duration(stage.seconds),
    ]


def partitions_table(plan: RefreshPlan) -> Table:
    """One row a partition with work, the longest first: its files, and what models are asked."""
    busy = [one for one in plan.partitions if any(stage.has_work for stage in one.stages)]
    busy.sort(key=lambda one: -_seconds(one))
    asking = [stage.stage for stage in plan.totals if stage.calls]
    table = _narrow_table("by partition", "partition", ["read", *asking, "delete", "time"])
    for one in busy[:ROWS_SHOWN]:
        stages = {stage.stage: stage for stage in one.stages}
        table.add_row(
            one.partition,
            one.stages[0].shown("new", "changed"),
            *(stages[name].shown("calls") for name in asking),
            one.stages[0].shown("gone"),
            duration(_seconds(one)),
        )
    if len(busy) > ROWS_SHOWN:
        table.caption = f"and {len(busy) - ROWS_SHOWN:,} more: --json lists all"
    return table


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
    lines += () if plan.has_no_file else plan.empty
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
    return sum(figures.get(name, 0) for name in DELTA)


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


def size(n_bytes: float) -> str:
    """Bytes in the decimal unit that fits."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
