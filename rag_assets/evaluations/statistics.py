"""How sure a figure is: bootstrap intervals, tests of paired samples, effect sizes.

All resampling is seeded: the same cases in the same order give the same interval. A resample of n
cases is handed on as its *counts*, how often it drew each case: whole numbers of the shape
(resamples, n) that sum to n in each row. Whatever does not depend on the order of the cases is a
function of the counts, and a sum over the cases becomes a matrix product.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.float64]  # whole numbers, as floats: only these multiply fast

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
    statistic: Callable[[Counts], Floats],
    n_cases: int,
    *,
    seed: int = SEED,
    n_resamples: int = N_RESAMPLES,
) -> Floats:
    """Percentile intervals of a statistic, or of several of the same cases.

    The interval's ends are the 2.5 % and 97.5 % quantiles of the statistic over the resamples.

    Args:
        statistic: from counts (r, n) to its values (r,), or (r, m) for m statistics.
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


def mean_intervals(values: ArrayLike, *, seed: int = SEED) -> list[Interval]:
    """Bootstrap intervals of the means of m metrics over the same n cases, given as (n, m).

    Raises:
        ValueError: no cases, or a value that is not finite.
    """
    table = _finite(values, n_axes=2)
    ends = bootstrap(lambda counts: counts @ table / len(table), len(table), seed=seed)
    return [Interval(float(low), float(high)) for low, high in ends.T]


def mean_interval(values: ArrayLike, *, seed: int = SEED) -> Interval:
    """Bootstrap interval of the mean of n values, given as (n,).

    Raises:
        ValueError: no values, or one that is not finite.
    """
    return mean_intervals(_finite(values, n_axes=1)[:, None], seed=seed)[0]


def percentile(values: ArrayLike, percent: int) -> float:
    """The nearest-rank percentile: the smallest value that ``percent`` % do not exceed.

    It is always a value that occurred: the one of rank ``ceil(n * percent / 100)``.

    Args:
        values: n values in any order.
        percent: in [1, 100].

    Raises:
        ValueError: no values, one that is not finite, or percent out of range.
    """
    ordered = np.sort(_finite(values, n_axes=1))
    return float(ordered[_rank(len(ordered), percent) - 1])


def percentile_interval(values: ArrayLike, percent: int, *, seed: int = SEED) -> Interval:
    """Bootstrap interval of :func:`percentile`, without drawing whole resamples.

    A resample is n uniform draws u from (0, 1), each standing for the case ``floor(n * u)`` in the
    order of the values. Its k-th smallest value is thus the case of the k-th smallest draw, which
    is distributed as Beta(k, n + 1 - k): one draw per resample instead of n.

    Raises:
        ValueError: as :func:`percentile`.

    Source: David, Nagaraja, "Order Statistics", 2003, section 2.3.
    """
    ordered = np.sort(_finite(values, n_axes=1))
    n, rank = len(ordered), _rank(len(ordered), percent)
    draws = np.random.default_rng(seed).beta(rank, n + 1 - rank, size=N_RESAMPLES)
    drawn = ordered[np.minimum((n * draws).astype(np.int64), n - 1)]
    low, high = np.percentile(drawn, TAILS)
    return Interval(float(low), float(high))


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
    paired = _finite(differences, n_axes=1)
    n, observed = len(paired), float(paired.mean())
    if not paired.any():
        return 1.0
    shifted = paired - observed
    means = np.concatenate([counts @ shifted / n for counts in resamples(n, seed=seed)])
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
    paired = _finite(differences, n_axes=1)
    if np.ptp(paired) <= 1e-12 * np.abs(paired).max():
        return 0.0
    return float(paired.mean() / paired.std(ddof=1))


def _finite(values: ArrayLike, *, n_axes: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != n_axes or not len(array):
        raise ValueError(f"expected values along {n_axes} axes, got the shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("expected finite values, got NaN or infinity")
    return array


def _rank(n: int, percent: int) -> int:
    if not 1 <= percent <= 100:
        raise ValueError(f"percent must be in [1, 100], got {percent}")
    return -(-n * percent // 100)
