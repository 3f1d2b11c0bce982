from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

from rag_assets.answers.policy import AnswerPolicy
from rag_assets.evaluations.golden import CLOSED_BOOKS
from rag_assets.evaluations.results import CaseResult
from rag_assets.lake.store import LakeError
from rag_assets_tests.evaluations.lab import Bench, n_calls
from rag_assets_tests.suites import mixed
from rag_assets_tests.suites.ablation import CONVENTIONAL, ablation, indexes, steps
from rag_assets_tests.suites.baselines import (
    all_to_llm,
    bare_chunks,
    by_vectors,
    deep_where_many_speak,
    unchecked,
)
from rag_assets_tests.suites.bench import mixed_and_golden
from rag_assets_tests.suites.conventional import VARIANTS
from rag_assets_tests.suites.corpora import ingested, live_reader

NAMES = [
    "conventional", "+ normalise, dedupe", "+ sections", "+ chunk discipline",
    "+ hybrid retrieval", "+ section selection", "+ SLM enrichment", "+ routing", "+ token budget",
    "+ grounding", "+ deep mode",
]  # fmt: skip
# What each step changes against the one before it, and nothing besides.
CHANGES = [
    {"index"}, {"index"}, {"index"}, {"search", "n_hits"}, {"select", "passage_tokens"},
    {"index"}, {"route"}, {"slm", "llm", "passage_tokens"}, {"check", "min_similarity"},
    {"route"},
]  # fmt: skip


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with mixed_and_golden(tmp_path_factory.mktemp("mixed")) as bench:
        yield bench


def test_eleven_steps_in_order() -> None:
    assert [step.name for step in steps()] == NAMES


def test_each_step_changes_what_its_name_says_and_nothing_besides() -> None:
    changes = []
    for before, after in pairwise(steps()):
        changed = {
            field.name
            for field in fields(AnswerPolicy)
            if getattr(before.policy, field.name) != getattr(after.policy, field.name)
        }
        made_of = ("index", "search", "select", "route", "check")
        changed |= {name for name in made_of if getattr(before, name) != getattr(after, name)}
        changes.append(changed)
    assert changes == CHANGES


def test_indexes_of_the_steps() -> None:
    used = list(dict.fromkeys(step.index for step in steps()))
    assert used == [*VARIANTS, "enriched"]


def test_ends_of_the_ladder() -> None:
    first, *_, deep = steps()
    assert first.policy == CONVENTIONAL
    assert (first.search, first.select, first.route, first.check) == (
        by_vectors, bare_chunks, all_to_llm, unchecked,
    )  # fmt: skip
    assert deep.route == deep_where_many_speak


def test_grounding_is_the_product_as_it_ships(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path)
    reader = live_reader(lab.store)
    *_, product, _ = steps()
    assert product.answerer(lab, reader) == lab.answerer(reader)


def test_same_questions_in_all_steps(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path, limit=2)
    results = ablation(lab)
    assert {r.suite for r in results} == {"ablation"}
    for dataset, n in (("golden", 2), ("mixed", 6)):
        of_set = [r for r in results if r.dataset == dataset]
        asked = {
            name: [r.case_id for r in of_set if r.variant == name]
            for name in dict.fromkeys(r.variant for r in of_set)
        }
        assert list(asked) == [*CLOSED_BOOKS, *NAMES] or list(asked) == NAMES
        answered = [asked[name] for name in NAMES]
        assert all(ids == answered[0] for ids in answered)
        assert len(answered[0]) == n
    both = {r.variant for r in results if r.dataset == "mixed"}
    assert both == {*CLOSED_BOOKS, *NAMES}
    models = {r.variant: set() for r in results}
    for r in results:
        models[r.variant] |= set(r.use)
    for name in NAMES[:7]:
        assert models[name] == {"llm"}, "until routing every question goes to the LLM"
    assert "slm" in models["+ routing"]
    assert "slm" in models["+ token budget"]


def test_killed_and_run_again_it_asks_what_was_left(public: Bench, tmp_path: Path) -> None:
    slices = {"dataset": "golden"}
    whole = public.lab(tmp_path / "whole", slices=slices)
    expected = ablation(whole)

    class KilledError(BaseException):
        pass

    n_left = [5]

    def until_killed(call: object) -> object:
        n_left[0] -= 1
        if n_left[0] < 0:
            raise KilledError
        return whole.chat("llm").reply(call)  # type: ignore[attr-defined]

    first = public.lab(tmp_path, slm=until_killed, llm=until_killed, slices=slices)  # type: ignore[arg-type]
    with pytest.raises(KilledError):
        ablation(first)
    second = public.lab(tmp_path, slices=slices)
    results = ablation(second)
    assert n_calls(second) == n_calls(whole) - 5
    assert [(r.variant, r.case_id, r.answer, r.scores) for r in results] == [
        (r.variant, r.case_id, r.answer, r.scores) for r in expected
    ]


def sets_of(results: Sequence[CaseResult]) -> set[str]:
    return {result.dataset.partition(",")[0] for result in results}


def test_retrieval_of_the_steps_is_judged_on_all_questions(public: Bench, tmp_path: Path) -> None:
    results = ablation(public.lab(tmp_path, limit=1, slices={"dataset": "mixed"}))
    ranked = [r for r in results if r.dataset == "mixed, retrieval"]
    by_step = {name: {r.case_id for r in ranked if r.variant == name} for name in NAMES}
    judged = [name for name, ids in by_step.items() if ids]
    assert judged == [*NAMES[:5], "+ SLM enrichment"], "later steps search as the one before does"
    assert {len(by_step[name]) for name in judged} == {9}
    assert all(r.use == {} and "ndcg@10" in r.scores for r in ranked)


def test_one_set_of_the_two(public: Bench, tmp_path: Path) -> None:
    results = ablation(public.lab(tmp_path, limit=1, slices={"dataset": "golden"}))
    assert sets_of(results) == {"golden"}
    results = ablation(public.lab(tmp_path, limit=1, slices={"dataset": "mixed"}))
    assert sets_of(results) == {"mixed"}


def test_without_public_data_the_sources_questions_remain(bench: Bench) -> None:
    bench.golden("docs")
    assert sets_of(ablation(bench.lab(limit=1))) == {"golden"}
    assert any("mixed skipped" in line for line in bench.lines)


def test_nothing_live_is_a_sentence(bench: Bench) -> None:
    lab = bench.lab()
    with pytest.raises(LakeError, match="run `rag refresh`"):
        indexes(lab, "golden", lab.store)


# The mixed corpus


def test_mixed_holds_what_its_questions_need(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path, limit=0)
    tasks = mixed.tasks(lab, 1)
    assert {task.slices["set"] for task in tasks} == set(mixed.SETS)
    assert len(tasks) == 9, "three answerable ones of each set"
    store = ingested(lab, mixed.NAME, mixed.documents(lab), enriched=True)
    found = {row["uri"] for row in store.rows("chunk_index")}
    assert {uri for task in tasks for uri in task.uris} <= found
    assert len(found) == 4 + 4 + 4, "a document without a question is a distractor"


def test_mixed_sample_is_equal_and_seeded(public: Bench, tmp_path: Path) -> None:
    def drawn(first_look: int, limit: int | None = None, seed: int = 1) -> list[str]:
        return [
            task.id
            for task in mixed.tasks(public.lab(tmp_path, limit=limit, seed=seed), first_look)
        ]

    sets = [task_id.partition("/")[0] for task_id in drawn(2)]
    assert sets == [name for name in mixed.SETS for _ in range(2)]
    assert drawn(2, limit=1) == [i for at, i in enumerate(drawn(2)) if at % 2 == 0]
    assert len({tuple(drawn(1, seed=seed)) for seed in range(6)}) > 1
