"""Risk against coverage, calibration error: by hand, and against slow definitions."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.evaluations.calibration import (
    aurc,
    calibration_error,
    risk_coverage,
)
from rag_assets.evaluations.statistics import Statistic, point

Cases = list[tuple[float, float]]

coarse = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])  # so that there are ties
truths = st.sampled_from([0.0, 1.0])
tied = st.lists(st.tuples(coarse, truths), min_size=1, max_size=6)
untied = st.lists(
    st.tuples(st.floats(0, 1), truths), min_size=1, max_size=40, unique_by=lambda case: case[0]
)


def columns(cases: Cases) -> tuple[list[float], list[float]]:
    return [c for c, _ in cases], [r for _, r in cases]


def error_of(confidence: list[float], correct: list[float], n_bins: int = 10) -> float:
    return point(calibration_error(confidence, correct, n_bins=n_bins), len(confidence))


def area(confidence: list[float], correct: list[float]) -> float:
    return point(aurc(confidence, correct), len(confidence))


def test_risk_coverage_by_hand() -> None:
    coverage, risk = risk_coverage([0.2, 0.9, 0.6], [1, 1, 0])
    assert coverage.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3])
    assert area([0.2, 0.9, 0.6], [1, 1, 0]) == pytest.approx(5 / 18)


@given(tied)
def test_ties_count_as_a_random_order_would_on_average(cases: Cases) -> None:
    curves = []
    for order in itertools.permutations(cases):
        errors = [1 - right for _, right in sorted(order, key=lambda case: -case[0])]
        curves.append(np.cumsum(errors) / np.arange(1, len(errors) + 1))
    _, risk = risk_coverage(*columns(cases))
    assert risk == pytest.approx(np.mean(curves, axis=0))


@given(st.one_of(tied, untied))
def test_aurc_is_the_mean_risk(cases: Cases) -> None:
    _, risk = risk_coverage(*columns(cases))
    assert area(*columns(cases)) == pytest.approx(risk.mean())


def test_useless_confidence_has_the_error_rate_and_a_perfect_order_less() -> None:
    right = [1, 1, 0, 0]
    assert area([0.5] * 4, right) == pytest.approx(0.5)
    assert area([0.4, 0.3, 0.2, 0.1], right) == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert area([0.1, 0.2, 0.3, 0.4], right) == pytest.approx((1 + 1 + 2 / 3 + 1 / 2) / 4)


def test_calibration_error_by_hand() -> None:
    # Bins (0.9, 0.8) and (0.4, 0.1): |0.85 - 0.5| and |0.25 - 0.5|.
    assert error_of([0.1, 0.9, 0.4, 0.8], [0, 1, 1, 0], n_bins=2) == pytest.approx(0.3)
    assert error_of([0.5] * 4, [1, 1, 0, 0]) == pytest.approx(0)


@given(untied, st.integers(1, 8))
def test_calibration_error_is_that_of_equal_bins(cases: Cases, n_bins: int) -> None:
    cases = sorted(cases)[: max(n_bins, len(cases) // n_bins * n_bins)]  # bins that share no case
    bins = np.array_split(np.array(sorted(cases, reverse=True)), min(n_bins, len(cases)))
    expected = sum(abs(b[:, 0].mean() - b[:, 1].mean()) * len(b) for b in bins) / len(cases)
    assert error_of(*columns(cases), n_bins=n_bins) == pytest.approx(expected, abs=1e-12)


@given(st.one_of(tied, untied), st.randoms(use_true_random=False))
def test_order_of_the_cases_is_moot(cases: Cases, random: object) -> None:
    mixed = random.sample(cases, len(cases))
    assert area(*columns(mixed)) == pytest.approx(area(*columns(cases)))
    error = error_of(*columns(cases), n_bins=3)
    assert error_of(*columns(mixed), n_bins=3) == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("figure", [aurc, calibration_error])
@given(cases=st.one_of(tied, untied), data=st.data())
def test_counts_stand_for_repeated_cases(
    figure: Callable[..., Statistic], cases: Cases, data: st.DataObject
) -> None:
    n = len(cases)
    drawn = data.draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n))
    counts = np.bincount(drawn, minlength=n)[None, :].astype(float)
    repeated = point(figure(*columns([cases[index] for index in drawn])), n)
    assert figure(*columns(cases))(counts)[0] == pytest.approx(repeated, abs=1e-12)


@pytest.mark.parametrize("figure", [aurc, calibration_error, risk_coverage])
@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [
        ([], [], "two equal lists"),
        ([0.5], [1, 0], "two equal lists"),
        ([1.5], [1], "confidence must be in"),
        ([float("nan")], [1], "confidence must be in"),
        ([0.5], [float("nan")], "correct must be in"),
    ],
)
def test_what_is_no_probability_is_refused(
    figure: Callable[..., object], confidence: list[float], correct: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        figure(confidence, correct)


def test_there_is_a_bin_at_least() -> None:
    with pytest.raises(ValueError, match="n_bins must be positive, got 0"):
        error_of([0.5], [1], n_bins=0)
