import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest

from rag_assets.evaluations.presentation import Presented, View, present
from rag_assets.evaluations.recording import (
    CASES,
    COMPARISONS,
    FIGURES,
    Origin,
    keep_cases,
    keep_figures,
    machine,
    write_report,
)
from rag_assets.evaluations.results import CaseResult, ModelUse
from rag_assets.lake.store import LakeStore
from rag_assets_tests.evaluations.lab import Bench
from rag_assets_tests.suites.corpora import live_reader

ORIGIN = Origin("run-1", datetime(2026, 11, 22, 8, 30, 15, 250_000, UTC))


def case(number: int, variant: str) -> CaseResult:
    return CaseResult(
        suite="golden", dataset="golden", variant=variant, case_id=f"c{number}",
        question='Wann fährt "Alder"?', answer="1994 [1]. 漢字", expected=("1994", "94"),
        slices={"kind": "lookup"}, scores={"correct": number % 2, "f1": 0.25}, answerable=True,
        abstained=False, confidence=None if number else 0.5, model="slm",
        use={"slm": ModelUse(1, 300, 128, 20, 0.5, 0.9, {"stop": 1})}, seconds=1.5,
        replayed=bool(number), error="",
    )  # fmt: skip


RESULTS = [case(n, variant) for variant in ("closed book slm", "product") for n in range(6)]


@pytest.fixture(scope="module")
def made() -> Presented:
    return present("golden", RESULTS, View(), seed=1)


def kept(results: Sequence[CaseResult]) -> list[dict[str, object]]:
    rows = [json.loads(json.dumps(asdict(result))) for result in results]
    return [{**row, **asdict(ORIGIN)} for row in rows]


def keep(
    store: LakeStore, suite: str, results: Sequence[CaseResult], made: Presented, origin: Origin
) -> None:
    keep_cases(store, suite, results, origin)
    keep_figures(store, suite, made, origin)


def test_rows_are_what_was_measured(store: LakeStore, made: Presented) -> None:
    keep(store, "golden", RESULTS, made, ORIGIN)
    rows = store.rows(CASES, "golden")
    for row in rows:
        for name in ("slices", "scores", "use"):
            row[name] = json.loads(row[name])
    assert rows == kept(RESULTS)
    figures = store.rows(FIGURES, "golden")
    assert figures == [{**asdict(ORIGIN), **asdict(figure)} for figure in made.figures]
    compared = store.rows(COMPARISONS, "golden")
    assert compared == [{**asdict(ORIGIN), **asdict(one)} for one in made.comparisons]
    assert len(compared) == 1


def test_runs_append_and_suites_are_apart(store: LakeStore, made: Presented) -> None:
    keep(store, "golden", RESULTS, made, ORIGIN)
    keep(store, "golden", RESULTS, made, replace(ORIGIN, run_id="run-2"))
    keep(store, "answers", RESULTS[:1], replace(made, comparisons=[]), ORIGIN)
    assert [row["run_id"] for row in store.rows(CASES, "golden")] == ["run-1"] * 12 + ["run-2"] * 12
    assert len(store.rows(CASES, "answers")) == 1
    assert len(store.rows(FIGURES, "golden")) == 2 * len(made.figures)
    assert store.partitions(COMPARISONS) == ["golden"], "no comparison, no table"


def test_half_a_character_does_not_lose_a_run(store: LakeStore, made: Presented) -> None:
    ugly = replace(
        RESULTS[0], answer="\ud83d", question="a\udc00", expected=("\ud800",),
        slices={"kind": "\ud800"}, error="\udfff",
    )  # fmt: skip
    keep(store, "golden", [ugly], made, ORIGIN)
    (row,) = store.rows(CASES, "golden")
    assert (row["answer"], row["question"], row["expected"]) == ("?", "a?", ["?"])


def test_page_says_how_to_repeat_it(bench: Bench, made: Presented) -> None:
    lab = bench.lab(limit=5, slices={"dataset": "squad2", "type": "two words"}, seed=3)
    lab.request = replace(lab.request, generation="gen-7")
    path = write_report(lab, "answers", "rag evaluate", made, ORIGIN)
    assert path == lab.settings.evaluations / "reports" / "answers-20261122-083015.html"
    page = path.read_text()
    for text in (
        "rag evaluate --limit 5 --slice dataset=squad2 "
        "--slice &#39;type=two words&#39; --generation gen-7 --seed 3",
        "5 of each set", "gen-7", "run-1", "2026-11-22T08:30+00:00", "GiB",
        lab.profile.spec("llm").model_id,
    ):  # fmt: skip
        assert text in page, text
    assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)


@pytest.mark.parametrize(
    ("limit", "said"), [(None, "its first-look sample"), (0, "all questions"), (3, "3 of each set")]
)
def test_page_says_how_many_questions(
    bench: Bench, made: Presented, limit: int | None, said: str
) -> None:
    page = write_report(bench.lab(limit=limit), "golden", "rag evaluate", made, ORIGIN).read_text()
    assert said in page
    assert ("--limit" in page) == (limit is not None)
    assert "none" in page, "nothing is live"


def test_page_names_the_live_generation(bench: Bench, made: Presented) -> None:
    bench.golden("docs")
    lab = bench.lab()
    assert (
        live_reader(lab.store).generation.id
        in write_report(lab, "golden", "rag evaluate", made, ORIGIN).read_text()
    )


def test_machine() -> None:
    assert re.fullmatch(r".*, \d+ cores, \d+ GiB", machine())
