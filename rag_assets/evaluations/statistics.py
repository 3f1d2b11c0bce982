"""How sure a figure is: bootstrap intervals, tests of paired samples, effect sizes.

All resampling is seeded: the same cases in the same order give the same interval. A resample of n
cases is handed on as its *counts*, how often it drew each case: whole numbers of the shape
(resamples, n) that sum to n in each row. A :data:`Statistic` is a function of them: whatever does
not depend on the order of the cases. A sum over the cases becomes a matrix product.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.float64]  # whole numbers, as floats: only these multiply fast
Statistic = Callable[[Counts], Floats]  # (r, n) to its values (r,), or (r, m) for m statistics

SEED = 20261122
N_RESAMPLES = 2000
TAILS = (2.5, 97.5)  # percent: the ends of a 95 % interval
_MAX_DRAWS = 200_000  # held at once: few enough to stay in the processor's cache


class Interval(NamedTuple):
    """Both ends of a confidence interval, in the units of the figure."""

    low: float
    high: float


def resamples(
    n_cases: int, *, seed: int = SEED, n_resamples: int = N_RESAMPLES
) -> Iterator[Counts]:
    """The counts of bootstrap resamples of n cases, in blocks of rows that fit into memory.

    Raises:
        ValueError: no cases, or no resamples.
    """
    if n_cases < 1 or n_resamples < 1:
        raise ValueError(f"expected cases and resamples, got {n_cases} and {n_resamples}")
    generator = np.random.default_rng(seed)
    block = max(1, _MAX_DRAWS // n_cases)
    for done in range(0, n_resamples, block):
        n_rows = min(block, n_resamples - done)
        drawn = generator.integers(0, n_cases, size=(n_rows, n_cases), dtype=np.int32)
        drawn += (np.arange(n_rows, dtype=np.int32) * n_cases)[:, None]  # each row for itself
        counts = np.bincount(drawn.ravel(), minlength=n_rows * n_cases)
        yield counts.reshape(n_rows, n_cases).astype(np.float64)


def bootstrap(
    statistic: Statistic, n_cases: int, *, seed: int = SEED, n_resamples: int = N_RESAMPLES
) -> Floats:
    """Percentile intervals: the 2.5 % and 97.5 % quantiles of a statistic over the resamples.

    Args:
        statistic: of n cases.
        n_cases: n; with n = 1 each interval is a point.
        seed: of the resampling.
        n_resamples: how many.

    Returns:
        Shape (2,) or (2, m): lower ends, then upper ends.

    Raises:
        ValueError: no cases, or the statistic is not finite on some resample.

    Source: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    blocks = resamples(n_cases, seed=seed, n_resamples=n_resamples)
    values = np.concatenate([statistic(counts) for counts in blocks])
    if not np.isfinite(values).all():
        raise ValueError("the statistic is not finite on some resamples; leave such cases out")
    ends: Floats = np.percentile(values, TAILS, axis=0)
    return ends


def point(statistic: Statistic, n_cases: int) -> float:
    """The statistic of the cases themselves, each counted once."""
    return float(statistic(np.ones((1, n_cases)))[0])


def mean_of(values: ArrayLike) -> Statistic:
    """The mean of n values, given as (n,).

    Raises:
        ValueError: no values, or one that is not finite.
    """
    column = _finite(values)
    return lambda counts: counts @ column / len(column)


def percentile_of(values: ArrayLike, percent: int) -> Statistic:
    """The nearest-rank percentile: the smallest value that ``percent`` % do not exceed.

    It is always a value that occurred: the one of rank ``ceil(n * percent / 100)``.

    Args:
        values: n values in any order.
        percent: in [1, 100].

    Raises:
        ValueError: no values, one that is not finite, or percent out of range.
    """
    column = _finite(values)
    if not 1 <= percent <= 100:
        raise ValueError(f"percent must be in [1, 100], got {percent}")
    order, rank = np.argsort(column), -(-len(column) * percent // 100)
    return lambda counts: column[order[(counts[:, order].cumsum(axis=1) >= rank).argmax(axis=1)]]


def mean_interval(values: ArrayLike, *, seed: int = SEED) -> Interval:
    """Bootstrap interval of :func:`mean_of`, with its errors."""
    mean = mean_of(values)
    low, high = bootstrap(mean, np.size(np.asarray(values)), seed=seed)
    return Interval(float(low), float(high))


def ratio_interval(over: ArrayLike, under: ArrayLike, *, seed: int = SEED) -> Interval:
    """Paired bootstrap interval of ``sum(over) / sum(under)``, widened to the ratio itself.

    A resample that drew only zeros below has no ratio and is left out.

    Args:
        over: n values, none negative.
        under: n values, in the same order, none negative, not all 0.
        seed: of the resampling.

    Raises:
        ValueError: no values, one that is not finite, or nothing but zeros below.
    """
    above, below = _finite(over), _finite(under)
    if above.shape != below.shape or not below.any():
        raise ValueError(f"expected pairs that are not all 0 below, got {above} and {below}")
    drawn = [(counts @ above, counts @ below) for counts in resamples(len(below), seed=seed)]
    sums = np.concatenate([np.stack(pair, axis=1) for pair in drawn])
    known = sums[sums[:, 1] > 0]
    low, high = np.percentile(known[:, 0] / known[:, 1], TAILS)
    value = above.sum() / below.sum()
    return Interval(min(float(low), float(value)), max(float(high), float(value)))


def mcnemar_exact(n_better: int, n_worse: int) -> float:
    """Two-sided p of McNemar's exact test for yes/no outcomes of pairs.

    Only the pairs that differ count: were the variants equal, each would go either way with
    probability 1/2, so ``n_better`` would be Binomial(n_better + n_worse, 1/2). 1 where none do.

    Raises:
        ValueError: a negative count.

    Source: McNemar, Psychometrika 1947; recommended for classifiers by Dietterich, Neural
    Computation 1998.
    """
    from scipy.stats import binomtest

    if min(n_better, n_worse) < 0:
        raise ValueError(f"expected counts, got {n_better} and {n_worse}")
    if n_better + n_worse == 0:
        return 1.0
    return float(binomtest(n_better, n_better + n_worse, 0.5).pvalue)


def paired_bootstrap_p(differences: ArrayLike, *, seed: int = SEED) -> float:
    """Two-sided p of "the mean difference of the pairs is 0", by resampling.

    The differences are shifted to mean 0, so that the null hypothesis holds, and resampled B times:
    ``p = (1 + number of resampled |means| >= |observed mean|) / (B + 1)``. It is never below
    ``2**(1 - n)``, the least that n pairs can say when the signs are in doubt (a test by random
    signs): the bootstrap of a few pairs that agree would claim any certainty.

    Args:
        differences: one per pair, n of them.
        seed: of the resampling.

    Returns:
        In (0, 1]; 1 where all differences are 0.

    Raises:
        ValueError: no pairs, or a difference that is not finite.

    Source: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, section 16.4; for
    retrieval: Smucker, Allan, Carterette, CIKM 2007.
    """
    paired = _finite(differences)
    n, observed = len(paired), float(paired.mean())
    if not paired.any():
        return 1.0
    shifted = mean_of(paired - observed)
    means = np.concatenate([shifted(counts) for counts in resamples(n, seed=seed)])
    # Sums in another order differ in the last bits; a tie must count as one.
    n_extreme = int((np.abs(means) >= abs(observed) * (1 - 1e-9)).sum())
    return min(1.0, max((1 + n_extreme) / (N_RESAMPLES + 1), 2.0 ** (1 - n)))


def cohens_g(n_better: int, n_worse: int) -> float:
    """Effect size of a yes/no metric: share of better pairs among those that differ, less 1/2.

    In [-0.5, 0.5]; 0.05 is small, 0.15 medium, 0.25 large; 0 where no pair differs.

    Source: Cohen, "Statistical Power Analysis", 1988, chapter 5.
    """
    n_differ = n_better + n_worse
    return n_better / n_differ - 0.5 if n_differ else 0.0


def cohens_dz(differences: ArrayLike) -> float:
    """Effect size of paired values: mean difference over its sample standard deviation (n - 1).

    0.2 is small, 0.5 medium, 0.8 large. It is 0 where the differences do not vary, one pair
    included: there it has no finite value, and the difference itself says more.

    Raises:
        ValueError: no pairs, or a difference that is not finite.

    Source: Cohen, "Statistical Power Analysis", 1988, section 2.3.5.
    """
    paired = _finite(differences)
    if np.ptp(paired) <= 1e-12 * np.abs(paired).max():
        return 0.0
    return float(paired.mean() / paired.std(ddof=1))


def _finite(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"expected a list of values, got the shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("expected finite values, got NaN or infinity")
    return array
