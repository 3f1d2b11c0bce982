import re
from collections.abc import Sequence
from itertools import pairwise

import pytest

from rag_assets.evaluations.golden import CLOSED_BOOKS, PRODUCT
from rag_assets.evaluations.presentation import Presented, present
from rag_assets.evaluations.report import Report, render_report
from rag_assets.evaluations.results import CaseResult
from rag_assets_tests.evaluations.test_presentation import DRAW, answered
from rag_assets_tests.suites.ablation import steps
from rag_assets_tests.suites.conversations import FOLLOW_UP, WRITTEN_OUT
from rag_assets_tests.suites.injection import PLAIN, WITHOUT
from rag_assets_tests.suites.public import GIVEN
from rag_assets_tests.suites.registry import PARTS, SUITES
from rag_assets_tests.suites.views import rungs_apart, steps_apart
from rag_assets_tests.suites.wordings import KEYWORDS, QUESTION

LADDERS = {
    "model-size": ["slm", "llm"],
    "quantisation": [f"{m} {p}" for m in ("slm", "llm") for p in ("bf16", "w8a8", "w4a16")],
    "phrasing": ["original", "keywords", "all"],
    "evidence-position": [f"{m}, {p}" for m in ("slm", "llm") for p in ("first", "last")],
    "batching": ["one at a time", "4 at once"],
}
SEARCHES = ["bm25", "vectors", "hybrid"]


def ranked(suite: str, dataset: str, variant: str, number: int) -> CaseResult:
    value = DRAW.random()
    scores = dict.fromkeys(("ndcg@10", "recall@5", "recall@10", "recall@100", "map@100"), value)
    return CaseResult(
        suite, dataset, variant, f"c{number}", "lift", "", ("x",),
        {"language": ("de", "en")[number % 2]}, scores, True, False, None, "none", {}, 0.0,
    )  # fmt: skip


def shown(suite: str, results: Sequence[CaseResult]) -> Presented:
    return present(suite, results, SUITES[suite].view, seed=1)


def results_of(suite: str) -> list[CaseResult]:
    """Twelve questions of everything that the suite gives, by its names; one of them failed."""
    found: list[CaseResult] = []
    for dataset in PARTS[suite]:
        answering = [PRODUCT]
        ranking: Sequence[str] = ()
        if suite == "ladders":
            answering = LADDERS.get(dataset, ["clean", "noisy"])
        elif suite == "wordings":
            answering = [QUESTION, KEYWORDS]
        elif suite == "conversations":
            answering = [WRITTEN_OUT, FOLLOW_UP]
        elif suite == "injection":
            answering = [PRODUCT, PLAIN, f"{PRODUCT}{WITHOUT}"]
        elif suite == "ablation":
            answering = [*CLOSED_BOOKS, *(step.name for step in steps())]
        elif suite == "retrieval":
            answering, ranking = [], SEARCHES
        elif suite in ("answers", "languages"):
            ranking = SEARCHES
            answering += [GIVEN] if dataset == "squad2" else []
            answering += CLOSED_BOOKS if suite == "answers" else []
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
    made = shown(suite, results)
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
        ("retrieval", {("bm25", "hybrid"), ("vectors", "hybrid")}),
        (
            "answers",
            {("bm25", "hybrid"), ("vectors", "hybrid"), *((c, PRODUCT) for c in CLOSED_BOOKS)},
        ),
        ("languages", {("bm25", "hybrid"), ("vectors", "hybrid")}),
        ("conflicts", set()),
        ("wordings", {(QUESTION, KEYWORDS)}),
        ("conversations", {(WRITTEN_OUT, FOLLOW_UP)}),
        ("injection", {(PLAIN, PRODUCT)}),
    ],
)
def test_what_is_compared(suite: str, expected: set[tuple[str, str]]) -> None:
    made = shown(suite, results_of(suite))
    assert {(c.baseline, c.other) for c in made.comparisons} == expected
    ranking = {c.metric for c in made.comparisons if c.other == "hybrid"}
    assert ranking in (set(), {"ndcg@10", "recall@10"})


def test_each_step_is_compared_with_the_one_before_and_with_the_first() -> None:
    names = [step.name for step in steps()]
    found = steps_apart([*CLOSED_BOOKS, *names])
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
    assert rungs_apart(LADDERS[ladder]) == expected


def test_a_ladder_is_not_compared_with_another() -> None:
    made = shown("ladders", results_of("ladders"))
    assert {(c.dataset, c.baseline) for c in made.comparisons} >= {
        ("batching", "one at a time"), ("phrasing", "original"), ("corpus-noise", "clean"),
    }  # fmt: skip
    assert not any(c.dataset == "batching" and c.other == "noisy" for c in made.comparisons)


def test_languages_are_drawn_by_language() -> None:
    made = shown("languages", results_of("languages"))
    (slices,) = [s for s in made.sections if s.title == "Slices"]
    assert list(slices.plots) == ["ndcg@10 by language.", "correct by language."]
