"""Does the system know when it does not know: abstention, risk against coverage, calibration.

Confidences are in [0, 1]; ``correct`` is 1 for a right answer, 0 for a wrong one, or a share of
right in between. Cases of equal confidence have no order: each counts as the mean of them all,
which is what a random order would give on average. (Abstentions all have the confidence 0.)

The functions ``*_statistic`` return the figure as a function of the counts of resamples, for
:func:`rag_assets.evaluations.statistics.bootstrap`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rag_assets.evaluations.statistics import Counts, Floats

Truths = NDArray[np.bool_]
Indices = NDArray[np.intp]

N_BINS = 10


def abstention_precision(abstained: ArrayLike, answerable: ArrayLike) -> float:
    """Share of the abstentions that were right, the question having no answer.

    "Abstained" is the positive prediction, "not answerable" the truth (Rajpurkar, Jia, Liang,
    "Know What You Don't Know", ACL 2018).

    Args:
        abstained: n truth values.
        answerable: n truth values, in the same order.

    Raises:
        ValueError: nothing abstained, or the lengths differ.
    """
    given, truth = _truths(abstained, answerable)
    return _share(~truth[given], "no abstention: its precision is undefined")


def abstention_recall(abstained: ArrayLike, answerable: ArrayLike) -> float:
    """Share of the questions without an answer on which it abstained.

    Raises:
        ValueError: all questions are answerable, or the lengths differ.
    """
    given, truth = _truths(abstained, answerable)
    return _share(given[~truth], "all are answerable: the recall of abstentions is undefined")


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    """The risk of answering only the i most confident cases, for i = 1..n.

    ``coverage(i) = i / n``, ``risk(i) = mean of (1 - correct) over the i most confident``.

    Args:
        confidence: n values; abstentions 0.
        correct: n values, in the same order.

    Returns:
        (coverage, risk), n values each, by rising coverage.

    Raises:
        ValueError: no cases, lengths that differ, or a value outside [0, 1].

    Source: El-Yaniv, Wiener, "On the Foundations of Noise-free Selective Classification", JMLR
    2010; Geifman, El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017.
    """
    groups = _by_confidence(confidence, correct)
    sizes = groups.sums(np.ones((1, len(groups.order))))[0].astype(np.int64)
    errors = groups.sums(1 - groups.correct[None, :])[0]
    position = np.arange(1, len(groups.order) + 1)
    return position / len(position), np.cumsum(np.repeat(errors / sizes, sizes)) / position


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk-coverage curve: the mean of ``risk(i)`` over i = 1..n; lower is better.

    In [0, 1]. Confidence that says nothing yields the error rate, a perfect order less.

    Raises:
        ValueError: as :func:`risk_coverage`.

    Source: Geifman, Uziel, El-Yaniv, "Bias-Reduced Uncertainty Estimation", ICLR 2019.
    """
    return _value(aurc_statistic(confidence, correct), confidence)


def aurc_statistic(confidence: ArrayLike, correct: ArrayLike) -> Callable[[Counts], Floats]:
    """:func:`aurc` of resamples: counts (r, n) to values (r,).

    Within a tie of m cases with mean error e, after N cases with E errors, the risk at position i
    is ``(E + (i - N) e) / i``; its sum over the tie is ``m e + (E - N e)(H(N + m) - H(N))`` with
    the harmonic numbers H.

    Raises:
        ValueError: as :func:`risk_coverage`.
    """
    groups = _by_confidence(confidence, correct)
    n = len(groups.order)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])

    def statistic(counts: Counts) -> Floats:
        drawn = counts[:, groups.order]
        sizes = groups.sums(drawn)
        errors = groups.sums(drawn * (1 - groups.correct))
        last = np.cumsum(sizes, axis=1)
        before = last - sizes
        rate = errors / np.maximum(sizes, 1)
        excess = np.cumsum(errors, axis=1) - errors - before * rate
        span = harmonic[last.astype(np.intp)] - harmonic[before.astype(np.intp)]
        area = errors + excess * span
        values: Floats = area.sum(axis=1) / n
        return values

    return statistic


def overconfidence(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Mean confidence minus accuracy, over answered cases; in [-1, 1], above 0 if too sure.

    Raises:
        ValueError: as :func:`risk_coverage`.

    Source: Lichtenstein, Fischhoff, Phillips, "Calibration of Probabilities", 1982.
    """
    sure, right = _checked(confidence, correct)
    return float((sure - right).mean())


def calibration_error(confidence: ArrayLike, correct: ArrayLike, *, n_bins: int = N_BINS) -> float:
    """Expected calibration error with bins of equal mass, over answered cases; in [0, 1].

    The cases, ordered by confidence, are cut into bins of n / n_bins cases each (the share of a
    case that a cut divides goes to either side):
    ``ECE = sum over bins of (n_bin / n) * |accuracy(bin) - mean confidence(bin)|``. The figure is
    biased upwards: even a calibrated system has an ECE above 0, the more so the smaller the bins.

    Args:
        confidence: n values.
        correct: n values, in the same order.
        n_bins: at most; never more than n.

    Raises:
        ValueError: as :func:`risk_coverage`, or n_bins is not positive.

    Source: Naeini, Cooper, Hauskrecht, AAAI 2015; equal mass: Nguyen, O'Connor, EMNLP 2015.
    """
    return _value(calibration_error_statistic(confidence, correct, n_bins=n_bins), confidence)


def calibration_error_statistic(
    confidence: ArrayLike, correct: ArrayLike, *, n_bins: int = N_BINS
) -> Callable[[Counts], Floats]:
    """:func:`calibration_error` of resamples: counts (r, n) to values (r,).

    The sum of ``confidence - correct`` over the first i cases, seen as a function of i, is
    straight within a tie; a bin's part of the error is the change between its two cuts.

    Raises:
        ValueError: as :func:`calibration_error`.
    """
    if n_bins < 1:
        raise ValueError(f"n_bins must be positive, got {n_bins}")
    groups = _by_confidence(confidence, correct)
    n = len(groups.order)
    cuts = np.linspace(0, n, min(n_bins, n) + 1)

    def statistic(counts: Counts) -> Floats:
        drawn = counts[:, groups.order]
        ends = _from_zero(groups.sums(drawn))
        gaps = _from_zero(groups.sums(drawn * (groups.confidence - groups.correct)))
        rows = [np.interp(cuts, x, y) for x, y in zip(ends, gaps, strict=True)]
        errors: Floats = np.abs(np.diff(np.array(rows), axis=1)).sum(axis=1) / n
        return errors

    return statistic


@dataclass(frozen=True, slots=True)
class _Groups:
    """Cases by falling confidence, and where each tie begins."""

    order: Indices  # of the cases as given
    confidence: Floats  # in that order
    correct: Floats  # in that order
    starts: Indices

    def sums(self, rows: Floats) -> Floats:
        """(r, n) values in that order, summed per tie."""
        if len(self.starts) == rows.shape[1]:
            return rows
        sums: Floats = np.add.reduceat(rows, self.starts, axis=1)
        return sums


def _by_confidence(confidence: ArrayLike, correct: ArrayLike) -> _Groups:
    sure, right = _checked(confidence, correct)
    order = np.argsort(-sure, kind="stable")
    ordered = sure[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return _Groups(order, ordered, right[order], starts)


def _checked(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if sure.ndim != 1 or sure.shape != right.shape or not len(sure):
        raise ValueError(f"expected cases in two equal lists, got {sure.shape}, {right.shape}")
    for name, values in (("confidence", sure), ("correct", right)):
        if not ((values >= 0) & (values <= 1)).all():  # NaN fails both
            raise ValueError(f"{name} must be in [0, 1], got {values.min()} to {values.max()}")
    return sure, right


def _value(statistic: Callable[[Counts], Floats], cases: ArrayLike) -> float:
    return float(statistic(np.ones((1, np.size(np.asarray(cases)))))[0])


def _from_zero(sums: Floats) -> Floats:
    return np.concatenate([np.zeros((len(sums), 1)), np.cumsum(sums, axis=1)], axis=1)


def _truths(abstained: ArrayLike, answerable: ArrayLike) -> tuple[Truths, Truths]:
    given, truth = np.asarray(abstained, dtype=np.bool_), np.asarray(answerable, dtype=np.bool_)
    if given.ndim != 1 or given.shape != truth.shape:
        raise ValueError(f"expected two equal lists, got {given.shape}, {truth.shape}")
    return given, truth


def _share(truths: Truths, undefined: str) -> float:
    if not len(truths):
        raise ValueError(undefined)
    return float(truths.mean())
