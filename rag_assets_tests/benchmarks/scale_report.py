"""What ``bench scale`` measured, as tables and goals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag_assets_tests.benchmarks.findings import Goal, Part, Table

MOST_A_DOUBLING = 1.1
MOST_RSS = 2 * 2**30
STAGES = ("source_files", "documents", "duplicates", "sections", "chunks", "embeddings", "index")
UPKEEP = "upkeep"
PHASES = ("built", "nothing changed", "1 % changed, few partitions", "1 % changed, all partitions")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stage took.

    Attributes:
        seconds: by the clock.
        cpu_s: of processor, children included.
        rss: peak resident bytes of the process.
        rss_child: of its largest child; 0 without children.
        n_written: rows inserted or replaced.
    """

    seconds: float
    cpu_s: float
    n_written: int
    rss: int = 0
    rss_child: int = 0


@dataclass(frozen=True, slots=True)
class Size:
    """All that was measured of one size; without refreshes phase ``built`` alone, and no bytes."""

    n_documents: int
    n_buckets: int
    n_changed: Mapping[str, int]  # by phase
    costs: Mapping[str, Mapping[str, Cost]]  # by phase and stage; upkeep is a phase of one stage
    n_rows: Mapping[str, int]  # by table, as built
    n_bytes: Mapping[str, int]  # of files, by table, after all phases; and of raw
    n_bytes_after_upkeep: Mapping[str, int]  # likewise after the upkeep


def report(sizes: Sequence[Size], notes: Sequence[str]) -> Part:
    """Costs of each size, their growth, refreshes, upkeep, bytes; and which goals are reached.

    Args:
        sizes: the smallest first.
        notes: on how it was measured, a sentence each.
    """
    refreshed = [size for size in sizes if UPKEEP in size.costs]
    return Part(
        name="scale",
        title="Cost per document over the corpus's size",
        tables=[
            *(_size_table(size) for size in sizes),
            *([_growth_table(sizes)] if len(sizes) > 1 else []),
            *(table(refreshed) for table in _AFTERWARDS if refreshed),
        ],
        goals=_goals(sizes),
        notes=notes,
    )


def _size_table(size: Size) -> Table:
    rows = []
    for stage, cost in size.costs[PHASES[0]].items():
        per_document = cost.cpu_s / size.n_documents * 1000
        rows.append(
            [stage, f"{cost.seconds:.1f}", f"{cost.cpu_s:.1f}", f"{per_document:.2f}",
             f"{cost.n_written:,}", megabytes(cost.rss), megabytes(cost.rss_child)]
        )  # fmt: skip
    counts = ", ".join(f"{name} {n:,}" for name, n in size.n_rows.items())
    return Table(
        f"{size.n_documents:,} documents in {size.n_buckets} buckets, built (rows: {counts})",
        ["stage", "s", "processor s", "processor ms a document", "rows written", "peak memory",
         "largest child"],
        rows,
    )  # fmt: skip


def _cpu_per_document(size: Size, stage: str | None) -> float:
    """Processor seconds a document of a stage, None for all, as built."""
    costs = size.costs[PHASES[0]]
    some = costs.values() if stage is None else [costs[stage]]
    return sum(cost.cpu_s for cost in some) / size.n_documents


def per_doubling(small: Size, large: Size, stage: str | None) -> float:
    """By what a document's cost is multiplied when the corpus doubles; 1 is a straight line."""
    ratio = _cpu_per_document(large, stage) / max(_cpu_per_document(small, stage), 1e-9)
    return float(ratio ** (1 / math.log2(large.n_documents / small.n_documents)))


def _growth_table(sizes: Sequence[Size]) -> Table:
    columns = ["stage", *(f"ms at {size.n_documents:,}" for size in sizes)]
    columns += [f"{a.n_documents:,} to {b.n_documents:,}" for a, b in pairwise(sizes)]
    rows = [
        [
            stage or "all",
            *(f"{_cpu_per_document(size, stage) * 1000:.2f}" for size in sizes),
            *(f"{per_doubling(a, b, stage):.3f}" for a, b in pairwise(sizes)),
        ]
        for stage in [*STAGES, None]
    ]
    return Table("Processor ms a document, and its growth per doubling", columns, rows)


def _refresh_table(sizes: Sequence[Size]) -> Table:
    rows = []
    for size in sizes:
        built = sum(cost.seconds for cost in size.costs[PHASES[0]].values())
        for phase in PHASES[1:]:
            costs = size.costs[phase]
            seconds = sum(cost.seconds for cost in costs.values())
            slowest = max(costs, key=lambda stage: costs[stage].seconds)
            rows.append(
                [f"{size.n_documents:,}", phase, str(size.n_changed[phase]), f"{seconds:.1f}",
                 f"{sum(cost.cpu_s for cost in costs.values()):.1f}", f"{seconds / built:.2%}",
                 f"{slowest} {costs[slowest].seconds:.1f} s"]
            )  # fmt: skip
    return Table(
        "Refreshes of all partitions",
        ["documents", "what changed", "documents changed", "s", "processor s", "of the build",
         "slowest stage"],
        rows,
    )  # fmt: skip


def _upkeep_table(sizes: Sequence[Size]) -> Table:
    rows = []
    for size in sizes:
        cost = size.costs[UPKEEP][UPKEEP]
        rows.append(
            [f"{size.n_documents:,}", f"{cost.seconds:.1f}", f"{cost.cpu_s:.1f}",
             f"{cost.cpu_s / size.n_documents * 1000:.2f}", f"{cost.n_written:,}",
             megabytes(cost.rss)]
        )  # fmt: skip
    return Table(
        "Upkeep after all refreshes",
        ["documents", "s", "processor s", "processor ms a document", "tables merged",
         "peak memory"],
        rows,
    )  # fmt: skip


def _bytes_table(sizes: Sequence[Size]) -> Table:
    """Size a document, before upkeep and after it; upkeep keeps the versions of the last day."""
    rows = []
    for name in [*sizes[0].n_bytes, None]:
        row = [name or "all"]
        for size in sizes:
            for of in (size.n_bytes, size.n_bytes_after_upkeep):
                n_bytes = sum(of.values()) if name is None else of.get(name, 0)
                row.append(f"{n_bytes / size.n_documents / 1000:.2f}")
        rows.append(row)
    columns = [
        f"{size.n_documents:,}, {when}"
        for size in sizes
        for when in ("after refreshes", "after upkeep")
    ]
    return Table(
        "kB on disk a document, with the versions of the last day", ["table", *columns], rows
    )


_AFTERWARDS = (_refresh_table, _upkeep_table, _bytes_table)


def _goals(sizes: Sequence[Size]) -> list[Goal]:
    goals = []
    for small, large in pairwise(sizes):
        growth = {stage: per_doubling(small, large, stage) for stage in STAGES}
        steepest = max(growth, key=lambda stage: growth[stage])
        total = per_doubling(small, large, None)
        goals.append(
            Goal(
                f"a document's cost grows by at most {MOST_A_DOUBLING} per doubling, "
                f"{small.n_documents:,} to {large.n_documents:,}",
                f"{total:.3f}; steepest stage {steepest} {growth[steepest]:.3f}",
                total <= MOST_A_DOUBLING,
            )
        )
    peaks = {
        (size.n_documents, phase, stage): max(cost.rss, cost.rss_child)
        for size in sizes
        for phase, costs in size.costs.items()
        for stage, cost in costs.items()
    }
    at = max(peaks, key=lambda key: peaks[key])
    goals.append(
        Goal(
            "no process holds 2 GB",
            f"{megabytes(peaks[at])} ({at[2]}, {at[1]}, {at[0]:,} documents)",
            peaks[at] < MOST_RSS,
        )
    )
    return goals


def megabytes(n_bytes: int) -> str:
    """Bytes as they are printed."""
    return f"{n_bytes / 1e6:,.0f} MB"
