"""Pictures of what answers are worth: metrics with intervals, risk against coverage, times."""

from collections.abc import Mapping, Sequence
from typing import Literal

from rag_assets.evaluations.drawing import (
    DASHES,
    Plot,
    cells_of,
    figures_of,
    head,
    limits_of,
    n_written,
    sheet_of,
    shortened,
    style_of,
    styled,
    ticks,
    unique,
    written,
)
from rag_assets.evaluations.results import ALL, CaseResult, Figure

Grouping = Literal["dataset", "variant", "model"]


def intervals(figures: Sequence[Figure], metric: str, *, part: str = ALL, title: str = "") -> Plot:
    """Dot and whisker of one metric: a row per dataset and variant, in the order given.

    Args:
        figures: those of other metrics or slices are left out.
        metric: which.
        part: which slice.
        title: default: the metric.

    Raises:
        ValueError: nothing to draw, or two figures for one row.
    """
    chosen = figures_of(figures, [metric], part)
    cells_of(chosen, lambda f: (f.suite, f.dataset, f.variant))
    variants = unique(f.variant for f in chosen)
    datasets = unique(f.dataset for f in chosen)
    chosen.sort(key=lambda f: datasets.index(f.dataset))  # stable: variants stay as given
    heights: list[float] = []
    for i, f in enumerate(chosen):
        new = i > 0 and f.dataset != chosen[i - 1].dataset
        heights.append(heights[-1] + (1.7 if new else 1.0) if heights else 0.0)
    with styled():
        sheet, (ax,) = sheet_of([max(0.5, 0.21 * (heights[-1] + 1.6))])
        for i, (f, y) in enumerate(zip(chosen, heights, strict=True)):
            style = style_of(variants.index(f.variant))
            ax.plot([f.low, f.high], [y, y], color=style["color"], lw=1.8, gid=f"whisker-{i}")
            ax.plot([f.value], [y], ls="", ms=6, gid=f"dot-{i}", **style)
            ax.annotate(
                f"{written(f.value, metric)} ({n_written([f])})", (1.01, y),
                xycoords=("axes fraction", "data"), va="center", fontsize=8,
            )  # fmt: skip
        middles = [_middle(d, chosen, heights) for d in datasets]
        ax.set_yticks(middles, [shortened(d, 30) for d in datasets])
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")
        ax.set_ylim(heights[-1] + 0.8, -0.8)
        ax.set_xlim(*limits_of(chosen, metric))
        head(ax, title or metric, variants)
        return Plot(title or metric, sheet)


def risk_coverage(
    curves: Mapping[str, Sequence[tuple[float, float]]], *, title: str = "Risk against coverage"
) -> Plot:
    """What share of the answers is wrong, if only the surest are given.

    Args:
        curves: variant -> (coverage, risk) points, both in [0, 1].
        title: above the picture.

    Raises:
        ValueError: no curve, one without points, or a point outside of [0, 1].
    """
    if not curves:
        raise ValueError("no curve given: answers without a confidence have none")
    for name, points in curves.items():
        if not points or not all(0 <= value <= 1 for point in points for value in point):
            raise ValueError(f"curve {name!r} needs points in [0, 1], got {list(points)[:5]}")
    with styled():
        sheet, (ax,) = sheet_of([3.2])
        for i, points in enumerate(curves.values()):
            ordered = sorted(points)
            xs, ys = [c for c, _ in ordered], [r for _, r in ordered]
            style = style_of(i)
            ax.plot(xs, ys, color=style["color"], ls=DASHES[i % 4], lw=1.8, gid=f"curve-{i}")
            ax.plot(xs[-1:], ys[-1:], ls="", ms=6, clip_on=False, gid=f"end-{i}", **style)
        ax.set_xlim(0, 1)
        top = max(risk for points in curves.values() for _, risk in points)
        ax.set_ylim(0, min(1.0, max(0.05, 1.1 * top)))
        ax.set_xlabel("coverage: share of the questions answered")
        ax.set_ylabel("risk: share of those wrong")
        head(ax, title, list(curves), dashes=True)
        return Plot(title, sheet)


def latencies(
    results: Sequence[CaseResult],
    *,
    by: Sequence[Grouping] = ("variant", "model"),
    title: str = "Seconds from question to answer",
) -> Plot:
    """The share of questions answered within a time; marks at the median and at 95 %.

    Questions that failed have no such time: they are counted in the legend, and not drawn.

    Args:
        results: of any datasets and variants.
        by: what makes a curve; what is the same for all is not in its name.
        title: above the picture.

    Raises:
        ValueError: no question was answered.
    """
    from rag_assets.evaluations.statistics import percentile

    answered = [r for r in results if not r.error]
    if not answered:
        raise ValueError(f"no answered question among {len(results)} results")
    differ = [key for key in by if len({getattr(r, key) for r in answered}) > 1] or list(by)[:1]
    groups: dict[str, list[CaseResult]] = {}
    for r in answered:
        groups.setdefault(" · ".join(getattr(r, key) for key in differ), []).append(r)
    with styled():
        sheet, (ax,) = sheet_of([3.2])
        names = []
        for i, (name, own) in enumerate(groups.items()):
            seconds = sorted(r.seconds for r in own)
            p50, p95 = (percentile(seconds, p) for p in (50, 95))
            style = style_of(i)
            shares = [k / len(own) for k in range(len(own) + 1)]
            ax.step(
                [seconds[0], *seconds], shares, where="post", lw=1.6, color=style["color"],
                ls=DASHES[i % 4], gid=f"curve-{i}",
            )  # fmt: skip
            ax.plot([p50, p95], [0.5, 0.95], ls="", ms=6, gid=f"marks-{i}", **style)
            p50_p95 = f"p50 {written(p50, 'seconds')} s, p95 {written(p95, 'seconds')} s"
            names.append(f"{shortened(name)}: {p50_p95}, n {len(own)}")
        low, high = (f(r.seconds for r in answered) for f in (min, max))
        if low > 0 and high > 20 * low:
            ax.set_xscale("log")
        else:
            ax.set_xlim(left=0)
        ticks(ax.xaxis, "")
        n_failed = len(results) - len(answered)
        ax.set_xlabel("seconds" + (f" ({n_failed} failed, not drawn)" if n_failed else ""))
        ax.set_ylabel("share of the questions")
        ax.set_ylim(0, 1.03)
        head(ax, title, names, dashes=True, columns=1)
        return Plot(title, sheet)


def _middle(dataset: str, figures: Sequence[Figure], heights: Sequence[float]) -> float:
    own = [y for f, y in zip(figures, heights, strict=True) if f.dataset == dataset]
    return (own[0] + own[-1]) / 2
