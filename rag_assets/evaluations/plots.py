"""Pictures of what answers are worth: metrics with intervals, risk against coverage, times."""

from collections.abc import Mapping, Sequence

from rag_assets.evaluations.drawing import (
    DASHES,
    Plot,
    head,
    limits_of,
    panel_of,
    shortened,
    style_of,
    styled,
    ticks,
    written,
)
from rag_assets.evaluations.results import ALL, CaseResult, Figure

TIMES = "Seconds from question to answer"
CURVE = ("variant", "model")  # what makes one; what is the same for all is not in its name


def intervals(figures: Sequence[Figure], metric: str) -> Plot:
    """Dot and whisker of one metric: a row per dataset and variant, in the order given.

    Figures of other metrics, and of slices, are left out.

    Raises:
        ValueError: nothing to draw, or two figures for one row.
    """
    chosen = [f for f in figures if f.metric == metric and f.slice == ALL]
    if not chosen:
        there = sorted({f.metric for f in figures if f.slice == ALL})
        raise ValueError(f"no figure of {metric!r} to draw; metrics there: {there}")
    if len({(f.suite, f.dataset, f.variant) for f in chosen}) < len(chosen):
        raise ValueError(f"two figures of {metric!r} for one row: pass those of one run only")
    variants = list(dict.fromkeys(f.variant for f in chosen))
    datasets = list(dict.fromkeys(f.dataset for f in chosen))
    chosen.sort(key=lambda f: datasets.index(f.dataset))  # stable: variants stay as given
    heights: list[float] = []
    for i, f in enumerate(chosen):
        new = i > 0 and f.dataset != chosen[i - 1].dataset
        heights.append(heights[-1] + (1.7 if new else 1.0) if heights else 0.0)
    with styled():
        sheet, ax = panel_of(max(0.5, 0.21 * (heights[-1] + 1.6)))
        for i, (f, y) in enumerate(zip(chosen, heights, strict=True)):
            style = style_of(variants.index(f.variant))
            ax.plot([f.low, f.high], [y, y], color=style["color"], lw=1.8, gid=f"whisker-{i}")
            ax.plot([f.value], [y], ls="", ms=6, gid=f"dot-{i}", **style)
            ax.annotate(
                f"{written(f.value, metric)} ({_counted(f)})", (1.01, y),
                xycoords=("axes fraction", "data"), va="center", fontsize=8,
            )  # fmt: skip
        middles = [_middle(d, chosen, heights) for d in datasets]
        ax.set_yticks(middles, [shortened(d, 30) for d in datasets])
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")
        ax.set_ylim(heights[-1] + 0.8, -0.8)
        ax.set_xlim(*limits_of(chosen, metric))
        head(ax, metric, variants)
        return Plot(metric, sheet)


def risk_coverage(curves: Mapping[str, Sequence[tuple[float, float]]]) -> Plot:
    """What share of the answers is wrong, if only the surest are given.

    Args:
        curves: variant -> (coverage, risk) points, both in [0, 1].

    Raises:
        ValueError: no curve, one without points, or a point outside of [0, 1].
    """
    if not curves:
        raise ValueError("no curve given: answers without a confidence have none")
    for name, points in curves.items():
        if not points or not all(0 <= value <= 1 for point in points for value in point):
            raise ValueError(f"curve {name!r} needs points in [0, 1], got {list(points)[:5]}")
    with styled():
        sheet, ax = panel_of(3.2)
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
        head(ax, "Risk against coverage", list(curves), dashes=True)
        return Plot("Risk against coverage", sheet)


def latencies(results: Sequence[CaseResult]) -> Plot:
    """The share of questions answered within a time; marks at the median and at 95 %.

    There is a curve for each variant and model. Questions that failed have no such time: they are
    counted in the legend, and not drawn.

    Raises:
        ValueError: no question was answered.
    """
    from rag_assets.evaluations.statistics import percentile_of, point

    answered = [r for r in results if not r.error]
    if not answered:
        raise ValueError(f"no answered question among {len(results)} results")
    several = [key for key in CURVE if len({getattr(r, key) for r in answered}) > 1]
    groups: dict[str, list[CaseResult]] = {}
    for r in answered:
        groups.setdefault(" · ".join(getattr(r, key) for key in several or CURVE[:1]), []).append(r)
    with styled():
        sheet, ax = panel_of(3.2)
        names = []
        for i, (name, own) in enumerate(groups.items()):
            seconds = sorted(r.seconds for r in own)
            p50, p95 = (point(percentile_of(seconds, p), len(own)) for p in (50, 95))
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
        ticks(ax.xaxis)
        n_failed = len(results) - len(answered)
        ax.set_xlabel("seconds" + (f" ({n_failed} failed, not drawn)" if n_failed else ""))
        ax.set_ylabel("share of the questions")
        ax.set_ylim(0, 1.03)
        head(ax, TIMES, names, dashes=True, columns=1)
        return Plot(TIMES, sheet)


def _counted(f: Figure) -> str:
    return f"n {f.n}" + (f", {f.n_failed} failed" if f.n_failed else "")


def _middle(dataset: str, figures: Sequence[Figure], heights: Sequence[float]) -> float:
    own = [y for f, y in zip(figures, heights, strict=True) if f.dataset == dataset]
    return (own[0] + own[-1]) / 2
