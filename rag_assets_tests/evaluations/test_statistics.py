"""Intervals and tests against scipy, by hand, and by what they promise."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rag_assets.evaluations.statistics import (
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
    resamples,
)

NAN = float("nan")
SKEWED = np.random.default_rng(7).exponential(size=150)


def percentile_interval(values: np.ndarray, percent: int, seed: int = 1) -> tuple[float, float]:
    low, high = bootstrap(percentile_of(values, percent), len(values), seed=seed)
    return low, high


def test_resamples_draw_n_of_n() -> None:
    blocks = list(resamples(300, n_resamples=1501))
    counts = np.concatenate(blocks)
    assert len(blocks) > 1
    assert counts.shape == (1501, 300)
    assert (counts.sum(axis=1) == 300).all()
    assert counts.min() == 0
    # Each case is left out of a share (1 - 1/n)**n of the resamples.
    assert (counts == 0).mean() == pytest.approx((1 - 1 / 300) ** 300, abs=0.01)
    assert not (blocks[0][:500] == blocks[1][:500]).all()


def test_mean_interval_is_scipys() -> None:
    low, high = mean_interval(SKEWED)
    theirs = stats.bootstrap(
        (SKEWED,), np.mean, method="percentile", n_resamples=20000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), rel=0.02)


@pytest.mark.parametrize("percent", [50, 95])
def test_percentile_interval_is_scipys(percent: int) -> None:
    def statistic(sample: np.ndarray, axis: int) -> np.ndarray:
        return np.percentile(sample, percent, axis=axis, method="inverted_cdf")

    ours = percentile_interval(SKEWED, percent)
    theirs = stats.bootstrap(
        (SKEWED,), statistic, method="percentile", n_resamples=9999, rng=np.random.default_rng(1)
    ).confidence_interval
    # The ends are values of the sample: they may be neighbours there, not further apart.
    ordered = np.sort(SKEWED).tolist()
    for end, their_end in zip(ours, (theirs.low, theirs.high), strict=True):
        assert abs(np.searchsorted(ordered, end) - np.searchsorted(ordered, their_end)) <= 1


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(11)
    samples = generator.normal(3, 2, size=(60, 300))  # 300 samples of 60 cases
    means = [mean_interval(sample) for sample in samples.T]
    n_mean = sum(low <= 3 <= high for low, high in means)
    medians = [percentile_interval(sample, 50) for sample in samples.T]
    n_median = sum(low <= 3 <= high for low, high in medians)
    assert 0.90 <= n_mean / 300 <= 0.98
    assert 0.90 <= n_median / 300 <= 0.99


def test_same_seed_same_interval() -> None:
    assert mean_interval(SKEWED, seed=1) == mean_interval(SKEWED, seed=1)
    assert mean_interval(SKEWED, seed=1) != mean_interval(SKEWED, seed=2)
    assert percentile_interval(SKEWED, 50, seed=1) == percentile_interval(SKEWED, 50, seed=1)


def test_columns_have_the_intervals_that_they_have_alone() -> None:
    table = np.stack([SKEWED, -2 * SKEWED, SKEWED > 1], axis=1)
    ends = bootstrap(lambda counts: counts @ table / len(table), len(table))
    for column, together in zip(table.T, ends.T, strict=True):
        assert together.tolist() == pytest.approx(mean_interval(column))


def test_bootstrap_of_any_statistic() -> None:
    ends = bootstrap(lambda counts: (counts @ SKEWED) / (counts @ (2 * SKEWED)), len(SKEWED))
    assert ends.tolist() == pytest.approx([0.5, 0.5])


def test_one_case_has_no_spread() -> None:
    assert mean_interval([0.25]) == (0.25, 0.25)
    assert percentile_interval(np.array([0.25]), 95) == (0.25, 0.25)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=60), st.integers(1, 100))
def test_percentile_is_the_smallest_value_that_covers_its_share(
    values: list[int], percent: int
) -> None:
    found = point(percentile_of(values, percent), len(values))
    assert found in values
    assert 100 * sum(v <= found for v in values) >= percent * len(values)
    assert 100 * sum(v < found for v in values) < percent * len(values)


@pytest.mark.parametrize(
    ("n_better", "n_worse", "expected"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 32),
        (0, 5, 2 / 32),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (3, 3, 1.0),
    ],
)
def test_mcnemar_by_hand(n_better: int, n_worse: int, expected: float) -> None:
    assert mcnemar_exact(n_better, n_worse) == pytest.approx(expected)


@given(st.integers(0, 80), st.integers(0, 80))
def test_mcnemar_is_twice_the_smaller_tail(n_better: int, n_worse: int) -> None:
    n = n_better + n_worse
    tail = stats.binom.cdf(min(n_better, n_worse), n, 0.5)
    assert mcnemar_exact(n_better, n_worse) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar_exact(n_better, n_worse) == mcnemar_exact(n_worse, n_better)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20), st.integers(1, 100), st.data())
def test_percentile_of_counts_is_that_of_repeated_cases(
    values: list[int], percent: int, data: st.DataObject
) -> None:
    n = len(values)
    drawn = data.draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n))
    counts = np.bincount(drawn, minlength=n)[None, :].astype(float)
    repeated = point(percentile_of([values[index] for index in drawn], percent), n)
    assert percentile_of(values, percent)(counts)[0] == repeated


def test_mcnemar_wants_counts() -> None:
    with pytest.raises(ValueError, match="expected counts"):
        mcnemar_exact(-1, 3)


def test_paired_p_is_that_of_the_t_test_where_that_holds() -> None:
    generator = np.random.default_rng(5)
    for shift in (0.0, 0.1, 0.2):
        differences = generator.normal(shift, 1, size=200)
        theirs = stats.ttest_1samp(differences, 0).pvalue
        assert paired_bootstrap_p(differences) == pytest.approx(theirs, abs=0.04)


def test_paired_p_rejects_an_equal_pair_as_rarely_as_it_says() -> None:
    generator = np.random.default_rng(13)
    rejected = [paired_bootstrap_p(generator.normal(size=40)) < 0.05 for _ in range(300)]
    assert 0.02 <= np.mean(rejected) <= 0.09


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.0, 0.0, 0.0], 1.0),
        ([0.3], 1.0),
        ([0.3, 0.3], 0.5),
        ([0.3, 0.3, 0.3, 0.3, 0.3], 1 / 16),
        ([0.3] * 40, 1 / 2001),
        ([0.3, -0.3], 1.0),
    ],
)
def test_paired_p_of_few_pairs_is_humble(differences: list[float], expected: float) -> None:
    assert paired_bootstrap_p(differences) == pytest.approx(expected)


def test_paired_p_counts_ties_that_rounding_hides() -> None:
    # All 5**5 resamples, in whole tenths: 2660 lie at least as far from the mean as it from 0.
    tenths = [5, -3, -3, 3, 0]
    means = [sum(drawn) - sum(tenths) for drawn in itertools.product(tenths, repeat=5)]
    exact = np.mean([abs(mean) >= abs(sum(tenths)) for mean in means])
    assert exact == 2660 / 3125
    assert paired_bootstrap_p([tenth / 10 for tenth in tenths]) == pytest.approx(exact, abs=0.03)


def test_paired_p_has_two_sides() -> None:
    differences = np.random.default_rng(3).normal(0.2, 1, size=80)
    assert paired_bootstrap_p(differences) == pytest.approx(paired_bootstrap_p(-differences))
    assert paired_bootstrap_p(differences + 1) < paired_bootstrap_p(differences)


@pytest.mark.parametrize(("pair", "g"), [((3, 1), 0.25), ((0, 4), -0.5), ((0, 0), 0.0)])
def test_cohens_g(pair: tuple[int, int], g: float) -> None:
    assert cohens_g(*pair) == pytest.approx(g)


def test_cohens_dz() -> None:
    assert cohens_dz([1, 2, 3]) == pytest.approx(2.0)  # mean 2, standard deviation 1
    assert cohens_dz([-1, 1]) == 0
    assert cohens_dz([0.1] * 7) == 0  # constant but for rounding: no finite value
    assert cohens_dz([0.0, 0.0]) == 0


@pytest.mark.parametrize("function", [mean_of, mean_interval, paired_bootstrap_p, cohens_dz])
@pytest.mark.parametrize("values", [[], [1.0, NAN], [float("inf")], [[1.0]]])
def test_no_values_or_none_finite_are_refused(function: object, values: list[float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        function(values)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="percent must be in"):
        percentile_of([1.0], 0)
    with pytest.raises(ValueError, match="expected cases"):
        next(resamples(0))
    with (
        pytest.raises(ValueError, match="not finite on some resamples"),
        np.errstate(invalid="ignore"),
    ):
        bootstrap(lambda counts: counts[:, 0] / counts[:, 0], 3)


def test_ratio_interval_is_scipys() -> None:
    draw = np.random.default_rng(3)
    under = (draw.random(120) < 0.7).astype(float)
    over = under * (draw.random(120) < 0.6)

    def ratio(above: np.ndarray, below: np.ndarray, axis: int) -> np.ndarray:
        return above.sum(axis=axis) / below.sum(axis=axis)

    theirs = stats.bootstrap(
        (over, under), ratio, method="percentile", n_resamples=9999, paired=True,
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    found = ratio_interval(over, under)
    assert tuple(found) == pytest.approx((theirs.low, theirs.high), rel=0.03)


def test_resamples_of_nothing_but_zeros_have_no_ratio() -> None:
    """Of two cases a quarter of the resamples draw the zero twice."""
    assert ratio_interval([1.0, 0.0], [1.0, 0.0]) == (1.0, 1.0)


def test_no_ratio_over_zeros() -> None:
    with pytest.raises(ValueError, match="not all 0 below"):
        ratio_interval([1.0, 0.0], [0.0, 0.0])
