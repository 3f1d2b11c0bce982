"""From the results of single questions to figures with intervals, and to comparisons of variants.

Figures are made for each dataset and variant, for all its cases and for each slice of them that
holds at least ``MIN_SLICE`` and not all. Where a variant has several datasets of a suite there are
lines for the dataset "all" as well, in which each case (not each dataset) counts the same.

What a figure is over differs, and its ``n`` says how many cases that were:

* a score (any key of ``CaseResult.scores``): its mean over the cases that have it. A question that
  failed has the scores of a wrong answer and thus counts as one.
* abstention precision, the share of the abstentions whose question has no answer; abstention
  recall, the share of such questions that were abstained from (Rajpurkar, Jia, Liang, "Know What
  You Don't Know", ACL 2018). Only where answers were given, so not for retrieval alone.
* aurc: over the answers with a known confidence, the abstentions and the failures; the latter two
  with confidence 0.
* overconfidence (mean confidence minus accuracy, above 0 if too sure; Lichtenstein, Fischhoff,
  Phillips, "Calibration of Probabilities", 1982), ece: over the answers with a known confidence.
* seconds p50, p95, p99: over the questions that did not fail; those of a model role ("seconds p50
  slm") over the ones of these that used it.
* prompt tokens, completion tokens, core seconds: means over the questions that did not fail, of all
  model roles together or of one ("prompt tokens slm"). A question that did not use the role counts
  with 0, so the roles add up to the whole.
* cached prompt share: cached prompt tokens over all prompt tokens, over the questions that did not
  fail and had any.
* cut answers: share of the questions where a model stopped at its token limit, over those where
  one wrote.

All intervals are 95 % percentile bootstrap intervals over the cases, widened to the figure itself
where that lies outside (the ECE of a resample is mostly higher than that of the sample).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from rag_assets.evaluations import calibration
from rag_assets.evaluations.results import ALL, CaseResult, Comparison, Figure, ModelUse
from rag_assets.evaluations.statistics import (
    SEED,
    Counts,
    Floats,
    Statistic,
    bootstrap,
    cohens_dz,
    cohens_g,
    mcnemar_exact,
    mean_interval,
    mean_of,
    paired_bootstrap_p,
    percentile_of,
    point,
    ratio_interval,
)

MIN_SLICE = 5  # cases; an interval over fewer says nothing
CORRECT = "correct"  # the score that confidences are held against
PERCENTILES = (50, 95, 99)
RATIO = "ratio of "  # begins the name of a figure

Values = dict[int, float]  # index of a case in its group -> its value of some metric


class _Group(NamedTuple):
    """Cases that figures are made of."""

    suite: str
    dataset: str
    variant: str
    slice: str
    cases: Sequence[CaseResult]


class _Measure(NamedTuple):
    """What is measured: a statistic of some cases of a group, by their indices."""

    metric: str
    over: tuple[int, ...]
    statistic: Statistic


def figures(results: Sequence[CaseResult], *, seed: int = SEED) -> list[Figure]:
    """All figures of some results, in the order in which suites, variants and datasets occur.

    Args:
        results: of any suites, datasets and variants.
        seed: of the bootstrap.

    Raises:
        ValueError: a number is not finite (a metric that does not apply must be absent), a case
            occurs twice, or a dataset is named "all".
    """
    _check(results)
    return [figure for group in _groups(results) for figure in _figures_of(group, seed)]


def compare(
    results: Sequence[CaseResult],
    baseline: str,
    other: str,
    metrics: Sequence[str],
    *,
    seed: int = SEED,
) -> list[Comparison]:
    """Two variants on the questions that both were asked, joined by dataset and case id.

    A pair counts for a metric where both cases have it; a combination without such pairs yields no
    line. The test is McNemar's exact one where all values are 0 or 1, else the paired bootstrap.
    The p-values are not corrected for the number of comparisons.

    Args:
        results: with both variants.
        baseline: variant compared with.
        other: variant compared.
        metrics: scores to compare.
        seed: of the bootstrap.

    Returns:
        Per suite: for each dataset (and "all"), one line per metric.

    Raises:
        ValueError: as :func:`figures`, or one of the variants does not occur.
    """
    return [
        _comparison(group, other, metric, scored, seed)
        for group, metric, scored, _ in _paired(results, baseline, other, metrics)
    ]


def ratios(
    results: Sequence[CaseResult], baseline: str, other: str, metric: str, *, seed: int = SEED
) -> list[Figure]:
    """The mean of ``other`` over that of ``baseline``, on the questions that both were asked.

    For each dataset (and "all") one figure ``ratio of METRIC``, under a variant that names both.
    Where the baseline's mean is 0 there is no ratio, and no figure. The interval is over the
    resamples that have one.

    Raises:
        ValueError: as :func:`compare`.
    """
    return [
        Figure(
            group.suite, group.dataset, f"{other} / {baseline}", group.slice, f"{RATIO}{metric}",
            float(scored[:, 1].sum() / scored[:, 0].sum()),
            *ratio_interval(scored[:, 1], scored[:, 0], seed=seed), len(scored), n_failed,
        )
        for group, metric, scored, n_failed in _paired(results, baseline, other, [metric])
        if scored[:, 0].any()
    ]  # fmt: skip


def _paired(
    results: Sequence[CaseResult], baseline: str, other: str, metrics: Sequence[str]
) -> Iterator[tuple[_Group, str, Floats, int]]:
    """Per group and metric: the values (n, 2) of baseline and other, and how many cases failed."""
    _check(results)
    variants = {result.variant for result in results}
    if missing := {baseline, other} - variants:
        raise ValueError(f"no results of {sorted(missing)}; there are {sorted(variants)}")
    others = {_key(r): r for r in results if r.variant == other}
    shared = [r for r in results if r.variant == baseline and _key(r) in others]
    for group in _groups(shared, sliced=False):
        for metric in metrics:
            pairs = [
                (case, others[_key(case)])
                for case in group.cases
                if metric in case.scores and metric in others[_key(case)].scores
            ]
            if pairs:
                scored = [(a.scores[metric], b.scores[metric]) for a, b in pairs]
                n_failed = sum(bool(a.error or b.error) for a, b in pairs)
                yield group, metric, np.array(scored, float), n_failed


def risk_coverage(
    results: Sequence[CaseResult],
) -> dict[tuple[str, str, str], list[tuple[float, float]]]:
    """Points (coverage, risk) to plot, by (suite, dataset, variant), where confidences are known.

    Over the same cases as the figure "aurc", which is the mean of these risks.

    Raises:
        ValueError: as :func:`figures`.
    """
    _check(results)
    curves = {}
    for group in _groups(results, sliced=False):
        if rated := _rated(group.cases):
            coverage, risk = calibration.risk_coverage(*_columns(rated))
            points = zip(coverage.tolist(), risk.tolist(), strict=True)
            curves[group.suite, group.dataset, group.variant] = list(points)
    return curves


def _check(results: Sequence[CaseResult]) -> None:
    seen = set()
    for result in results:
        name = f"{result.suite}/{result.dataset}/{result.variant}/{result.case_id}"
        if result.dataset == ALL:
            raise ValueError(f"{name}: the name {ALL!r} is taken by the line over all datasets")
        if name in seen:
            raise ValueError(f"{name} occurs twice; a variant answers a question once")
        seen.add(name)
        numbers = {**result.scores, "seconds": result.seconds, "confidence": result.confidence or 0}
        for role, use in result.use.items():
            numbers[f"seconds of {role}"] = use.seconds
            numbers[f"core seconds of {role}"] = use.core_seconds
        for what, value in numbers.items():
            if not math.isfinite(value):
                raise ValueError(f"{name}: {what} is {value}; leave out what does not apply")


def _key(result: CaseResult) -> tuple[str, str, str]:
    return result.suite, result.dataset, result.case_id


def _groups(results: Iterable[CaseResult], *, sliced: bool = True) -> Iterator[_Group]:
    variants: dict[tuple[str, str], dict[str, list[CaseResult]]] = {}
    for result in results:
        datasets = variants.setdefault((result.suite, result.variant), {})
        datasets.setdefault(result.dataset, []).append(result)
    for (suite, variant), datasets in variants.items():
        if len(datasets) > 1:
            datasets[ALL] = [case for cases in datasets.values() for case in cases]
        for dataset, cases in datasets.items():
            yield _Group(suite, dataset, variant, ALL, cases)
            for name, some in _slices(cases).items() if sliced else ():
                if MIN_SLICE <= len(some) < len(cases):
                    yield _Group(suite, dataset, variant, name, some)


def _slices(cases: Sequence[CaseResult]) -> dict[str, list[CaseResult]]:
    slices: dict[str, list[CaseResult]] = {}
    for case in cases:
        for name, value in case.slices.items():
            slices.setdefault(f"{name}={value}", []).append(case)
    return slices


def _figures_of(group: _Group, seed: int) -> Iterator[Figure]:
    measures = list(_measures(group.cases))
    alike: dict[tuple[int, ...], list[_Measure]] = {}
    for measure in measures:
        alike.setdefault(measure.over, []).append(measure)
    intervals: dict[str, Floats] = {}
    for over, some in alike.items():  # those over the same cases share their resamples
        statistics = [measure.statistic for measure in some]
        ends = bootstrap(_together(statistics), len(over), seed=seed)
        intervals |= zip((measure.metric for measure in some), ends.T, strict=True)
    for metric, over, statistic in measures:
        value = point(statistic, len(over))
        low, high = intervals[metric] if len(over) > 1 else (value, value)
        n_failed = sum(bool(group.cases[index].error) for index in over)
        yield Figure(
            group.suite, group.dataset, group.variant, group.slice, metric, value,
            min(float(low), value), max(float(high), value), len(over), n_failed,
        )  # fmt: skip


def _together(statistics: Sequence[Statistic]) -> Statistic:
    return lambda counts: np.stack([statistic(counts) for statistic in statistics], axis=1)


def _measures(cases: Sequence[CaseResult]) -> Iterator[_Measure]:
    # Of those timed: no failures, and no rankings or labels, which nobody waited for.
    timed = {index: case for index, case in enumerate(cases) if not case.error and case.seconds}
    uses = _uses(timed)
    yield from _means({**_scores(cases), **_abstention(cases)})
    yield from _calibration(cases)
    yield from _seconds(timed, uses)
    yield from _means({**_usage(uses), "cut answers": _cut(cases)})
    for suffix, of_cases in uses.items():
        read = {index: use for index, use in of_cases.items() if use.prompt_tokens}
        if read:
            share = _cached_share(list(read.values()))
            yield _Measure(f"cached prompt share{suffix}", tuple(read), share)


def _means(metrics: Mapping[str, Values]) -> Iterator[_Measure]:
    for metric, values in metrics.items():
        if values:
            yield _Measure(metric, tuple(values), mean_of(list(values.values())))


def _scores(cases: Sequence[CaseResult]) -> dict[str, Values]:
    scores: dict[str, Values] = {}
    for index, case in enumerate(cases):
        for metric, value in case.scores.items():
            scores.setdefault(metric, {})[index] = value
    return scores


def _abstention(cases: Sequence[CaseResult]) -> dict[str, Values]:
    if not any(case.answer or case.abstained for case in cases):
        return {}
    known = list(enumerate(cases))
    return {
        "abstention precision": {i: not case.answerable for i, case in known if case.abstained},
        "abstention recall": {i: case.abstained for i, case in known if not case.answerable},
    }


def _calibration(cases: Sequence[CaseResult]) -> Iterator[_Measure]:
    rated = _rated(cases)
    if not rated:
        return
    yield _Measure("aurc", tuple(rated), calibration.aurc(*_columns(rated)))
    answered = {index: pair for index, pair in rated.items() if _is_answer(cases[index])}
    sure, right = _columns(answered)
    yield _Measure("overconfidence", tuple(answered), mean_of(sure - right))
    yield _Measure("ece", tuple(answered), calibration.calibration_error(sure, right))


def _is_answer(case: CaseResult) -> bool:
    return not case.abstained and not case.error


def _rated(cases: Sequence[CaseResult]) -> dict[int, tuple[float, float]]:
    """(Confidence, correct) by index; empty where no answer's confidence is known."""
    sure = {i: case.confidence if _is_answer(case) else 0.0 for i, case in enumerate(cases)}
    rated = {
        index: (confidence, cases[index].scores[CORRECT])
        for index, confidence in sure.items()
        if confidence is not None and CORRECT in cases[index].scores
    }
    return rated if any(_is_answer(cases[index]) for index in rated) else {}


def _columns(rated: Mapping[int, tuple[float, float]]) -> tuple[Floats, Floats]:
    sure, right = np.array(list(rated.values()), dtype=np.float64).T
    return sure, right


def _uses(timed: Mapping[int, CaseResult]) -> dict[str, dict[int, ModelUse]]:
    """By suffix of the metrics, for all roles together ("") and each (" slm"), by index."""
    used = [pair for case in timed.values() for pair in case.use.items()]
    called = dict.fromkeys(role for role, use in used if use.calls)
    if not called:
        return {}
    all_roles = {i: reduce(ModelUse.plus, c.use.values(), ModelUse()) for i, c in timed.items()}
    return {"": all_roles} | {
        f" {role}": {i: case.use.get(role, ModelUse()) for i, case in timed.items()}
        for role in called
    }


def _seconds(
    timed: Mapping[int, CaseResult], uses: Mapping[str, Mapping[int, ModelUse]]
) -> Iterator[_Measure]:
    waited = {"": {index: case.seconds for index, case in timed.items()}}
    for suffix, of_cases in uses.items():
        if suffix:
            waited[suffix] = {i: use.seconds for i, use in of_cases.items() if use.calls}
    for suffix, values in waited.items():
        for percent in PERCENTILES:
            if (percent > 50 and len(values) * (100 - percent) < 100) or not values:
                continue  # it would be the maximum
            statistic = percentile_of(list(values.values()), percent)
            yield _Measure(f"seconds p{percent}{suffix}", tuple(values), statistic)


def _usage(uses: Mapping[str, Mapping[int, ModelUse]]) -> dict[str, Values]:
    return {
        f"{what}{suffix}": {i: getattr(use, what.replace(" ", "_")) for i, use in of_cases.items()}
        for suffix, of_cases in uses.items()
        for what in ("prompt tokens", "completion tokens", "core seconds")
    }


def _cut(cases: Sequence[CaseResult]) -> Values:
    reasons = {i: [use.finish_reasons for use in c.use.values()] for i, c in enumerate(cases)}
    return {i: any("length" in each for each in of) for i, of in reasons.items() if any(of)}


def _cached_share(uses: Sequence[ModelUse]) -> Statistic:
    """A ratio of sums."""
    cached = np.array([use.cached_prompt_tokens for use in uses], dtype=np.float64)
    read = np.array([use.prompt_tokens for use in uses], dtype=np.float64)

    def statistic(counts: Counts) -> Floats:
        shares: Floats = (counts @ cached) / (counts @ read)
        return shares

    return statistic


def _comparison(group: _Group, other: str, metric: str, scored: Floats, seed: int) -> Comparison:
    """Of the metric's values (n, 2): baseline, other."""
    differences = scored[:, 1] - scored[:, 0]
    n_better, n_worse = int((differences > 0).sum()), int((differences < 0).sum())
    if np.isin(scored, (0.0, 1.0)).all():
        test, p_value = "McNemar exact", mcnemar_exact(n_better, n_worse)
        effect = cohens_g(n_better, n_worse)
    else:
        test, p_value = "paired bootstrap", paired_bootstrap_p(differences, seed=seed)
        effect = cohens_dz(differences)
    low, high = mean_interval(differences, seed=seed)
    return Comparison(
        suite=group.suite,
        dataset=group.dataset,
        slice=group.slice,
        metric=metric,
        baseline=group.variant,
        other=other,
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=p_value,
        test=test,
        effect=effect,
        n=len(scored),
        n_better=n_better,
        n_worse=n_worse,
    )
