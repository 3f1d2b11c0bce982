"""A report of an evaluation: one HTML file that one can mail, and tables in Markdown.

The file needs nothing beside itself: pictures are SVG within it, and its one script (sorting and
filtering of cases) is a convenience. Questions and answers come from strangers: all text is
escaped, and the page's own policy forbids every request and every script but that one.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from rag_assets.evaluations.drawing import Plot, printable, written
from rag_assets.evaluations.results import ALL, CaseResult, Comparison, Figure

MAX_CASES = 500  # rows in one table; a browser sorts these without a pause
MAX_TEXT = 800  # characters of one question or answer
METRICS_ABREAST = 6  # columns that fit on a printed page
RIGHT = 0.5  # "correct" from which a case gets its mark


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report; what is empty is not shown.

    Attributes:
        title: in the table of contents as well.
        text: plain sentences; an empty line begins a paragraph.
        figures: in one table, a column per metric.
        comparisons: in one table, a row each.
        plots: by caption, a sentence on what is to be seen.
        cases: in a table that opens on a click, the first ``MAX_CASES`` of them.
    """

    title: str
    text: str = ""
    figures: Sequence[Figure] = ()
    comparisons: Sequence[Comparison] = ()
    plots: Mapping[str, Plot] = field(default_factory=dict)
    cases: Sequence[CaseResult] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, with what, and what came out.

    Attributes:
        title: of the page.
        facts: what one needs to repeat it: machine, date, generation, models, command, seed ...
        sections: in this order.
    """

    title: str
    facts: Mapping[str, str]
    sections: Sequence[Section]


class Cell(NamedTuple):
    """A number as written, its "[low, high]", and what differs from the row's, e.g. its n."""

    value: str
    interval: str = ""
    note: str = ""

    def __str__(self) -> str:
        """In one line."""
        return ", ".join(filter(None, [f"{self.value} {self.interval}".strip(), self.note]))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of names, then of numbers.

    Attributes:
        names: heads of the columns on the left, which hold words.
        numbers: heads of the columns that hold numbers.
        rows: the cells of each.
    """

    names: Sequence[str]
    numbers: Sequence[str]
    rows: Sequence[tuple[Sequence[str], Sequence[Cell]]]

    def markdown(self) -> str:
        """With what would end a cell or begin a tag escaped."""
        lines = [
            [*self.names, *self.numbers],
            [*("---" for _ in self.names), *("---:" for _ in self.numbers)],
            *([*names, *map(str, cells)] for names, cells in self.rows),
        ]
        escaped = [line if i == 1 else map(_escaped, line) for i, line in enumerate(lines)]
        return "\n".join(f"| {' | '.join(line)} |" for line in escaped) + "\n"


def render_report(report: Report) -> str:
    """The whole page; equal reports give equal text.

    Raises:
        ValueError: a section has two figures for one cell, or a number is not finite.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rag_assets", "evaluations"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_encodable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        sha256=_sha256, svg=lambda plot: Markup(plot.svg()), cut=_cut, verdict=_verdict,
        written=written,
    )  # fmt: skip
    environment.globals.update(
        figures_tables=_figures_tables, comparisons_table=_comparisons_table,
        MAX_CASES=MAX_CASES, MAX_TEXT=MAX_TEXT,
    )  # fmt: skip
    return environment.get_template("report.html.j2").render(report=report)


def figures_markdown(figures: Sequence[Figure], metrics: Sequence[str]) -> str:
    """A table with a row per dataset, slice and variant, and a column per metric.

    Args:
        figures: those of other metrics are left out.
        metrics: in this order.

    Raises:
        ValueError: none of the metrics is there, or two figures are for one cell.
    """
    chosen = [f for f in figures if f.metric in metrics]
    if not chosen:
        raise ValueError(f"no figure of {list(metrics)} among {len(figures)} figures")
    return _figures_table(chosen, metrics).markdown()


def comparisons_markdown(comparisons: Sequence[Comparison]) -> str:
    """A table with a row per comparison.

    Raises:
        ValueError: no comparison.
    """
    if not comparisons:
        raise ValueError("no comparison given: two variants need questions that both were asked")
    return _comparisons_table(comparisons).markdown()


def _figures_tables(figures: Sequence[Figure]) -> Iterator[Table]:
    """As many tables as it takes for each to fit on a page."""
    columns = list(dict.fromkeys(f.metric for f in figures))
    for start in range(0, len(columns), METRICS_ABREAST):
        some = columns[start : start + METRICS_ABREAST]
        yield _figures_table([f for f in figures if f.metric in some], some)


def _figures_table(figures: Sequence[Figure], metrics: Sequence[str]) -> Table:
    heads = [*_places(figures), "variant"]
    rows: dict[tuple[str, str, str, str], dict[str, Figure]] = {}
    for f in figures:
        row = rows.setdefault((f.suite, f.dataset, f.slice, f.variant), {})
        if f.metric in row:
            raise ValueError(f"two figures for {f.metric!r} of {f.dataset}/{f.variant}/{f.slice}")
        row[f.metric] = f
    table = []
    for row in rows.values():
        widest = max(row.values(), key=lambda f: f.n)
        n = Cell(_counted(widest))
        cells = [_figure_cell(row[m], widest) if m in row else Cell("-") for m in metrics]
        table.append(([getattr(widest, head) for head in heads], [n, *cells]))
    return Table(heads, ["n", *metrics], table)


def _places(lines: Sequence[Figure | Comparison]) -> list[str]:
    """Heads of the columns that say of what a line is: suite and slice where they differ."""
    suite = ["suite"] if len({line.suite for line in lines}) > 1 else []
    return [*suite, "dataset", *(["slice"] if {line.slice for line in lines} != {ALL} else [])]


def _figure_cell(f: Figure, widest: Figure) -> Cell:
    interval = f"[{written(f.low, f.metric)}, {written(f.high, f.metric)}]"
    same = (f.n, f.n_failed) == (widest.n, widest.n_failed)
    return Cell(written(f.value, f.metric), interval, "" if same else f"n {_counted(f)}")


def _counted(f: Figure) -> str:
    return f"{f.n:,}" + (f" ({f.n_failed:,} failed)" if f.n_failed else "")


def _comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    heads = [*_places(comparisons), "metric", "baseline", "other"]
    rows = []
    for c in comparisons:
        low, high = (written(end, c.metric, sign=True) for end in (c.low, c.high))
        cells = [
            Cell(written(c.difference, c.metric, sign=True), f"[{low}, {high}]"),
            Cell("<0.001" if c.p_value < 0.001 else f"{c.p_value:.3f}", note=c.test),
            Cell(f"{c.effect:+.2f}"),
            Cell(f"{c.n_better:,} / {c.n_worse:,}"),
            Cell(f"{c.n:,}"),
        ]
        rows.append(([getattr(c, head) for head in heads], cells))
    return Table(heads, ["difference", "p", "effect", "better / worse", "n"], rows)


def _verdict(case: CaseResult) -> str:
    """What becomes of a case; "" where nothing was answered."""
    correct = case.scores.get("correct")
    if case.error or correct is None:
        return "failed" if case.error else ""
    return "right" if correct >= RIGHT else "wrong"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT].rstrip() + " …"


def _escaped(text: str) -> str:
    return re.sub(r"([\\|<>`*])", r"\\\1", printable(text))


def _encodable(value: object) -> object:
    """Text as UTF-8 and HTML can hold it; what is markup already stays as it is."""
    if type(value) is not str:
        return value
    return "\n".join(printable(line) for line in value.split("\n"))


def _sha256(text: str) -> str:
    """Of a script, as a Content-Security-Policy names it."""
    return base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()
