"""What pictures of figures are drawn with: SVG that a page can hold, PNG for Dagster's pages.

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

from rag_assets.evaluations.results import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

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

    def png(self) -> bytes:
        """On white."""
        nothing = {"Software": None}
        return self._saved("png", facecolor="white", dpi=110, metadata=nothing)

    def _saved(self, form: str, **options: Any) -> bytes:  # noqa: ANN401 - savefig's own
        out = io.BytesIO()
        with styled(), warnings.catch_warnings():
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


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's own defaults and ours over them, whatever the user's matplotlibrc says."""
    from matplotlib import style

    with style.context(["default", dict(STYLE)]):
        yield


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


def head(
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
            Line2D([], [], ls=DASHES[i % 4] if dashes else "", lw=1.6, ms=6, **style_of(i))
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
            text.set_text(shortened(name, 90 if columns == 1 else 34))
    ax.set_title(shortened(title), pad=6 + 14.5 * n_rows + (4 if n_rows else 0))


def ticks(axis: Any, metric: str) -> None:  # noqa: ANN401 - matplotlib types no common axis
    """Thousands by comma, no powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def style_of(i: int) -> dict[str, Any]:
    """Colour and marker of a series."""
    return {"color": PALETTE[i % len(PALETTE)], "marker": MARKERS[i % len(MARKERS)]}


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


def is_share(figures: Sequence[Figure], metric: str) -> bool:
    """A quality between 0 and 1, where no more than 1 can be reached."""
    costs = "seconds" in metric or "tokens" in metric
    return not costs and all(f.low >= 0 and f.high <= 1 for f in figures)


def limits_of(figures: Sequence[Figure], metric: str) -> tuple[float, float]:
    """Costs from zero; qualities from where the data are, or small differences would vanish."""
    low, high = min(f.low for f in figures), max(f.high for f in figures)
    if is_share(figures, metric):
        pad = max(0.08 * (high - low), 0.02)
        return max(-0.02, low - pad), min(1.02, high + pad)
    pad = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return (low - pad if low < 0 else 0.0), high + pad


def shortened(text: str, width: int = 90) -> str:
    """One line of at most so many characters."""
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
