"""Pictures of figures: SVG that a page can hold, PNG for Dagster's pages.

Nothing here touches pyplot, and matplotlib is imported when something is drawn. The ink of an SVG
is ``currentColor``, so it follows the page into the dark. Text stays text: it can be searched,
and the reader's fonts show it.
"""

import base64
import contextlib
import hashlib
import io
import math
import re
import warnings
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rag_assets.evaluations.results import ALL, CaseResult, Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

Axis = Literal["suite", "dataset", "slice", "variant"]
Grouping = Literal["dataset", "variant", "model"]
H = TypeVar("H", bound=Hashable)

INK = "#1b1e23"
# Okabe and Ito's colours, told apart by colour-blind readers; their yellow is too pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
MARKERS = ("o", "s", "D", "^", "v")  # 5 and 7 share no divisor: 35 series look different
DASHES = ("-", "--", "-.", ":")
WIDTH = 7.4  # inches of the plotting area
SALT = "rag_assets"
STYLE: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": SALT,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a label is a dollar
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture, ready to be written in either format.

    Attributes:
        title: in words, for those who cannot see it.
        sheet: what is drawn.
    """

    title: str
    sheet: "Sheet"

    def svg(self) -> str:
        """One ``<svg>`` element without outside references; equal input gives equal text."""
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        return _for_a_page(self._saved("svg", facecolor="none", metadata=nothing), self.title)

    def png(self, dpi: int = 110) -> bytes:
        """On white."""
        nothing = {"Software": None}
        return self._saved("png", facecolor="white", dpi=dpi, metadata=nothing)

    def _saved(self, form: str, **options: Any) -> bytes:  # noqa: ANN401 - savefig's own
        out = io.BytesIO()
        with _styled(), warnings.catch_warnings():
            # Of writing systems that matplotlib's font lacks; in SVG the reader's fonts have them.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.sheet.savefig(out, format=form, bbox_inches="tight", pad_inches=0.06, **options)
        return out.getvalue()


def markdown_image(png: bytes, alt: str = "") -> str:
    """The picture within the text, as Dagster's pages show it."""
    words = re.sub(r"[\[\]\\`<>]", "", printable(alt))
    return f"![{words}](data:image/png;base64,{base64.b64encode(png).decode()})"


def written(value: float, metric: str, *, sign: bool = False) -> str:
    """A number as people read it: tokens whole, seconds to 0.1, all else to 0.001.

    Less than a tenth of a second keeps three decimals, or retrieval would take "0.0" of them.
    """
    if not math.isfinite(value):
        raise ValueError(f"{metric} must be finite, got {value}")
    if "per second" in metric:
        places = 1
    elif "seconds" in metric:
        places = 3 if 0 < abs(value) < 0.1 else 1
    else:
        places = 0 if "tokens" in metric else 3
    text = f"{value:{'+' if sign else ''},.{places}f}"
    return text.lstrip("+-") if float(text.replace(",", "")) == 0 else text


def printable(text: str) -> str:
    """One line without the characters that XML, HTML or UTF-8 cannot hold."""
    return re.sub(
        r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", " ".join(text.split())
    )


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
    chosen = _chosen(figures, [metric], part)
    _cells(chosen, lambda f: (f.suite, f.dataset, f.variant))
    variants = _unique(f.variant for f in chosen)
    datasets = _unique(f.dataset for f in chosen)
    chosen.sort(key=lambda f: datasets.index(f.dataset))  # stable: variants stay as given
    heights: list[float] = []
    for i, f in enumerate(chosen):
        new = i > 0 and f.dataset != chosen[i - 1].dataset
        heights.append(heights[-1] + (1.7 if new else 1.0) if heights else 0.0)
    with _styled():
        sheet, (ax,) = _sheet([max(0.5, 0.21 * (heights[-1] + 1.6))])
        for i, (f, y) in enumerate(zip(chosen, heights, strict=True)):
            style = _style(variants.index(f.variant))
            ax.plot([f.low, f.high], [y, y], color=style["color"], lw=1.8, gid=f"whisker-{i}")
            ax.plot([f.value], [y], ls="", ms=6, gid=f"dot-{i}", **style)
            ax.annotate(
                f"{written(f.value, metric)} ({_counted([f])})", (1.01, y),
                xycoords=("axes fraction", "data"), va="center", fontsize=8,
            )  # fmt: skip
        middles = [_middle(d, chosen, heights) for d in datasets]
        ax.set_yticks(middles, [_label(d, 30) for d in datasets])
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")
        ax.set_ylim(heights[-1] + 0.8, -0.8)
        ax.set_xlim(*_limits(chosen, metric))
        _head(ax, title or metric, variants)
        return Plot(title or metric, sheet)


def steps(
    figures: Sequence[Figure],
    metrics: Sequence[str | tuple[str, ...]],
    *,
    part: str = ALL,
    title: str = "",
) -> Plot:
    """An ablation: the variants from left to right as given, a panel per entry of ``metrics``.

    Args:
        figures: those of other metrics or slices are left out.
        metrics: a panel each; a tuple shares one, e.g. ("seconds p50", "seconds p95").
        part: which slice.
        title: default: none.

    Raises:
        ValueError: a panel has nothing to draw, or two figures for one place.
    """
    panels = [(m,) if isinstance(m, str) else m for m in metrics]
    if not panels:
        raise ValueError("no metric given: name at least one to draw")
    chosen = [_chosen(figures, panel, part) for panel in panels]
    names = _unique(f.variant for f in figures if any(f in panel for panel in chosen))
    with _styled():
        sheet, axes = _sheet([1.35] * len(panels), gap=0.5, width=max(WIDTH, 0.78 * len(names)))
        for i, (ax, panel, drawn) in enumerate(zip(axes, panels, chosen, strict=True)):
            _step_panel(ax, i, panel, drawn, names)
            ax.set_xlim(-0.5, len(names) - 0.25)
            ax.set_xticks(range(len(names)), [""] * len(names))
        axes[-1].set_xticklabels(
            [_label(name, 36) for name in names], rotation=38, ha="right", rotation_mode="anchor"
        )
        if title:
            first = axes[0].get_position()
            sheet.text(first.x0, first.y1, f"{_label(title)}\n\n", weight="bold", fontsize=11)
        return Plot(title or "Step by step: " + ", ".join(m for p in panels for m in p), sheet)


def _step_panel(
    ax: "Axes", number: int, panel: Sequence[str], drawn: Sequence[Figure], names: Sequence[str]
) -> None:
    _cells(drawn, lambda f: (f.suite, f.dataset, f.metric, f.variant))
    series = _unique((f.dataset, f.metric) for f in drawn)
    for i, (dataset, metric) in enumerate(series):
        own = [f for f in drawn if (f.dataset, f.metric) == (dataset, metric)]
        own.sort(key=lambda f: names.index(f.variant))
        shift = 0.16 * (i - (len(series) - 1) / 2)
        xs = [names.index(f.variant) + shift for f in own]
        style = _style(i)
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
    low, high = _limits(drawn, panel[0])
    ax.set_ylim(low, high + 0.12 * (high - low))  # room for the numbers
    _ticks(ax.yaxis, panel[0])
    several = len({dataset for dataset, _ in series}) > 1
    labels = [d if len(panel) == 1 else f"{d}, {m}" if several else m for d, m in series]
    _head(ax, f"{', '.join(panel)} ({_counted(drawn)})", labels if len(series) > 1 else [], "right")


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
    with _styled():
        sheet, (ax,) = _sheet([3.2])
        for i, points in enumerate(curves.values()):
            ordered = sorted(points)
            xs, ys = [c for c, _ in ordered], [r for _, r in ordered]
            style = _style(i)
            ax.plot(xs, ys, color=style["color"], ls=DASHES[i % 4], lw=1.8, gid=f"curve-{i}")
            ax.plot(xs[-1:], ys[-1:], ls="", ms=6, clip_on=False, gid=f"end-{i}", **style)
        ax.set_xlim(0, 1)
        top = max(risk for points in curves.values() for _, risk in points)
        ax.set_ylim(0, min(1.0, max(0.05, 1.1 * top)))
        ax.set_xlabel("coverage: share of the questions answered")
        ax.set_ylabel("risk: share of those wrong")
        _head(ax, title, list(curves), dashes=True)
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
    with _styled():
        sheet, (ax,) = _sheet([3.2])
        names = []
        for i, (name, own) in enumerate(groups.items()):
            seconds = sorted(r.seconds for r in own)
            p50, p95 = (percentile(seconds, p) for p in (50, 95))
            style = _style(i)
            shares = [k / len(own) for k in range(len(own) + 1)]
            ax.step(
                [seconds[0], *seconds], shares, where="post", lw=1.6, color=style["color"],
                ls=DASHES[i % 4], gid=f"curve-{i}",
            )  # fmt: skip
            ax.plot([p50, p95], [0.5, 0.95], ls="", ms=6, gid=f"marks-{i}", **style)
            p50_p95 = f"p50 {written(p50, 'seconds')} s, p95 {written(p95, 'seconds')} s"
            names.append(f"{_label(name)}: {p50_p95}, n {len(own)}")
        low, high = (f(r.seconds for r in answered) for f in (min, max))
        if low > 0 and high > 20 * low:
            ax.set_xscale("log")
        else:
            ax.set_xlim(left=0)
        _ticks(ax.xaxis, "")
        n_failed = len(results) - len(answered)
        ax.set_xlabel("seconds" + (f" ({n_failed} failed, not drawn)" if n_failed else ""))
        ax.set_ylabel("share of the questions")
        ax.set_ylim(0, 1.03)
        _head(ax, title, names, dashes=True, columns=1)
        return Plot(title, sheet)


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
        for f in _chosen(figures, [metric], None if sliced else ALL)
        if not (sliced and of) or f.slice == ALL or f.slice.startswith(f"{of}=")
    ]
    if not chosen:
        raise ValueError(f"no figure of {metric!r} has a slice named {of!r}")
    cells = _cells(chosen, lambda f: (getattr(f, rows), getattr(f, columns)))
    downs, acrosses = _unique(r for r, _ in cells), _unique(c for _, c in cells)
    low = min(0.0, *(f.value for f in chosen))
    high = max(1.0 if _is_share(chosen, metric) else 0.0, *(f.value for f in chosen))
    with _styled():
        sheet, (ax,) = _sheet([0.44 * len(downs)], width=0.74 * len(acrosses))
        for (down, across), f in cells.items():
            at = (acrosses.index(across), downs.index(down))
            _heat_cell(ax, at, f, (f.value - low) / ((high - low) or 1))
        ax.set_xlim(0, len(acrosses))
        ax.set_ylim(len(downs), 0)
        _heat_names(ax, (rows, downs), (columns, acrosses))
        _head(ax, title or metric, [])
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
        axis.set_label_text(_label(prefixes.pop()) if one else kind)
        shown = [_label(n.partition("=")[2] if one and n != ALL else n, 30) for n in names]
        axis.set_ticks([i + 0.5 for i in range(len(names))], shown)
        if axis is ax.xaxis and max(len(name) for name in shown) > 9:
            ax.tick_params(axis="x", labelrotation=38)
            for label in ax.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")


@contextlib.contextmanager
def _styled() -> Iterator[None]:
    """Matplotlib's own defaults and ours over them, whatever the user's matplotlibrc says."""
    from matplotlib import style

    with style.context(["default", dict(STYLE)]):
        yield


def _sheet(
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


def _head(
    ax: "Axes",
    title: str,
    names: Sequence[str],
    place: Literal["above", "right"] = "above",
    *,
    dashes: bool = False,
    columns: int = 3,
) -> None:
    """Title, and under it (or beside the panel) the names of the series."""
    from matplotlib.lines import Line2D

    n_rows = 0
    if names:
        lines = [
            Line2D([], [], ls=DASHES[i % 4] if dashes else "", lw=1.6, ms=6, **_style(i))
            for i in range(len(names))
        ]
        columns = min(columns, len(names))
        n_rows = math.ceil(len(names) / columns) if place == "above" else 0
        where: dict[str, Any] = (
            {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0), "ncols": columns}
            if place == "above"
            else {"loc": "upper left", "bbox_to_anchor": (1.0, 1.05)}
        )
        # Matplotlib leaves out names that begin with "_", hence the names come afterwards.
        legend = ax.legend(lines, ["x"] * len(names), **where)
        for text, name in zip(legend.get_texts(), names, strict=True):
            text.set_text(_label(name, 90 if columns == 1 else 34))
    ax.set_title(_label(title), pad=6 + 14.5 * n_rows + (4 if n_rows else 0))


def _ticks(axis: Any, metric: str) -> None:  # noqa: ANN401 - matplotlib types no common axis
    """Thousands by comma, no powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def _style(i: int) -> dict[str, Any]:
    return {"color": PALETTE[i % len(PALETTE)], "marker": MARKERS[i % len(MARKERS)]}


def _chosen(figures: Sequence[Figure], metrics: Collection[str], part: str | None) -> list[Figure]:
    for metric in metrics:
        if not any(f.metric == metric and part in (None, f.slice) for f in figures):
            there = sorted({f.metric for f in figures if part in (None, f.slice)})
            where = "" if part is None else f" for slice {part!r}"
            raise ValueError(f"no figure of {metric!r}{where} to draw; metrics there: {there}")
    return [f for f in figures if f.metric in metrics and part in (None, f.slice)]


def _cells(figures: Sequence[Figure], key: Callable[[Figure], H]) -> dict[H, Figure]:
    cells: dict[H, Figure] = {}
    for figure in figures:
        place = key(figure)
        if place in cells:
            raise ValueError(f"two figures for {place}: pass those of one only")
        cells[place] = figure
    return cells


def _unique(items: Iterator[H]) -> list[H]:
    return list(dict.fromkeys(items))


def _middle(dataset: str, figures: Sequence[Figure], heights: Sequence[float]) -> float:
    own = [y for f, y in zip(figures, heights, strict=True) if f.dataset == dataset]
    return (own[0] + own[-1]) / 2


def _counted(figures: Sequence[Figure]) -> str:
    low, high = min(f.n for f in figures), max(f.n for f in figures)
    failed = max(f.n_failed for f in figures)
    return f"n {low if low == high else f'{low}-{high}'}" + (f", {failed} failed" if failed else "")


def _is_share(figures: Sequence[Figure], metric: str) -> bool:
    """A quality between 0 and 1, where no more than 1 can be reached."""
    costs = "seconds" in metric or "tokens" in metric
    return not costs and all(f.low >= 0 and f.high <= 1 for f in figures)


def _limits(figures: Sequence[Figure], metric: str) -> tuple[float, float]:
    """Costs from zero; qualities from where the data are, or small differences would vanish."""
    low, high = min(f.low for f in figures), max(f.high for f in figures)
    if _is_share(figures, metric):
        pad = max(0.08 * (high - low), 0.02)
        return max(-0.02, low - pad), min(1.02, high + pad)
    pad = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return (low - pad if low < 0 else 0.0), high + pad


def _label(text: str, width: int = 90) -> str:
    line = printable(text)
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


def _for_a_page(raw: bytes, title: str) -> str:
    """Matplotlib's file as an element of a page.

    Ids get a prefix of their own, because a page holds many pictures; what names the outside
    (DOCTYPE, metadata) goes, and so does the style sheet, which would apply to the whole page.
    """
    from lxml import etree

    root = etree.fromstring(raw, etree.XMLParser(remove_comments=True, resolve_entities=False))
    prefix = f"p{hashlib.sha256(raw).hexdigest()[:10]}-"
    xlink = "{http://www.w3.org/1999/xlink}href"
    for element in list(root.iter()):
        if etree.QName(element).localname in ("metadata", "style"):
            element.getparent().remove(element)
            continue
        if "id" in element.attrib:
            element.set("id", prefix + element.get("id"))
        if xlink in element.attrib:
            element.set("href", "#" + prefix + element.attrib.pop(xlink).removeprefix("#"))
        for name, value in element.attrib.items():
            if name in ("style", "clip-path", "fill", "stroke"):
                value = value.replace("url(#", f"url(#{prefix}")
                element.set(name, re.sub(re.escape(INK), "currentColor", value, flags=re.I))
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    root.set("role", "img")
    root.set("aria-label", printable(title))
    etree.cleanup_namespaces(root)
    return str(etree.tostring(root, encoding="unicode"))
