"""From the results of single questions to figures with intervals, and to comparisons of variants.

Figures are made for each dataset and variant, for all its cases and for each slice of them that
holds at least ``MIN_SLICE`` and not all. Where a variant has several datasets of a suite there are
lines for the dataset "all" as well, in which each case (not each dataset) counts the same.

What a figure is over differs, and its ``n`` says how many cases that were:

* a score (any key of ``CaseResult.scores``): its mean over the cases that have it. A question that
  failed has the scores of a wrong answer and thus counts as one.
* abstention precision, abstention recall: over the abstentions; over the unanswerable questions.
  Only where answers were given, so not for retrieval alone.
* aurc: over the answers with a known confidence, the abstentions and the failures; the latter two
  with confidence 0.
* overconfidence, ece: over the answers with a known confidence.
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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rag_assets.evaluations.calibration import (
    abstention_precision,
    abstention_recall,
    aurc,
    aurc_statistic,
    calibration_error,
    calibration_error_statistic,
    overconfidence,
)
from rag_assets.evaluations.calibration import risk_coverage as risk_coverage_curve
from rag_assets.evaluations.results import ALL, CaseResult, Comparison, Figure, ModelUse
from rag_assets.evaluations.statistics import (
    SEED,
    Counts,
    Floats,
    Interval,
    bootstrap,
    cohens_dz,
    cohens_g,
    mcnemar_exact,
    mean_interval,
    mean_intervals,
    paired_bootstrap_p,
    percentile,
    percentile_interval,
)

MIN_SLICE = 5  # cases; an interval over fewer says nothing
CORRECT = "correct"  # the score that confidences are held against
PERCENTILES = (50, 95, 99)

Values = dict[int, float]  # index of a case in its group -> its value of some metric


class _Group(NamedTuple):
    """Cases that figures are made of."""

    suite: str
    dataset: str
    variant: str
    slice: str
    cases: Sequence[CaseResult]


class _Measured(NamedTuple):
    """A figure of a group, and the indices of the cases that it is over."""

    metric: str
    over: Sequence[int]
    value: float
    interval: Interval


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
    slices: Sequence[str] = (),
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
        slices: names of slices, e.g. "kind", to compare by as well; those of the baseline's cases.
        seed: of the bootstrap.

    Returns:
        Per suite: for each dataset (and "all") and slice, one line per metric.

    Raises:
        ValueError: as :func:`figures`, or one of the variants does not occur.
    """
    _check(results)
    variants = {result.variant for result in results}
    if missing := {baseline, other} - variants:
        raise ValueError(f"no results of {sorted(missing)}; there are {sorted(variants)}")
    others = {(r.suite, r.dataset, r.case_id): r for r in results if r.variant == other}
    shared = [r for r in results if r.variant == baseline and _key(r) in others]
    lines = []
    for group in _groups(shared):
        if group.slice == ALL or group.slice.partition("=")[0] in slices:
            pairs = [(case, others[_key(case)]) for case in group.cases]
            for metric in metrics:
                scored = _paired(pairs, metric)
                if len(scored):
                    lines.append(_comparison(group, other, metric, scored, seed))
    return lines


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
    for group in _groups(results):
        rated = _rated(group.cases)
        if group.slice == ALL and rated:
            coverage, risk = risk_coverage_curve(*_columns(rated.values()))
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
        for what, value in _numbers(result):
            if not math.isfinite(value):
                raise ValueError(f"{name}: {what} is {value}; leave out what does not apply")


def _numbers(result: CaseResult) -> Iterator[tuple[str, float]]:
    yield from result.scores.items()
    yield "seconds", result.seconds
    if result.confidence is not None:
        yield "confidence", result.confidence
    for role, use in result.use.items():
        yield f"seconds of {role}", use.seconds
        yield f"core seconds of {role}", use.core_seconds


def _groups(results: Iterable[CaseResult]) -> Iterator[_Group]:
    variants: dict[tuple[str, str], dict[str, list[CaseResult]]] = {}
    for result in results:
        datasets = variants.setdefault((result.suite, result.variant), {})
        datasets.setdefault(result.dataset, []).append(result)
    for (suite, variant), datasets in variants.items():
        if len(datasets) > 1:
            datasets[ALL] = [case for cases in datasets.values() for case in cases]
        for dataset, cases in datasets.items():
            for name, some in _slices(cases).items():
                yield _Group(suite, dataset, variant, name, some)


def _slices(cases: Sequence[CaseResult]) -> dict[str, Sequence[CaseResult]]:
    slices: dict[str, list[CaseResult]] = {}
    for case in cases:
        for name, value in case.slices.items():
            slices.setdefault(f"{name}={value}", []).append(case)
    kept = {name: some for name, some in slices.items() if MIN_SLICE <= len(some) < len(cases)}
    return {ALL: cases, **kept}


def _figures_of(group: _Group, seed: int) -> Iterator[Figure]:
    cases = group.cases
    measured = [
        *_means(_scores(cases), seed),
        *_abstention(cases, seed),
        *_calibration(cases, seed),
        *_seconds(cases, seed),
        *_means(_usage(cases), seed),
        *_cached_shares(cases, seed),
    ]
    for metric, over, value, (low, high) in measured:
        alone = len(over) < 2
        yield Figure(
            suite=group.suite,
            dataset=group.dataset,
            variant=group.variant,
            slice=group.slice,
            metric=metric,
            value=value,
            low=value if alone else min(low, value),
            high=value if alone else max(high, value),
            n=len(over),
            n_failed=sum(bool(cases[index].error) for index in over),
        )


def _means(metrics: Mapping[str, Values], seed: int) -> Iterator[_Measured]:
    """Metrics over the same cases share their resamples: one matrix product for all of them."""
    batches: dict[tuple[int, ...], list[str]] = {}
    for metric, values in metrics.items():
        if values:
            batches.setdefault(tuple(values), []).append(metric)
    for over, names in batches.items():
        table = np.array([list(metrics[name].values()) for name in names]).T
        intervals = mean_intervals(table, seed=seed)
        for name, value, interval in zip(names, table.mean(axis=0), intervals, strict=True):
            yield _Measured(name, over, float(value), interval)


def _scores(cases: Sequence[CaseResult]) -> dict[str, Values]:
    scores: dict[str, Values] = {}
    for index, case in enumerate(cases):
        for metric, value in case.scores.items():
            scores.setdefault(metric, {})[index] = float(value)
    return scores


def _abstention(cases: Sequence[CaseResult], seed: int) -> Iterator[_Measured]:
    if not any(case.answer or case.abstained for case in cases):
        return
    abstained = np.array([case.abstained for case in cases])
    answerable = np.array([case.answerable for case in cases])
    if abstained.any():
        value = abstention_precision(abstained, answerable)
        interval = mean_interval(~answerable[abstained], seed=seed)
        over = np.flatnonzero(abstained).tolist()
        yield _Measured("abstention precision", over, value, interval)
    if not answerable.all():
        value = abstention_recall(abstained, answerable)
        interval = mean_interval(abstained[~answerable], seed=seed)
        over = np.flatnonzero(~answerable).tolist()
        yield _Measured("abstention recall", over, value, interval)


def _calibration(cases: Sequence[CaseResult], seed: int) -> Iterator[_Measured]:
    rated = _rated(cases)
    if not rated:
        return
    sure, right = _columns(rated.values())
    interval = _interval(aurc_statistic(sure, right), len(sure), seed)
    yield _Measured("aurc", list(rated), aurc(sure, right), interval)
    answered = [index for index in rated if _is_answer(cases[index])]
    sure, right = _columns(rated[index] for index in answered)
    interval = mean_interval(sure - right, seed=seed)
    yield _Measured("overconfidence", answered, overconfidence(sure, right), interval)
    interval = _interval(calibration_error_statistic(sure, right), len(sure), seed)
    yield _Measured("ece", answered, calibration_error(sure, right), interval)


def _is_answer(case: CaseResult) -> bool:
    return not case.abstained and not case.error


def _rated(cases: Sequence[CaseResult]) -> dict[int, tuple[float, float]]:
    """(Confidence, correct) by index; empty where no answer's confidence is known."""
    rated, n_known = {}, 0
    for index, case in enumerate(cases):
        known = _is_answer(case) and case.confidence is not None
        if CORRECT in case.scores and (known or not _is_answer(case)):
            confidence = case.confidence if known and case.confidence is not None else 0.0
            rated[index] = (confidence, case.scores[CORRECT])
            n_known += known
    return rated if n_known else {}


def _columns(pairs: Iterable[tuple[float, float]]) -> tuple[Floats, Floats]:
    first, second = np.array(list(pairs), dtype=np.float64).T
    return first, second


def _interval(statistic: Callable[[Counts], Floats], n_cases: int, seed: int) -> Interval:
    low, high = bootstrap(statistic, n_cases, seed=seed)
    return Interval(float(low), float(high))


def _seconds(cases: Sequence[CaseResult], seed: int) -> Iterator[_Measured]:
    done = _done(cases)
    by_role: dict[str, Values] = {"": {index: case.seconds for index, case in done.items()}}
    for role in _roles(done.values()):
        used = {index: case.use[role] for index, case in done.items() if role in case.use}
        by_role[f" {role}"] = {index: use.seconds for index, use in used.items() if use.calls}
    for suffix, values in by_role.items():
        for percent in PERCENTILES:
            if (percent > 50 and len(values) * (100 - percent) < 100) or not values:
                continue  # it would be the maximum
            seconds = list(values.values())
            value = percentile(seconds, percent)
            interval = percentile_interval(seconds, percent, seed=seed)
            yield _Measured(f"seconds p{percent}{suffix}", list(values), value, interval)


def _usage(cases: Sequence[CaseResult]) -> dict[str, Values]:
    done = _done(cases)
    usage: dict[str, Values] = {}
    for suffix, uses in _uses(done):
        for name, amount in (
            ("prompt tokens", lambda use: use.prompt_tokens),
            ("completion tokens", lambda use: use.completion_tokens),
            ("core seconds", lambda use: use.core_seconds),
        ):
            usage[name + suffix] = {i: float(sum(map(amount, some))) for i, some in uses.items()}
    usage["cut answers"] = {
        index: float(any(use.finish_reasons.get("length") for use in case.use.values()))
        for index, case in enumerate(cases)
        if any(use.finish_reasons for use in case.use.values())
    }
    return usage


def _cached_shares(cases: Sequence[CaseResult], seed: int) -> Iterator[_Measured]:
    """Ratios of sums; those over the same cases share their resamples."""
    batches: dict[tuple[int, ...], dict[str, tuple[list[int], list[int]]]] = {}
    for suffix, uses in _uses(_done(cases)):
        read = {i: sum(use.prompt_tokens for use in some) for i, some in uses.items()}
        over = tuple(index for index, tokens in read.items() if tokens)
        cached = [sum(use.cached_prompt_tokens for use in uses[index]) for index in over]
        if over:
            columns = (cached, [read[index] for index in over])
            batches.setdefault(over, {})[f"cached prompt share{suffix}"] = columns
    for over, shares in batches.items():
        parts, wholes = np.array(list(shares.values()), dtype=np.float64).transpose(1, 2, 0)
        ends = bootstrap(_ratios(parts, wholes), len(over), seed=seed)
        values = parts.sum(axis=0) / wholes.sum(axis=0)
        for name, value, (low, high) in zip(shares, values.tolist(), ends.T.tolist(), strict=True):
            yield _Measured(name, over, value, Interval(low, high))


def _ratios(parts: Floats, wholes: Floats) -> Callable[[Counts], Floats]:
    def statistic(counts: Counts) -> Floats:
        ratios: Floats = (counts @ parts) / (counts @ wholes)
        return ratios

    return statistic


def _done(cases: Sequence[CaseResult]) -> dict[int, CaseResult]:
    """Cases that were timed: no failures, and no rankings or labels, which nobody waited for."""
    return {index: case for index, case in enumerate(cases) if not case.error and case.seconds}


def _roles(cases: Iterable[CaseResult]) -> list[str]:
    return list(dict.fromkeys(r for case in cases for r, use in case.use.items() if use.calls))


def _uses(done: Mapping[int, CaseResult]) -> Iterator[tuple[str, dict[int, list[ModelUse]]]]:
    """For all roles together (suffix "") and each: what it did, by index of the case."""
    roles = _roles(done.values())
    if not roles:
        return
    for suffix, some in [("", roles), *((f" {role}", [role]) for role in roles)]:
        yield (
            suffix,
            {
                index: [case.use[role] for role in some if role in case.use]
                for index, case in done.items()
            },
        )


def _key(result: CaseResult) -> tuple[str, str, str]:
    return result.suite, result.dataset, result.case_id


def _paired(pairs: Iterable[tuple[CaseResult, CaseResult]], metric: str) -> Floats:
    """The metric's values (n, 2): baseline, other."""
    both = [
        (a.scores[metric], b.scores[metric])
        for a, b in pairs
        if metric in a.scores and metric in b.scores
    ]
    return np.array(both, dtype=np.float64)


def _comparison(group: _Group, other: str, metric: str, scored: Floats, seed: int) -> Comparison:
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
