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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_assets.evaluations.results import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

INK = "#1b1e23"
# Okabe and Ito's colours, told apart by colour-blind readers; their yellow is too pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
MARKERS = ("o", "s", "D", "^", "v")  # 5 and 7 share no divisor: 35 series look different
DASHES = ("-", "--", "-.", ":")
WIDTH = 7.4  # inches of the plotting area
SALT = "rag_assets"
STYLE: Mapping[str, Any] = {
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "grid.color", "xtick.color",
         "ytick.color"), INK,
    ),
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
    "grid.alpha": 0.13,
    "grid.linewidth": 0.7,
    "text.parse_math": False,  # a "$" in a label is a dollar
    "legend.frameon": False,
    "legend.fontsize": 9,
}  # fmt: skip


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


def panel_of(height: float) -> tuple["Sheet", "Axes"]:
    """A panel of fixed inches; saving cuts the sheet to what is drawn on it."""
    from matplotlib.figure import Figure as Sheet

    margin = 1.0
    across, down = WIDTH + 2 * margin, height + 2 * margin
    sheet = Sheet(figsize=(across, down))
    return sheet, sheet.add_axes((margin / across, margin / down, WIDTH / across, height / down))


def head(
    ax: "Axes", title: str, names: Sequence[str], *, dashes: bool = False, columns: int = 3
) -> None:
    """Title, and under it the names of the series."""
    n_rows = -(-len(names) // columns)
    if names:
        legend(
            ax, names, dashes=dashes, loc="lower left", bbox_to_anchor=(-0.01, 1.0),
            ncols=min(columns, len(names)),
        )  # fmt: skip
    ax.set_title(shortened(title), pad=6 + 14.5 * n_rows + (4 if n_rows else 0))


def legend(
    ax: "Axes",
    names: Sequence[str],
    *,
    dashes: bool = False,
    **where: Any,  # noqa: ANN401
) -> None:
    """The names of the series, in matplotlib's terms of where."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], ls=DASHES[i % 4] if dashes else "", lw=1.6, ms=6, **style_of(i))
        for i in range(len(names))
    ]
    # Matplotlib leaves out names that begin with "_", hence the names come afterwards.
    drawn = ax.legend(lines, ["x"] * len(names), **where)
    for text, name in zip(drawn.get_texts(), names, strict=True):
        text.set_text(shortened(name, 90 if where.get("ncols") == 1 else 34))


def ticks(axis: Any) -> None:  # noqa: ANN401 - matplotlib types no common axis
    """Thousands by comma, no powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def style_of(i: int) -> dict[str, Any]:
    """Colour and marker of a series."""
    return {"color": PALETTE[i % len(PALETTE)], "marker": MARKERS[i % len(MARKERS)]}


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
