"""What each suite's results look like: which figures, comparisons and plots, in which order."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rag_assets.evaluations import plots
from rag_assets.evaluations.figures import compare, figures, risk_coverage
from rag_assets.evaluations.labels import DATASET as DOCUMENT_TYPES
from rag_assets.evaluations.plots import Plot
from rag_assets.evaluations.report import (
    Picture,
    Section,
    comparisons_markdown,
    figures_markdown,
)
from rag_assets.evaluations.results import ALL, CaseResult, Comparison, Figure

QUALITY = ("correct", "contains", "em", "f1", "abstained", "followed false")
EVIDENCE = ("evidence recall", "answer in evidence", "citation precision", "citation recall")
RANKING = ("ndcg@10", "recall@5", "recall@10", "recall@100", "mrr@10", "map@100")
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


@dataclass(frozen=True, slots=True)
class Presented:
    """A suite's results, worked out.

    Attributes:
        figures: all of them.
        comparisons: those that the suite is about.
        sections: of the report.
        picture: of the main metric, for Dagster's page.
        headline: metrics of the table for Dagster's page and the terminal, the main one first.
    """

    figures: list[Figure]
    comparisons: list[Comparison]
    sections: list[Section]
    picture: Plot
    headline: tuple[str, ...]

    def trends(self) -> dict[str, float]:
        """The first headline metric by variant, over all sets: what Dagster draws over time."""
        whole = [f for f in _whole(self.figures) if f.metric == self.headline[0]]
        of_all = [f for f in whole if f.dataset == ALL]
        one_set = len({f.dataset for f in whole}) == 1
        found = whole if one_set else of_all
        return {f"{f.metric}, {f.variant}": round(f.value, 4) for f in found}

    def markdown(self) -> dict[str, str]:
        """The main figures, the comparisons and the picture, for Dagster's page."""
        found = {"figures": figures_markdown(_whole(self.figures), self.headline)}
        if self.comparisons:
            whole = [c for c in self.comparisons if c.slice == ALL]
            found["comparisons"] = comparisons_markdown(whole)
        return {**found, "plot": plots.markdown_image(self.picture.png(), self.picture.title)}


def present(suite: str, results: Sequence[CaseResult], *, seed: int) -> Presented:
    """Figures, comparisons and sections of one suite.

    Raises:
        ValueError: no results.
    """
    if not results:
        raise ValueError(f"suite {suite} has no results: do the slices asked for exist?")
    found = figures(results, seed=seed)
    compared = list(_comparisons(suite, results, seed))
    metrics = {figure.metric for figure in found}
    is_ranking = "correct" not in metrics
    main = "ndcg@10" if is_ranking else "correct"
    headline = tuple(
        m
        for m in (
            RANKING[:5] if is_ranking else (*QUALITY, "seconds p50", "seconds p95", "prompt tokens")
        )
        if m in metrics
    )
    if suite == "ablation":
        asked = _asked(found, results)
        picture = plots.steps(asked, _panels(main, asked))
    else:
        picture = plots.intervals(found, main)
    sections = list(_sections(suite, results, found, compared, picture, main))
    return Presented(found, compared, sections, picture, headline)


SPECIFIC = (
    "tokens read per second", "tokens written per second", "wall seconds an answer",
    "variance of correctness", "flips",
)  # fmt: skip


def pairs(suite: str, results: Sequence[CaseResult]) -> list[tuple[str, str]]:
    """(baseline, other) variants that the suite is about."""
    variants = list(dict.fromkeys(result.variant for result in results))
    product = [v for v in variants if not v.startswith(CLOSED)]
    if suite == "ablation":
        neighbours = list(itertools.pairwise(product))
        return [*neighbours, *((product[0], other) for other in product[2:])]
    if suite == "ladders":  # "slm bf16", "llm, first": each model has a baseline of its own
        baselines: dict[str, str] = {}
        own = {v: baselines.setdefault(_model_of(v), v) for v in product}
        return [(baseline, other) for other, baseline in own.items() if baseline != other]
    if "hybrid" in variants:
        return [(v, "hybrid") for v in variants if v in ("bm25", "vectors")]
    return [(closed, product[0]) for closed in variants if closed.startswith(CLOSED) and product]


def _model_of(variant: str) -> str:
    found = re.match(r"(slm|llm)\b.", variant)
    return found[1] if found else ""


def _family(suite: str, result: CaseResult) -> str:
    """Results whose variants are of one kind: a ladder; an ablation's answers, rankings, labels."""
    if suite == "ladders":
        return result.dataset
    if suite == "ablation" and "ndcg@10" in result.scores:
        return "rankings"
    return result.dataset if result.dataset == DOCUMENT_TYPES else ALL


def _comparisons(suite: str, results: Sequence[CaseResult], seed: int) -> Iterator[Comparison]:
    groups: dict[str, list[CaseResult]] = {}
    for result in results:
        groups.setdefault(_family(suite, result), []).append(result)
    for group in groups.values():
        for metrics in (("ndcg@10", "recall@10"), ("correct",)):
            having = [result for result in group if metrics[0] in result.scores]
            for baseline, other in pairs(suite, having):
                yield from compare(having, baseline, other, metrics, seed=seed)


def _sections(
    suite: str,
    results: Sequence[CaseResult],
    found: Sequence[Figure],
    compared: Sequence[Comparison],
    picture: Plot,
    main: str,
) -> Iterator[Section]:
    whole = _whole(found)
    answered = [r for r in results if "correct" in r.scores]
    yield Section(
        "Quality",
        "Means with 95 % intervals (percentile bootstrap over questions). A question that failed "
        "counts as wrong; a metric that does not apply to a question is not averaged in.",
        [f for f in whole if f.metric in (*QUALITY, *RANKING)],
        plots=[Picture(picture.svg(), f"{main}, with 95 % intervals.")],
    )
    if compared:
        yield Section(
            "Comparisons",
            "The same questions under two variants. The p-values are not corrected for the number "
            "of comparisons.",
            comparisons=compared,
        )
    if not answered:
        yield Section("Slices", figures=_sliced(found, RANKING[:3]))
        return
    if any(f.metric in EVIDENCE for f in whole):
        yield Section(
            "Evidence and citations",
            "What the models were given to read, and what the answers cite, by document.",
            [f for f in whole if f.metric in EVIDENCE],
        )
    own = [f for f in whole if f.metric in SPECIFIC]
    if own:
        yield Section("Figures of single ladders", figures=own)
    yield from _reliability(answered, whole)
    yield from _by_slice(suite, found)
    use = [f for f in whole if f.metric in (*COST, *BY_ROLE)]
    if use:
        timed = [
            r for r in answered if r.seconds and not r.variant.startswith(CLOSED) and not r.error
        ]
        yield Section(
            "Time, tokens, cost",
            "One question at a time, unless the variant says otherwise. A question whose model "
            "calls were replayed counts with the seconds and core seconds that they took when they "
            "were made.",
            use,
            plots=[_picture(lambda: plots.latencies(timed), "Share answered within a time.")]
            if timed and suite != "ablation"
            else (),
        )
    yield Section("Questions and answers", cases=answered)


def _reliability(answered: Sequence[CaseResult], whole: Sequence[Figure]) -> Iterator[Section]:
    found = [f for f in whole if f.metric in RELIABILITY]
    if not found:
        return
    curves = {
        f"{dataset}, {variant}": points
        for (_, dataset, variant), points in risk_coverage(answered).items()
        if dataset == ALL or len({r.dataset for r in answered}) == 1
    }
    drawn = [plots.risk_coverage(curves)] if 0 < len(curves) <= 12 else []
    yield Section(
        "Reliability",
        "Abstaining is right where the documents do not answer. Confidence is the geometric mean "
        "of the probabilities of the answer's tokens.",
        found,
        plots=[Picture(p.svg(), "Wrong answers if only the surest are given.") for p in drawn],
    )


def _by_slice(suite: str, found: Sequence[Figure]) -> Iterator[Section]:
    sliced = _sliced(found, ("correct", "abstained", "ndcg@10"))
    if not sliced:
        return
    drawn = []
    if suite == "languages":
        for metric in ("ndcg@10", "correct"):
            of_language = [f for f in found if f.slice.startswith("language=")]
            if any(f.metric == metric for f in of_language):
                plot = plots.heat(of_language, metric, "slice", "variant", of="language")
                drawn.append(Picture(plot.svg(), f"{metric} by language."))
    yield Section("Slices", "Slices of at least five questions.", sliced, plots=drawn)


def _picture(draw: Callable[[], Plot], caption: str) -> Picture:
    return Picture(draw().svg(), caption)


def _whole(found: Sequence[Figure]) -> list[Figure]:
    return [figure for figure in found if figure.slice == ALL]


def _panels(main: str, shown: Sequence[Figure]) -> list[str | tuple[str, ...]]:
    """Quality, tokens, time; the 95th percentile needs twenty questions."""
    metrics = {figure.metric for figure in shown}
    times = tuple(name for name in ("seconds p50", "seconds p95") if name in metrics)
    panels = [name for name in (main, "prompt tokens") if name in metrics]
    return [*panels, times] if times else list(panels)


def _asked(found: Sequence[Figure], results: Sequence[CaseResult]) -> list[Figure]:
    """Figures of sets whose questions were put to models with documents."""
    asked = {r.dataset for r in results if r.use}
    return [f for f in _whole(found) if f.dataset in asked and not f.variant.startswith(CLOSED)]


def _sliced(found: Sequence[Figure], metrics: Sequence[str]) -> list[Figure]:
    return [figure for figure in found if figure.slice != ALL and figure.metric in metrics]
