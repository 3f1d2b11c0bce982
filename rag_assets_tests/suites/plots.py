"""Pictures of an ablation, step by step, and of one metric over two axes."""

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rag_assets.evaluations.drawing import (
    WIDTH,
    Plot,
    head,
    is_share,
    legend,
    limits_of,
    shortened,
    style_of,
    styled,
    ticks,
    written,
)
from rag_assets.evaluations.results import ALL, Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

H = TypeVar("H", bound=Hashable)
Axis = Literal["suite", "dataset", "slice", "variant"]


def steps(
    figures: Sequence[Figure],
    metrics: Sequence[str | tuple[str, ...]],
    *,
    title: str = "",
) -> Plot:
    """An ablation: the variants from left to right as given, a panel per entry of ``metrics``.

    Args:
        figures: those of other metrics or slices are left out.
        metrics: a panel each; a tuple shares one, e.g. ("seconds p50", "seconds p95").
        title: default: none.

    Raises:
        ValueError: a panel has nothing to draw, or two figures for one place.
    """
    panels = [(m,) if isinstance(m, str) else m for m in metrics]
    if not panels:
        raise ValueError("no metric given: name at least one to draw")
    chosen = [figures_of(figures, panel, ALL) for panel in panels]
    names = unique(f.variant for f in figures if any(f in panel for panel in chosen))
    with styled():
        sheet, axes = sheet_of([1.35] * len(panels), gap=0.5, width=max(WIDTH, 0.78 * len(names)))
        for i, (ax, panel, drawn) in enumerate(zip(axes, panels, chosen, strict=True)):
            _step_panel(ax, i, panel, drawn, names)
            ax.set_xlim(-0.5, len(names) - 0.25)
            ax.set_xticks(range(len(names)), [""] * len(names))
        axes[-1].set_xticklabels(
            [shortened(name, 36) for name in names], rotation=38, ha="right", rotation_mode="anchor"
        )
        if title:
            first = axes[0].get_position()
            sheet.text(first.x0, first.y1, f"{shortened(title)}\n\n", weight="bold", fontsize=11)
        return Plot(title or "Step by step: " + ", ".join(m for p in panels for m in p), sheet)


def _step_panel(
    ax: "Axes", number: int, panel: Sequence[str], drawn: Sequence[Figure], names: Sequence[str]
) -> None:
    cells_of(drawn, lambda f: (f.suite, f.dataset, f.metric, f.variant))
    series = unique((f.dataset, f.metric) for f in drawn)
    for i, (dataset, metric) in enumerate(series):
        own = [f for f in drawn if (f.dataset, f.metric) == (dataset, metric)]
        own.sort(key=lambda f: names.index(f.variant))
        shift = 0.16 * (i - (len(series) - 1) / 2)
        xs = [names.index(f.variant) + shift for f in own]
        style = style_of(i)
        ax.plot(xs, [f.value for f in own], color=style["color"], lw=1, alpha=0.45)
        for x, f in zip(xs, own, strict=True):
            at = f"{number}-{i}-{names.index(f.variant)}"
            ax.plot([x, x], [f.low, f.high], color=style["color"], lw=1.6, gid=f"whisker-{at}")
            ax.plot([x], [f.value], ls="", ms=5, gid=f"dot-{at}", **style)
            if len(series) == 1:
                ax.annotate(
                    written(f.value, metric), (x, f.high), (0, 2), textcoords="offset points",
                    ha="center", fontsize=7.5,
                )  # fmt: skip
    ax.grid(visible=False, axis="x")
    low, high = limits_of(drawn, panel[0])
    ax.set_ylim(low, high + 0.12 * (high - low))  # room for the numbers
    ticks(ax.yaxis)
    several = len({dataset for dataset, _ in series}) > 1
    labels = [d if len(panel) == 1 else f"{d}, {m}" if several else m for d, m in series]
    if len(series) > 1:
        legend(ax, labels, loc="upper left", bbox_to_anchor=(1.0, 1.05))
    head(ax, f"{', '.join(panel)} ({n_written(drawn)})", [])


def heat(
    figures: Sequence[Figure],
    metric: str,
    rows: Axis,
    columns: Axis,
    *,
    of: str = "",
    title: str = "",
) -> Plot:
    """A matrix of one metric, the value and its n in each cell; a cell without figure is empty.

    Args:
        figures: those of other metrics are left out, and of slices where no axis shows them.
        metric: which.
        rows: what a row is.
        columns: what a column is.
        of: where an axis shows slices: only "all" and those of this name, e.g. "language".
        title: default: the metric.

    Raises:
        ValueError: nothing to draw, or two figures for one cell.
    """
    sliced = "slice" in (rows, columns)
    chosen = [
        f
        for f in figures_of(figures, [metric], None if sliced else ALL)
        if not (sliced and of) or f.slice == ALL or f.slice.startswith(f"{of}=")
    ]
    if not chosen:
        raise ValueError(f"no figure of {metric!r} has a slice named {of!r}")
    cells = cells_of(chosen, lambda f: (getattr(f, rows), getattr(f, columns)))
    downs, acrosses = unique(r for r, _ in cells), unique(c for _, c in cells)
    low = min(0.0, *(f.value for f in chosen))
    high = max(1.0 if is_share(chosen, metric) else 0.0, *(f.value for f in chosen))
    with styled():
        sheet, (ax,) = sheet_of([0.44 * len(downs)], width=0.74 * len(acrosses))
        for (down, across), f in cells.items():
            at = (acrosses.index(across), downs.index(down))
            _heat_cell(ax, at, f, (f.value - low) / ((high - low) or 1))
        ax.set_xlim(0, len(acrosses))
        ax.set_ylim(len(downs), 0)
        _heat_names(ax, (rows, downs), (columns, acrosses))
        head(ax, title or metric, [])
        return Plot(title or metric, sheet)


def _heat_cell(ax: "Axes", at: tuple[int, int], figure: Figure, share: float) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    x, y = at
    red, green, blue, _ = colour = colormaps["cividis"](share)
    ink = "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.45 else "#ffffff"
    ax.add_patch(Rectangle((x + 0.02, y + 0.03), 0.96, 0.94, color=colour, gid=f"cell-{y}-{x}"))
    value, count = written(figure.value, figure.metric), f"n {figure.n}"
    centred: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
    ax.text(x + 0.5, y + 0.36, value, fontsize=9, **centred)
    ax.text(x + 0.5, y + 0.73, count, fontsize=6.5, **centred)


def _heat_names(
    ax: "Axes", rows: tuple[Axis, Sequence[str]], columns: tuple[Axis, Sequence[str]]
) -> None:
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    for axis, (kind, names) in ((ax.yaxis, rows), (ax.xaxis, columns)):
        prefixes = {name.split("=")[0] for name in names if name != ALL}
        one = kind == "slice" and len(prefixes) == 1
        axis.set_label_text(shortened(prefixes.pop()) if one else kind)
        shown = [shortened(n.partition("=")[2] if one and n != ALL else n, 30) for n in names]
        axis.set_ticks([i + 0.5 for i in range(len(names))], shown)
        if axis is ax.xaxis and max(len(name) for name in shown) > 9:
            ax.tick_params(axis="x", labelrotation=38)
            for label in ax.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")


# What both draw with


def figures_of(
    figures: Sequence[Figure], metrics: Collection[str], part: str | None
) -> list[Figure]:
    """The figures of these metrics and of one slice (None: of all); there must be some of each."""
    for metric in metrics:
        if not any(f.metric == metric and part in (None, f.slice) for f in figures):
            there = sorted({f.metric for f in figures if part in (None, f.slice)})
            where = "" if part is None else f" for slice {part!r}"
            raise ValueError(f"no figure of {metric!r}{where} to draw; metrics there: {there}")
    return [f for f in figures if f.metric in metrics and part in (None, f.slice)]


def cells_of(figures: Sequence[Figure], key: Callable[[Figure], H]) -> dict[H, Figure]:
    """Figures by their place, which no two may share."""
    cells: dict[H, Figure] = {}
    for figure in figures:
        place = key(figure)
        if place in cells:
            raise ValueError(f"two figures for {place}: pass those of one only")
        cells[place] = figure
    return cells


def unique(items: Iterator[H]) -> list[H]:
    """Each once, in the order of its first."""
    return list(dict.fromkeys(items))


def n_written(figures: Sequence[Figure]) -> str:
    """How many questions they are of, and how many of these failed."""
    low, high = min(f.n for f in figures), max(f.n for f in figures)
    failed = max(f.n_failed for f in figures)
    return f"n {low if low == high else f'{low}-{high}'}" + (f", {failed} failed" if failed else "")


def sheet_of(
    heights: Sequence[float], *, gap: float = 0.0, width: float = WIDTH
) -> tuple["Sheet", list["Axes"]]:
    """Panels of fixed inches, one over another; saving cuts the sheet to what is drawn on it."""
    from matplotlib.figure import Figure as Sheet

    margin, tall = 1.0, sum(heights) + gap * (len(heights) - 1) + 2.0
    sheet = Sheet(figsize=(width + 2 * margin, tall))
    axes, top = [], tall - margin
    for height in heights:
        box = (margin, top - height, width, height)
        wide = (width + 2 * margin, tall) * 2
        x, y, w, h = (part / whole for part, whole in zip(box, wide, strict=True))
        axes.append(sheet.add_axes((x, y, w, h)))
        top -= height + gap
    return sheet, axes
