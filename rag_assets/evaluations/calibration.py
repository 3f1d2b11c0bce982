"""Does the system know when it does not know: risk against coverage, calibration.

Confidences are in [0, 1]; ``correct`` is 1 for a right answer, 0 for a wrong one, or a share of
right in between. Cases of equal confidence have no order: each counts as the mean of them all,
which is what a random order would give on average. (Abstentions all have the confidence 0.)
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rag_assets.evaluations.statistics import Counts, Floats, Statistic

N_BINS = 10


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
    sure, right = _checked(confidence, correct)
    _, tie, sizes = np.unique(-sure, return_inverse=True, return_counts=True)
    rates = np.bincount(tie, 1 - right) / sizes
    position = np.arange(1, len(sure) + 1)
    return position / len(sure), np.cumsum(np.repeat(rates, sizes)) / position


def aurc(confidence: ArrayLike, correct: ArrayLike) -> Statistic:
    """Area under the risk-coverage curve: the mean of ``risk(i)`` over i = 1..n; lower is better.

    In [0, 1]. Confidence that says nothing yields the error rate, a perfect order less. Within a
    tie of m cases with mean error e, after N cases with E errors, the risk at position i is
    ``(E + (i - N) e) / i``; its sum over the tie is ``m e + (E - N e)(H(N + m) - H(N))`` with the
    harmonic numbers H.

    Raises:
        ValueError: as :func:`risk_coverage`.

    Source: Geifman, Uziel, El-Yaniv, "Bias-Reduced Uncertainty Estimation", ICLR 2019.
    """
    order, _, right, ties = _by_confidence(confidence, correct)
    n = len(order)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])

    def statistic(counts: Counts) -> Floats:
        drawn = counts[:, order]
        sizes = np.add.reduceat(drawn, ties, axis=1)
        errors = np.add.reduceat(drawn * (1 - right), ties, axis=1)
        last = np.cumsum(sizes, axis=1)
        before = last - sizes
        excess = np.cumsum(errors, axis=1) - errors - before * errors / np.maximum(sizes, 1)
        span = harmonic[last.astype(np.intp)] - harmonic[before.astype(np.intp)]
        areas: Floats = (errors + excess * span).sum(axis=1) / n
        return areas

    return statistic


def calibration_error(
    confidence: ArrayLike, correct: ArrayLike, *, n_bins: int = N_BINS
) -> Statistic:
    """Expected calibration error with bins of equal mass, over answered cases; in [0, 1].

    The cases, ordered by confidence, are cut into bins of n / n_bins cases each (the share of a
    case that a cut divides goes to either side):
    ``ECE = sum over bins of (n_bin / n) * |accuracy(bin) - mean confidence(bin)|``. The figure is
    biased upwards: even a calibrated system has an ECE above 0, the more so the smaller the bins.
    The sum of ``confidence - correct`` over the first i cases, seen as a function of i, is
    straight within a tie; a bin's part of the error is the change between its two cuts.

    Args:
        confidence: n values.
        correct: n values, in the same order.
        n_bins: at most; never more than n.

    Raises:
        ValueError: as :func:`risk_coverage`, or n_bins is not positive.

    Source: Naeini, Cooper, Hauskrecht, AAAI 2015; equal mass: Nguyen, O'Connor, EMNLP 2015.
    """
    if n_bins < 1:
        raise ValueError(f"n_bins must be positive, got {n_bins}")
    order, sure, right, ties = _by_confidence(confidence, correct)
    n = len(order)
    cuts = np.linspace(0, n, min(n_bins, n) + 1)

    def reached(rows: Floats) -> Floats:
        """Sums up to the end of each tie, from 0."""
        sums = np.cumsum(np.add.reduceat(rows, ties, axis=1), axis=1)
        return np.pad(sums, ((0, 0), (1, 0)))

    def statistic(counts: Counts) -> Floats:
        drawn = counts[:, order]
        ends, gaps = reached(drawn), reached(drawn * (sure - right))
        rows = [np.interp(cuts, x, y) for x, y in zip(ends, gaps, strict=True)]
        errors: Floats = np.abs(np.diff(np.array(rows), axis=1)).sum(axis=1) / n
        return errors

    return statistic


def _by_confidence(
    confidence: ArrayLike, correct: ArrayLike
) -> tuple[NDArray[np.intp], Floats, Floats, NDArray[np.intp]]:
    """The order by falling confidence; both columns in it; where in it each tie begins."""
    sure, right = _checked(confidence, correct)
    order = np.argsort(-sure, kind="stable")
    ties = np.flatnonzero(np.diff(sure[order], prepend=np.inf))
    return order, sure[order], right[order], ties


def _checked(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if sure.ndim != 1 or sure.shape != right.shape or not len(sure):
        raise ValueError(f"expected cases in two equal lists, got {sure.shape}, {right.shape}")
    for name, values in (("confidence", sure), ("correct", right)):
        if not ((values >= 0) & (values <= 1)).all():  # NaN fails both
            raise ValueError(f"{name} must be in [0, 1], got {values.min()} to {values.max()}")
    return sure, right
