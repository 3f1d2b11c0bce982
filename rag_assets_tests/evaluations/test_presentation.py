import random
from dataclasses import replace

import pytest

from rag_assets.evaluations.golden import CLOSED_BOOKS, PRODUCT
from rag_assets.evaluations.presentation import View, present
from rag_assets.evaluations.report import Report, render_report
from rag_assets.evaluations.results import CaseResult, ModelUse

DRAW = random.Random(7)


def answered(suite: str, dataset: str, variant: str, number: int, error: str = "") -> CaseResult:
    answerable, abstained = number % 4 != 0, number % 5 == 0
    right = float(abstained) if not answerable else float(DRAW.random() < 0.6 and not abstained)
    scores = {"correct": 0.0 if error else right, "f1": right / 2}
    closed = variant in CLOSED_BOOKS
    if not closed and answerable:
        scores |= {"evidence recall": 1.0, "citation recall": right, "answer in evidence": 1.0}
    use = {"slm": ModelUse(1, 300, 128, 20, 0.5, 0.9, {"stop": 1}),
           "llm": ModelUse(1, 500, 0, 40, 3.0, 5.5, {"length": 1})}  # fmt: skip
    return CaseResult(
        suite, dataset, variant, f"c{number}", "When <b>?</b>", "In 1994 [1].", ("1994",),
        {"kind": "lookup" if number % 2 else "multi", "language": ("de", "en")[number % 2]},
        scores, answerable, abstained and not error, None if abstained or error else 0.8,
        "none" if error else "slm", {} if error else use, 0.0 if error else 2.0 + number / 10,
        error=error,
    )  # fmt: skip


def test_all_questions_failed_is_shown_too() -> None:
    failed = [answered("golden", "golden", PRODUCT, n, "refused") for n in range(6)]
    known = [answered("golden", "golden", CLOSED_BOOKS[0], n) for n in range(6)]
    for results in (failed, [*failed, *known]):
        made = present("golden", results, View(), seed=1)
        assert "refused" in render_report(Report("x", {}, made.sections))
        (figure,) = [f for f in made.figures if (f.metric, f.variant) == ("correct", PRODUCT)]
        assert (figure.value, figure.n_failed) == (0, 6)


def test_no_results_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="suite golden has no results: do the slices"):
        present("golden", [], View(), seed=1)


def test_golden_is_shown_and_compared_with_what_models_know_by_heart() -> None:
    results = [
        answered("golden", "golden", variant, n)
        for variant in (PRODUCT, *CLOSED_BOOKS)
        for n in range(12)
    ]
    made = present("golden", results, View(), seed=1)
    assert {(c.baseline, c.other, c.metric) for c in made.comparisons} == {
        (closed, PRODUCT, "correct") for closed in CLOSED_BOOKS
    }
    titles = [section.title for section in made.sections]
    assert titles[0] == "Quality"
    assert {"Slices", "Time, tokens, cost", "Questions and answers"} < set(titles)
    assert made.headline[0] == "correct"
    assert all(name.startswith("correct, ") for name in made.trends())


def test_a_ratio_and_the_questions_that_differ() -> None:
    results = [
        replace(answered("golden", "golden", variant, n), scores={"correct": float(n < n_right)})
        for variant, n_right in (("long", 8), ("short", 6))
        for n in range(12)
    ]
    view = View(pairs=lambda _: [("long", "short")], ratio="correct")
    made = present("golden", results, view, seed=1)
    (ratio,) = [f for f in made.figures if f.metric == "ratio of correct"]
    assert (ratio.value, ratio.n) == (0.75, 12)
    assert ratio in made.sections[0].figures
    assert made.headline[:2] == ("correct", "ratio of correct")
    (differ,) = [s for s in made.sections if s.title == "Questions that differ"]
    names = [(case.case_id, case.variant) for case in differ.cases or ()]
    assert names == [("c6", "long"), ("c6", "short"), ("c7", "long"), ("c7", "short")]


def test_no_ratio_is_shown_unless_a_view_wants_one() -> None:
    results = [answered("golden", "golden", PRODUCT, n) for n in range(12)]
    made = present("golden", results, View(), seed=1)
    assert not any("ratio" in figure.metric for figure in made.figures)
    assert "Questions that differ" not in [section.title for section in made.sections]
