"""What a suite's results look like: which figures, comparisons and plots, in which order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag_assets.evaluations import plots
from rag_assets.evaluations.drawing import Plot, markdown_image
from rag_assets.evaluations.figures import RATIO, compare, figures, ratios, risk_coverage
from rag_assets.evaluations.labels import DATASET as DOCUMENT_TYPES
from rag_assets.evaluations.report import Section, comparisons_markdown, figures_markdown
from rag_assets.evaluations.results import ALL, CaseResult, Comparison, Figure

QUALITY = ("correct", "contains", "em", "f1", "abstained", "followed false")
EVIDENCE = ("evidence recall", "answer in evidence", "citation precision", "citation recall")
TIMES = ("seconds p50", "seconds p95", "prompt tokens")
RELIABILITY = ("abstention precision", "abstention recall", "aurc", "overconfidence", "ece")
COST = (
    "seconds p50", "seconds p95", "seconds p99", "prompt tokens", "completion tokens",
    "core seconds", "cached prompt share", "cut answers",
)  # fmt: skip
BY_ROLE = tuple(
    f"{what} {role}"
    for role in ("slm", "llm")
    for what in ("seconds p50", "seconds p95", "seconds p99", "prompt tokens", "completion tokens",
                 "core seconds")
)  # fmt: skip
CLOSED = "closed book"
MAX_CURVES = 12  # that can be told apart in one picture


@dataclass(frozen=True, slots=True)
class Presented:
    """A suite's results, worked out.

    Attributes:
        figures: all of them.
        comparisons: those that the suite is about.
        sections: of the report.
        picture: of the main metric, for Dagster's page.
        headline: metrics of the table for Dagster's page and the terminal, the main one first.
        goal: a sentence below that table; "" if the suite has no goal.
    """

    figures: list[Figure]
    comparisons: list[Comparison]
    sections: list[Section]
    picture: Plot
    headline: tuple[str, ...]
    goal: str = ""

    def trends(self) -> dict[str, float]:
        """The first headline metric by variant, over all sets: what Dagster draws over time."""
        every = [f for f in whole(self.figures) if f.metric == self.headline[0]]
        one_set = len({f.dataset for f in every}) == 1
        found = [f for f in every if one_set or f.dataset == ALL]
        return {f"{f.metric}, {f.variant}": round(f.value, 4) for f in found}

    def markdown(self) -> dict[str, str]:
        """The main figures, the comparisons and the picture, for Dagster's page."""
        table = figures_markdown(whole(self.figures), self.headline)
        found = {"figures": f"{table}\n{self.goal}\n" if self.goal else table}
        if self.comparisons:
            found["comparisons"] = comparisons_markdown(self.comparisons)
        return {**found, "plot": markdown_image(self.picture.png(), self.picture.title)}


def closed_books(variants: Sequence[str]) -> list[tuple[str, str]]:
    """What each model knows by heart against what the product answers."""
    product = [v for v in variants if not v.startswith(CLOSED)]
    return [(closed, product[0]) for closed in variants if closed.startswith(CLOSED) and product]


def document_types_apart(result: CaseResult) -> str:
    """Labels of documents are no answers."""
    return result.dataset if result.dataset == DOCUMENT_TYPES else ALL


@dataclass(frozen=True, slots=True)
class View:
    """How a suite is shown; the defaults are for questions that are put to the product.

    Attributes:
        qualities: metrics of the first section.
        headline: metrics of the short table; the first one that there is is the main one.
        sliced: metrics of the section on slices.
        compared: metrics that are compared, in groups of which the first must be there.
        pairs: of the variants in their order, those to compare: (baseline, other).
        family: results of one family only are compared.
        picture: of the figures, the results and the main metric, by default its intervals.
        slice_pictures: of the figures, by caption; a table of slices is enough by default.
        has_latencies: draw how long answers took.
        ratio: metric of which the ratio of each pair is a figure, and of which the questions that
            differ are listed.
        goal: of the figures, a sentence that says whether the suite's own goal is reached; it
            stands above the costs.
    """

    qualities: tuple[str, ...] = QUALITY
    headline: tuple[str, ...] = (*QUALITY, *TIMES)
    sliced: tuple[str, ...] = ("correct", "abstained")
    compared: tuple[tuple[str, ...], ...] = (("correct",),)
    pairs: Callable[[Sequence[str]], list[tuple[str, str]]] = closed_books
    family: Callable[[CaseResult], str] = document_types_apart
    picture: Callable[[Sequence[Figure], Sequence[CaseResult], str], Plot] | None = None
    slice_pictures: Callable[[Sequence[Figure]], Mapping[str, Plot]] | None = None
    has_latencies: bool = True
    ratio: str = ""
    goal: Callable[[Sequence[Figure]], str] = lambda _: ""


def present(suite: str, results: Sequence[CaseResult], view: View, *, seed: int) -> Presented:
    """Figures, comparisons and sections of one suite.

    Raises:
        ValueError: no results.
    """
    if not results:
        raise ValueError(f"suite {suite} has no results: do the slices asked for exist?")
    found = figures(results, seed=seed)
    compared = list(_comparisons(results, view, seed))
    for baseline, other in _ratio_pairs(results, view):
        found += ratios(results, baseline, other, view.ratio, seed=seed)
    metrics = {figure.metric for figure in found}
    shown_first = (*view.headline[:1], f"{RATIO}{view.ratio}", *view.headline[1:])
    headline = tuple(metric for metric in shown_first if metric in metrics)
    if view.picture is None:
        picture = plots.intervals(found, headline[0])
    else:
        picture = view.picture(found, results, headline[0])
    quality = Section(
        "Quality",
        "Means with 95 % intervals (percentile bootstrap over questions). A question that failed "
        "counts as wrong; a metric that does not apply to a question is not averaged in.",
        [f for f in whole(found) if f.metric in (*view.qualities, f"{RATIO}{view.ratio}")],
        plots={f"{headline[0]}, with 95 % intervals.": picture},
    )
    sections = [quality, *_sections(results, found, compared, view)]
    shown = [s for s in sections if s.figures or s.comparisons or s.cases]
    return Presented(found, compared, shown, picture, headline, view.goal(found))


def _ratio_pairs(results: Sequence[CaseResult], view: View) -> list[tuple[str, str]]:
    if not view.ratio:
        return []
    return view.pairs(list(dict.fromkeys(r.variant for r in results if view.ratio in r.scores)))


def _that_differ(results: Sequence[CaseResult], view: View) -> Iterator[CaseResult]:
    """Both results of each question in which a pair of variants differs, side by side."""
    scored = {(r.variant, r.dataset, r.case_id): r for r in results if view.ratio in r.scores}
    for baseline, other in _ratio_pairs(results, view):
        for (variant, dataset, case), one in scored.items():
            two = scored.get((other, dataset, case)) if variant == baseline else None
            if two is not None and one.scores[view.ratio] != two.scores[view.ratio]:
                yield from (one, two)


def _comparisons(results: Sequence[CaseResult], view: View, seed: int) -> Iterator[Comparison]:
    groups: dict[str, list[CaseResult]] = {}
    for result in results:
        groups.setdefault(view.family(result), []).append(result)
    for group in groups.values():
        for metrics in view.compared:
            having = [result for result in group if metrics[0] in result.scores]
            variants = list(dict.fromkeys(result.variant for result in having))
            for baseline, other in view.pairs(variants):
                yield from compare(having, baseline, other, metrics, seed=seed)


def _sections(
    results: Sequence[CaseResult],
    found: Sequence[Figure],
    compared: Sequence[Comparison],
    view: View,
) -> Iterator[Section]:
    """What follows the quality; some may be empty."""

    def of(metrics: Sequence[str]) -> list[Figure]:
        return [f for f in whole(found) if f.metric in metrics]

    answered = [r for r in results if "correct" in r.scores]
    yield Section(
        "Comparisons",
        "The same questions under two variants. The p-values are not corrected for the number of "
        "comparisons.",
        comparisons=compared,
    )
    differ = list(_that_differ(results, view))
    yield Section(
        "Questions that differ",
        f'Both answers to each question whose two variants differ in "{view.ratio}".',
        cases=differ or None,
    )
    yield Section(
        "Evidence and citations",
        "What the models were given to read, and what the answers cite, by document.",
        of(EVIDENCE),
    )
    yield Section(
        "Reliability",
        "Abstaining is right where the documents do not answer. Confidence is the geometric mean "
        "of the probabilities of the answer's tokens.",
        of(RELIABILITY),
        plots=_risks(answered),
    )
    yield Section(
        "Slices",
        "Slices of at least five questions.",
        [f for f in found if f.slice != ALL and f.metric in view.sliced],
        plots=view.slice_pictures(found) if view.slice_pictures else {},
    )
    yield Section(
        "Time, tokens, cost",
        "One question at a time, unless the variant says otherwise. A question whose model calls "
        "were replayed counts with the seconds and core seconds that they took when they were "
        f"made.\n\n{view.goal(found)}".rstrip(),
        of((*COST, *BY_ROLE)),
        plots=_times(answered) if view.has_latencies else {},
    )
    yield Section("Questions and answers", cases=answered)


def _risks(answered: Sequence[CaseResult]) -> dict[str, Plot]:
    curves = {
        f"{dataset}, {variant}": points
        for (_, dataset, variant), points in risk_coverage(answered).items()
        if dataset == ALL or len({r.dataset for r in answered}) == 1
    }
    caption = "Wrong answers if only the surest are given."
    return {caption: plots.risk_coverage(curves)} if 0 < len(curves) <= MAX_CURVES else {}


def _times(answered: Sequence[CaseResult]) -> dict[str, Plot]:
    timed = [r for r in answered if r.seconds and not r.variant.startswith(CLOSED) and not r.error]
    return {"Share answered within a time.": plots.latencies(timed)} if timed else {}


def whole(found: Sequence[Figure]) -> list[Figure]:
    """Figures of all questions, not of a slice."""
    return [figure for figure in found if figure.slice == ALL]
