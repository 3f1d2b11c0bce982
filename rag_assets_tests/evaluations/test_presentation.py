import random
import re
from collections.abc import Sequence
from itertools import pairwise

import pytest

from rag_assets.evaluations.ablation import steps
from rag_assets.evaluations.presentation import pairs, present
from rag_assets.evaluations.registry import SUITES
from rag_assets.evaluations.report import Report, render_report
from rag_assets.evaluations.results import CaseResult, ModelUse
from rag_assets.evaluations.suites import CLOSED_BOOKS, GIVEN, PRODUCT

LADDERS = {
    "model-size": ["slm", "llm"],
    "quantisation": [f"{m} {p}" for m in ("slm", "llm") for p in ("bf16", "w8a8", "w4a16")],
    "phrasing": ["original", "keywords", "all"],
    "evidence-position": [f"{m}, {p}" for m in ("slm", "llm") for p in ("first", "last")],
    "batching": ["one at a time", "4 at once"],
}
SEARCHES = ["bm25", "vectors", "hybrid"]
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


def ranked(suite: str, dataset: str, variant: str, number: int) -> CaseResult:
    value = DRAW.random()
    scores = dict.fromkeys(("ndcg@10", "recall@5", "recall@10", "recall@100", "map@100"), value)
    return CaseResult(
        suite, dataset, variant, f"c{number}", "lift", "", ("x",),
        {"language": ("de", "en")[number % 2]}, scores, True, False, None, "none", {}, 0.0,
    )  # fmt: skip


def results_of(suite: str) -> list[CaseResult]:
    """Twelve questions of everything that the suite gives, by its names; one of them failed."""
    found: list[CaseResult] = []
    for dataset in SUITES[suite].parts:
        answering = [PRODUCT]
        ranking: Sequence[str] = ()
        if suite == "ladders":
            answering = LADDERS.get(dataset, ["clean", "noisy"])
        elif suite == "ablation":
            answering = [*CLOSED_BOOKS, *(step.name for step in steps())]
        elif suite == "retrieval":
            answering, ranking = [], SEARCHES
        elif suite in ("answers", "languages"):
            ranking = SEARCHES
            answering += [GIVEN] if dataset == "squad2" else []
            answering += CLOSED_BOOKS if suite == "answers" else []
        elif suite == "golden":
            answering += CLOSED_BOOKS
        found += [ranked(suite, dataset, v, n) for v in ranking for n in range(12)]
        for variant in answering:
            numbers = [n for n in range(12) if variant not in CLOSED_BOOKS or n % 4]
            found += [
                answered(suite, dataset, variant, n, "refused" if n == 11 else "") for n in numbers
            ]
    return found


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_can_be_shown(suite: str) -> None:
    results = results_of(suite)
    made = present(suite, results, seed=1)
    page = render_report(Report(suite, {"seed": "1"}, made.sections))
    assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    titles = [section.title for section in made.sections]
    assert titles[0] == "Quality"
    answering = suite != "retrieval"
    assert ("Questions and answers" in titles) == answering
    assert ("Time, tokens, cost" in titles) == answering
    assert all(title in page for title in titles)
    assert made.sections[0].plots
    texts = made.markdown()
    assert texts["figures"].startswith("| dataset | variant | n |")
    for variant in {r.variant for r in results if "correct" in r.scores or suite == "retrieval"}:
        assert f"| {variant} |" in texts["figures"]
    assert texts["plot"].startswith("![")
    assert ("comparisons" in texts) == bool(made.comparisons)
    assert made.headline[0] == ("correct" if answering else "ndcg@10")
    assert all(name.startswith(f"{made.headline[0]}, ") for name in made.trends())
    cases = made.sections[-1].cases
    assert (len(cases or ()) > 0) == answering


@pytest.mark.parametrize(
    ("suite", "expected"),
    [
        ("golden", {(c, PRODUCT) for c in CLOSED_BOOKS}),
        ("retrieval", {("bm25", "hybrid"), ("vectors", "hybrid")}),
        (
            "answers",
            {("bm25", "hybrid"), ("vectors", "hybrid"), *((c, PRODUCT) for c in CLOSED_BOOKS)},
        ),
        ("languages", {("bm25", "hybrid"), ("vectors", "hybrid")}),
        ("conflicts", set()),
    ],
)
def test_what_is_compared(suite: str, expected: set[tuple[str, str]]) -> None:
    made = present(suite, results_of(suite), seed=1)
    assert {(c.baseline, c.other) for c in made.comparisons} == expected
    ranking = {c.metric for c in made.comparisons if c.other == "hybrid"}
    assert ranking in (set(), {"ndcg@10", "recall@10"})


def test_each_step_is_compared_with_the_one_before_and_with_the_first() -> None:
    names = [step.name for step in steps()]
    found = pairs("ablation", results_of("ablation"))
    assert found[:10] == list(pairwise(names))
    assert found[10:] == [(names[0], other) for other in names[2:]]


@pytest.mark.parametrize(
    ("ladder", "expected"),
    [
        ("model-size", [("slm", "llm")]),
        (
            "quantisation",
            [(f"{m} bf16", f"{m} {p}") for m in ("slm", "llm") for p in ("w8a8", "w4a16")],
        ),
        ("evidence-position", [(f"{m}, first", f"{m}, last") for m in ("slm", "llm")]),
        ("phrasing", [("original", "keywords"), ("original", "all")]),
        ("batching", [("one at a time", "4 at once")]),
    ],
)
def test_rungs_are_compared_with_the_first_of_their_model(
    ladder: str, expected: list[tuple[str, str]]
) -> None:
    """The large model in int4 was compared with the small one in bf16."""
    rungs = [r for r in results_of("ladders") if r.dataset == ladder]
    assert pairs("ladders", rungs) == expected


def test_a_ladder_is_not_compared_with_another() -> None:
    made = present("ladders", results_of("ladders"), seed=1)
    assert {(c.dataset, c.baseline) for c in made.comparisons} >= {
        ("batching", "one at a time"), ("phrasing", "original"), ("corpus-noise", "clean"),
    }  # fmt: skip
    assert not any(c.dataset == "batching" and c.other == "noisy" for c in made.comparisons)


def test_all_questions_failed_is_shown_too() -> None:
    failed = [answered("golden", "golden", PRODUCT, n, "refused") for n in range(6)]
    known = [answered("golden", "golden", CLOSED_BOOKS[0], n) for n in range(6)]
    for results in (failed, [*failed, *known]):
        made = present("golden", results, seed=1)
        assert "refused" in render_report(Report("x", {}, made.sections))
        (figure,) = [f for f in made.figures if (f.metric, f.variant) == ("correct", PRODUCT)]
        assert (figure.value, figure.n_failed) == (0, 6)


def test_no_results_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="suite golden has no results: do the slices"):
        present("golden", [], seed=1)


def test_languages_are_drawn_by_language() -> None:
    made = present("languages", results_of("languages"), seed=1)
    (slices,) = [s for s in made.sections if s.title == "Slices"]
    assert [p.caption for p in slices.plots] == ["ndcg@10 by language.", "correct by language."]
