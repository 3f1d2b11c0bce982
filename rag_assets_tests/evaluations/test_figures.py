"""From results to figures and comparisons: what is averaged over whom."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rag_assets.evaluations.calibration import aurc, calibration_error
from rag_assets.evaluations.figures import compare, figures, ratios, risk_coverage
from rag_assets.evaluations.results import CaseResult, Comparison, Figure, ModelUse
from rag_assets.evaluations.statistics import point


def result(case_id: object = 0, **changes: object) -> CaseResult:
    base = CaseResult(
        suite="answers",
        dataset="squad",
        variant="product",
        case_id=str(case_id),
        question="Where?",
        answer="Paris",
        expected=("Paris",),
        slices={},
        scores={"correct": 1.0},
        answerable=True,
        abstained=False,
        confidence=None,
        model="slm",
        use={},
        seconds=1.0,
    )
    return replace(base, **changes)


def scored(values: list[float], metric: str = "correct", **changes: object) -> list[CaseResult]:
    return [result(i, scores={metric: value}, **changes) for i, value in enumerate(values)]


def lines(results: list[CaseResult], **wanted: str) -> dict[str, Figure]:
    """The figures of one group, by metric."""
    key = {"dataset": "squad", "variant": "product", "slice": "all", **wanted}
    found = [f for f in figures(results) if all(getattr(f, k) == v for k, v in key.items())]
    by_metric = {figure.metric: figure for figure in found}
    assert len(by_metric) == len(found)
    return by_metric


def test_mean_with_its_interval() -> None:
    figure = lines(scored([1.0] * 30 + [0.0] * 10))["correct"]
    assert (figure.value, figure.n, figure.n_failed) == (0.75, 40, 0)
    # Binomial(40, 3/4) / 40: 95 % lie within 0.75 +- 2 * 0.068.
    assert figure.low == pytest.approx(0.61, abs=0.03)
    assert figure.high == pytest.approx(0.88, abs=0.03)


def test_a_failed_case_counts_as_wrong_but_not_as_fast() -> None:
    failed = result(2, scores={"correct": 0.0}, seconds=0.01, error="timeout", answer="")
    found = lines([result(0, seconds=2.0), result(1, seconds=2.0), failed])
    assert found["correct"].value == pytest.approx(2 / 3)
    assert (found["correct"].n, found["correct"].n_failed) == (3, 1)
    assert found["seconds p50"].value == 2.0
    assert (found["seconds p50"].n, found["seconds p50"].n_failed) == (2, 0)


def test_only_failures_have_no_seconds() -> None:
    failed = [result(i, scores={"correct": 0.0}, error="down", answer="") for i in range(3)]
    found = lines(failed)
    assert found.keys() == {"correct"}
    assert (found["correct"].value, found["correct"].n_failed) == (0.0, 3)


def test_an_absent_metric_is_not_averaged_in() -> None:
    results = [*scored([0.5, 0.7], "f1"), result(9, scores={"correct": 1.0})]
    found = lines(results)
    assert (found["f1"].value, found["f1"].n) == (pytest.approx(0.6), 2)
    assert (found["correct"].value, found["correct"].n) == (1.0, 1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    "changes",
    [
        lambda value: {"scores": {"f1": value}},
        lambda value: {"confidence": value},
        lambda value: {"seconds": value},
        lambda value: {"use": {"slm": ModelUse(calls=1, seconds=value)}},
        lambda value: {"use": {"slm": ModelUse(calls=1, core_seconds=value)}},
    ],
)
def test_what_is_not_finite_never_enters(
    changes: Callable[[float], dict[str, Any]], value: float
) -> None:
    results = [result(0), result(1, **changes(value))]
    for function in (figures, risk_coverage, lambda r: compare(r, "product", "product", ["f1"])):
        with pytest.raises(ValueError, match=r"answers/squad/product/1: .*leave out"):
            function(results)


def test_a_case_occurs_once() -> None:
    with pytest.raises(ValueError, match="answers/squad/product/0 occurs twice"):
        figures([result(0), result(0)])


def test_no_dataset_is_named_all() -> None:
    with pytest.raises(ValueError, match="taken by the line over all datasets"):
        figures([result(0, dataset="all")])


def test_nothing_yields_nothing() -> None:
    assert figures([]) == []
    assert risk_coverage([]) == {}


def test_slices_of_five_that_are_not_all() -> None:
    kinds = ["multi"] * 5 + ["single"] * 4 + ["rare"]
    results = [
        result(i, slices={"kind": kind, "language": "de"}, scores={"correct": float(i < 4)})
        for i, kind in enumerate(kinds)
    ]
    found = {f.slice: f for f in figures(results) if f.metric == "correct"}
    assert found.keys() == {"all", "kind=multi"}
    assert (found["kind=multi"].value, found["kind=multi"].n) == (0.8, 5)
    assert (found["all"].value, found["all"].n) == (0.4, 10)


def test_all_datasets_together_count_each_case_the_same() -> None:
    results = [
        *scored([1.0]),
        *scored([0.0, 0.0, 0.0], dataset="hotpotqa"),
        *scored([1.0], suite="retrieval"),
    ]
    found = [(f.suite, f.dataset, f.value, f.n) for f in figures(results) if f.metric == "correct"]
    assert found == [
        ("answers", "squad", 1.0, 1),
        ("answers", "hotpotqa", 0.0, 3),
        ("answers", "all", 0.25, 4),
        ("retrieval", "squad", 1.0, 1),
    ]


def test_variants_are_apart() -> None:
    results = [*scored([1.0, 1.0]), *scored([0.0, 0.0], variant="closed book")]
    assert lines(results)["correct"].value == 1.0
    assert lines(results, variant="closed book")["correct"].value == 0.0


def test_one_case_is_a_point() -> None:
    for figure in figures([result(0, confidence=0.9, use={"slm": ModelUse(calls=1)})]):
        assert figure.low == figure.value == figure.high


def test_abstentions() -> None:
    results = [
        result(0, abstained=True, answerable=False),
        result(1, abstained=True, answerable=True),
        result(2, answerable=False),
        result(3, answerable=False),
        result(4),
    ]
    found = lines(results)
    assert found["abstention precision"].value == 0.5
    assert found["abstention precision"].n == 2
    assert found["abstention recall"].value == pytest.approx(1 / 3)
    assert found["abstention recall"].n == 3


@pytest.mark.parametrize(
    ("changes", "present"),
    [
        ({}, set()),
        ({"answerable": False}, {"abstention recall"}),
        ({"abstained": True, "answer": ""}, {"abstention precision"}),
        # Retrieval gives no answer, so it cannot withhold one.
        ({"answerable": False, "answer": ""}, set()),
    ],
)
def test_abstention_figures_where_they_are_defined(
    changes: dict[str, Any], present: set[str]
) -> None:
    assert {m for m in lines([result(0, **changes)]) if "abstention" in m} == present


def test_confidences() -> None:
    results = [
        result(0, confidence=0.9, scores={"correct": 1.0}),
        result(1, confidence=0.8, scores={"correct": 0.0}),
        result(2, abstained=True, confidence=0.99, scores={"correct": 1.0}),
        result(3, error="down", scores={"correct": 0.0}),
        result(4, scores={"correct": 1.0}),  # its confidence is unknown
        result(5, confidence=0.7, scores={}),  # cannot be judged
    ]
    found = lines(results)
    assert found["aurc"].value == pytest.approx(point(aurc([0.9, 0.8, 0, 0], [1, 0, 1, 0]), 4))
    assert (found["aurc"].n, found["aurc"].n_failed) == (4, 1)
    assert found["overconfidence"].value == pytest.approx(0.85 - 0.5)
    assert found["ece"].value == pytest.approx(point(calibration_error([0.9, 0.8], [1, 0]), 2))
    assert found["overconfidence"].n == found["ece"].n == 2


def test_risk_coverage_has_the_mean_of_aurc() -> None:
    results = [
        result(i, confidence=(i % 7 + 1) / 7, scores={"correct": float(i % 3 > 0)})
        for i in range(30)
    ]
    curve = risk_coverage(results)["answers", "squad", "product"]
    assert [coverage for coverage, _ in curve] == pytest.approx([i / 30 for i in range(1, 31)])
    assert sum(risk for _, risk in curve) / 30 == pytest.approx(lines(results)["aurc"].value)


def test_no_confidence_no_calibration() -> None:
    results = [result(0), result(1, abstained=True)]
    assert lines(results).keys().isdisjoint({"aurc", "ece", "overconfidence"})
    assert risk_coverage(results) == {}


def test_an_interval_holds_its_figure() -> None:
    results = [  # calibrated: resamples have a higher error than the sample
        result(i, confidence=0.5 + i % 5 / 1000, scores={"correct": float(i // 5 % 2)})
        for i in range(100)
    ]
    ece = lines(results)["ece"]
    assert ece.value < 0.01
    assert ece.low <= ece.value < ece.high


def test_seconds() -> None:
    results = [
        result(i, seconds=float(i), use={"slm": ModelUse(calls=1, seconds=i / 10)})
        for i in range(1, 101)
    ]
    results += [result(200, seconds=50.0, use={"slm": ModelUse(), "llm": ModelUse(2, seconds=9.0)})]
    found = lines(results)
    assert [found[f"seconds p{p}"].value for p in (50, 95, 99)] == [50.0, 95.0, 99.0]
    assert [found[f"seconds p{p} slm"].value for p in (50, 95, 99)] == [5.0, 9.5, 9.9]
    assert (found["seconds p50 slm"].n, found["seconds p50 llm"].n) == (100, 1)
    assert found["seconds p50 llm"].value == 9.0
    assert found["seconds p50"].low < 50 < found["seconds p50"].high


def test_tokens_of_the_roles_add_up() -> None:
    slm = ModelUse(1, 100, 80, 10, core_seconds=1.5, finish_reasons={"stop": 1})
    llm = ModelUse(2, 300, 0, 40, core_seconds=4.0, finish_reasons={"stop": 1, "length": 1})
    failed = result(2, use={"slm": slm}, error="down", scores={"correct": 0.0})
    found = lines([result(0, use={"slm": slm}), result(1, use={"slm": slm, "llm": llm}), failed])
    values = {metric: figure.value for metric, figure in found.items()}
    assert values["prompt tokens"] == 250
    assert values["prompt tokens slm"] == 100
    assert values["prompt tokens llm"] == 150
    assert values["completion tokens"] == 30
    assert values["core seconds"] == pytest.approx(3.5)
    assert values["core seconds llm"] == pytest.approx(2.0)
    assert values["cached prompt share"] == pytest.approx(160 / 500)
    assert values["cached prompt share slm"] == pytest.approx(0.8)
    assert values["cached prompt share llm"] == 0
    assert found["prompt tokens llm"].n == 2
    assert found["cached prompt share llm"].n == 1
    assert values["cut answers"] == pytest.approx(1 / 3)
    assert (found["cut answers"].n, found["cut answers"].n_failed) == (3, 1)


def test_no_model_no_usage() -> None:
    assert lines([result(0)]).keys() == {"correct", "seconds p50"}


def test_a_percentile_needs_enough_questions_not_to_be_the_maximum() -> None:
    names = [
        {metric for metric in lines([result(i) for i in range(n)]) if metric.startswith("seconds")}
        for n in (19, 20, 99, 100)
    ]
    few, some = {"seconds p50"}, {"seconds p50", "seconds p95"}
    assert names == [few, some, some, {*some, "seconds p99"}]


def test_what_nobody_waited_for_has_no_time() -> None:
    timed, ranking = result(0), replace(result(1), seconds=0.0)
    assert lines([timed, ranking])["seconds p50"].value == timed.seconds
    assert lines([timed, ranking])["seconds p50"].n == 1
    assert "seconds p50" not in lines([ranking])


def test_same_results_same_figures() -> None:
    results = scored([(i * i % 37) / 37 for i in range(30)], "f1")
    assert figures(results) == figures(results)
    f1, again = (next(f for f in figures(results, seed=s) if f.metric == "f1") for s in (1, 2))
    assert (f1.low, f1.high) != (again.low, again.high)


def pairs(before: list[float], after: list[float], metric: str = "correct") -> list[CaseResult]:
    others = scored(after, metric, variant="other")
    return [*scored(before, metric), *reversed(others)]  # joined by id, not by place


def only(found: list[Comparison]) -> Comparison:
    assert len(found) == 1
    return found[0]


def test_yes_no_metrics_are_compared_by_mcnemar() -> None:
    results = pairs([1, 0, 0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1, 0, 0])
    found = only(compare(results, "product", "other", ["correct"]))
    assert found.test == "McNemar exact"
    assert (found.n, found.n_better, found.n_worse) == (8, 5, 1)
    assert found.difference == pytest.approx(0.5)
    assert found.low < 0.5 < found.high <= 1
    assert found.p_value == pytest.approx(2 * 7 / 64)
    assert found.effect == pytest.approx(5 / 6 - 0.5)
    assert (found.baseline, found.other, found.slice) == ("product", "other", "all")


def test_other_metrics_are_compared_by_the_paired_bootstrap() -> None:
    results = pairs([0.1, 0.2, 0.3, 0.9], [0.2, 0.4, 0.6, 0.9], "f1")
    found = only(compare(results, "product", "other", ["f1"]))
    assert found.test == "paired bootstrap"
    assert found.difference == pytest.approx(0.15)
    assert found.effect == pytest.approx(0.15 / math.sqrt(0.05 / 3))  # deviations .05 .05 .15 .15
    assert (found.n, found.n_better, found.n_worse) == (4, 3, 0)
    assert 0.125 <= found.p_value < 1


def test_turned_round_the_signs_turn() -> None:
    results = pairs([0.1, 0.2, 0.3, 0.9], [0.2, 0.4, 0.6, 0.9], "f1")
    there = only(compare(results, "product", "other", ["f1"]))
    back = only(compare(results, "other", "product", ["f1"]))
    assert back.difference == pytest.approx(-there.difference)
    assert back.effect == pytest.approx(-there.effect)
    assert (back.n_better, back.n_worse) == (there.n_worse, there.n_better)


def test_only_shared_cases_and_metrics_are_compared() -> None:
    results = [
        *scored([0.0, 0.0, 1.0]),
        result(7, scores={"f1": 0.5}),
        result(2, variant="other", scores={"correct": 1.0}),
        result(7, variant="other", scores={"correct": 1.0}),  # the baseline has no such score
        result(8, variant="other", scores={"correct": 1.0}),  # not asked of the baseline
        result(0, variant="other", scores={"correct": 1.0}, dataset="hotpotqa"),  # another question
    ]
    found = only(compare(results, "product", "other", ["correct", "f1"]))
    assert (found.n, found.difference, found.p_value) == (1, 0.0, 1.0)


def test_comparisons_by_dataset_and_all() -> None:
    results = [
        result(i, dataset=dataset, variant=variant, slices={"half": half, "odd": str(i % 2)})
        for variant in ("product", "other")
        for dataset in ("squad", "hotpotqa")
        for half, ids in (("a", range(5)), ("b", range(5, 10)))
        for i in ids
    ]
    found = compare(results, "product", "other", ["correct"])
    assert [(c.dataset, c.slice, c.n) for c in found] == [
        ("squad", "all", 10), ("hotpotqa", "all", 10), ("all", "all", 20),
    ]  # fmt: skip


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(ValueError, match=r"no results of \['typo'\]; there are \['product'\]"):
        compare([result(0)], "product", "typo", ["correct"])


def test_a_ratio_is_over_shared_cases() -> None:
    first = scored([1.0, 1.0, 1.0, 1.0, 0.0])
    second = scored([1.0, 0.0, 1.0, 0.0, 1.0, 1.0], variant="terse")
    second[0] = replace(second[0], error="timeout")
    (found,) = ratios([*first, *second], "product", "terse", "correct")
    assert (found.variant, found.metric) == ("terse / product", "ratio of correct")
    assert (found.value, found.n, found.n_failed) == (0.75, 5, 1)
    assert found.low < 0.75 < found.high


def test_no_ratio_where_the_baseline_has_nothing() -> None:
    results = [*scored([0.0, 0.0]), *scored([1.0, 0.0], variant="terse")]
    assert ratios(results, "product", "terse", "correct") == []
    with pytest.raises(ValueError, match=r"no results of \['other'\]"):
        ratios(results, "product", "other", "correct")
