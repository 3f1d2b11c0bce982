from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rag_assets.evaluations.results import CaseResult
from rag_assets.models.protocols import Completion
from rag_assets_tests.answers.fakes import Call, yes
from rag_assets_tests.evaluations.lab import Bench, model, never
from rag_assets_tests.suites import public as suites
from rag_assets_tests.suites.bench import (
    asked,
    shared,
    ship,
    ships,
    write_judged,
    write_qa,
    write_ships,
)
from rag_assets_tests.suites.datasets import DataMissingError
from rag_assets_tests.suites.registry import FIRST_LOOK, PARTS, SUITES

LANGUAGES = ("de", "en", "zh")
RANKED = ["bm25", "vectors", "hybrid"]


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """All sets, tiny, ingested once for this module."""
    with pytest.MonkeyPatch.context() as patch:
        bench = shared(tmp_path_factory.mktemp("public"), patch)
        write_ships(bench.data, "squad2", 8, n_unanswerable=4)
        for name in suites.ANSWERS[1:]:
            write_ships(bench.data, name, 2)
        for name in suites.RETRIEVAL:
            write_judged(bench.data, name, 4)
        fleet = ships("Parallel", 4)
        documents, questions = [], []
        for language in LANGUAGES:
            for name, year in fleet:
                own = f"{name}{language}"
                documents.append(ship(own, year, language))
                row = asked(own, year, lang=language, parallel_id=name)
                questions.append(row)
        write_qa(bench.data, "xquad", documents, questions)
        documents = [ship("Truth", 1994), {**ship("Truth", 1990), "id": "d-lie"}]
        documents[1]["text"] = "The ferry Truth, as some say, was built in 1990."
        row = asked("Truth", 1994, false_answers=["1990"], contradicting_ids=["d-lie"])
        write_qa(bench.data, "rgb", documents, [row])
        yield bench


def variants(results: Sequence[CaseResult], dataset: str) -> dict[str, int]:
    return Counter(r.variant for r in results if r.dataset == dataset)


def test_retrieval_needs_no_chat_model(public: Bench, tmp_path: Path) -> None:
    results = suites.retrieval(public.lab(tmp_path, chat=never))
    for name in suites.RETRIEVAL:
        assert variants(results, name) == dict.fromkeys(RANKED, 4)
    for result in results:
        assert result.scores["recall@10"] == 1, "four documents: each of them is among the ten"
        assert result.scores["ndcg@10"] == 1 or result.variant == "vectors"
        assert (result.use, result.model, result.answer) == ({}, "none", "")
        assert result.expected[0].startswith(f"{result.dataset}:d-")


def test_searches_differ_in_what_they_search(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path, chat=never, slices={"dataset": "cisi"})
    asked_of: list[tuple[str, bool, int]] = []
    from rag_assets.index.search import IndexReader

    search = IndexReader.search
    with pytest.MonkeyPatch.context() as patch:

        def spy(self: IndexReader, question: str, vector: object, **more: object) -> object:
            asked_of.append((question, vector is not None, int(str(more["n_candidates"]))))
            return search(self, question, vector, **more)  # type: ignore[arg-type]

        patch.setattr(IndexReader, "search", spy)
        results = suites.retrieval(lab)
    kinds = [(bool(words), by_vector) for words, by_vector, _ in asked_of]
    assert kinds[:3] == [(True, False), (False, True), (True, True)]
    assert [r.variant for r in results[:3]] == RANKED
    assert {n for _, _, n in asked_of} == {suites.N_CHUNKS}


def test_dataset_and_other_slices_pick(public: Bench, tmp_path: Path) -> None:
    only = suites.retrieval(public.lab(tmp_path, slices={"dataset": "cisi"}))
    assert {r.dataset for r in only} == {"cisi"}
    claims = suites.retrieval(public.lab(tmp_path, slices={"evidence": "support"}))
    assert {(r.dataset, r.case_id) for r in claims} == {("scifact", "q1"), ("scifact", "q3")}


def test_limit_and_seed(public: Bench, tmp_path: Path) -> None:
    def drawn(limit: int | None, seed: int = 1) -> set[str]:
        lab = public.lab(tmp_path, limit=limit, seed=seed, slices={"dataset": "cisi"})
        return {r.case_id for r in suites.retrieval(lab)}

    assert len(drawn(2)) == 2
    assert drawn(2) == drawn(2)
    assert len({frozenset(drawn(2, seed)) for seed in range(8)}) > 1
    assert drawn(0) == drawn(None) == {"q0", "q1", "q2", "q3"}


def test_answers(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path, limit=2)
    results = suites.answers(lab)
    both = {"product": 2, "closed book slm": 2, "closed book llm": 2, **dict.fromkeys(RANKED, 2)}
    for name in suites.ANSWERS[1:]:
        assert variants(results, name) == both, name
    squad = variants(results, "squad2")
    closed = {"closed book slm": 1, "closed book llm": 1}  # of two, one is unanswerable
    ranked = dict.fromkeys(RANKED, 2)
    assert squad == {**closed, **ranked, "product": 2, suites.GIVEN: 2}
    answered = [r for r in results if r.variant == "product"]
    assert {r.slices["domain"] for r in answered} == set(suites.DOMAINS.values())
    assert [r.scores["correct"] for r in answered if r.answerable] == [1.0] * 11


def test_a_slice_that_the_suite_adds_picks_rankings_too(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path, limit=1, slices={"domain": "scientific articles"})
    results = suites.answers(lab)
    assert {r.dataset for r in results} == {"covid-qa"}
    assert set(RANKED) < {r.variant for r in results}


def test_given_document_is_all_that_is_read(public: Bench, tmp_path: Path) -> None:
    def finds_nothing(call: Call) -> Completion | str:
        if call.asks in ("states", "span"):
            return yes(-3.0) if call.asks == "states" else "none"
        return model(call)

    lab = public.lab(tmp_path, limit=0, slices={"dataset": "squad2"}, llm=finds_nothing)
    results = suites.answers(lab)
    product = {r.case_id: r for r in results if r.variant == suites.PRODUCT}
    given = {r.case_id: r for r in results if r.variant == suites.GIVEN}
    assert product.keys() == given.keys()
    for case, result in given.items():
        assert result.use["llm"].calls == 2, "asked of its own document alone"
        assert product[case].use["llm"].calls > 2, "and of others"


def test_the_same_questions_in_each_language(public: Bench, tmp_path: Path) -> None:
    results = suites.languages(public.lab(tmp_path, limit=6))
    asked_in: dict[str, set[str]] = {}
    for result in results:
        if result.variant == "product":
            language = result.slices["language"]
            name = result.case_id.removeprefix("q-").removesuffix(language)
            asked_in.setdefault(language, set()).add(name)
    assert set(asked_in) == set(LANGUAGES)
    assert len({frozenset(names) for names in asked_in.values()}) == 1
    assert {len(names) for names in asked_in.values()} == {2}
    assert variants(results, "xquad")["hybrid"] == 6


def test_conflicts_say_whether_the_false_document_was_followed(
    public: Bench, tmp_path: Path
) -> None:
    (result,) = suites.conflicts(public.lab(tmp_path))
    assert (result.variant, result.dataset) == ("product", "rgb")
    assert result.scores["correct"] + result.scores["followed false"] == 1

    def believes(call: Call) -> Completion | str:
        if call.asks in ("states", "holds"):
            return yes(5.0 if "1990" in call.evidence else -5.0)
        return "1990"

    fooled = public.lab(tmp_path / "b", llm=believes)
    (result,) = suites.conflicts(fooled)
    assert (result.scores["correct"], result.scores["followed false"]) == (0, 1)


@pytest.mark.parametrize("suite", [*FIRST_LOOK, "ladders"])
def test_another_set_than_the_suites_gives_nothing(
    public: Bench, tmp_path: Path, suite: str
) -> None:
    lab = public.lab(tmp_path, chat=never, slices={"dataset": "elsewhere"})
    assert SUITES[suite].run(lab) == []


@pytest.mark.parametrize("suite", [*FIRST_LOOK[1:], "ladders"])
def test_absent_data_is_named(bench: Bench, suite: str) -> None:
    with pytest.raises(DataMissingError, match="RAG_EVAL_DATA"):
        SUITES[suite].run(bench.lab(chat=never))


def test_parts_are_what_a_suite_gives(public: Bench, tmp_path: Path) -> None:
    for name in ("retrieval", "answers", "languages", "conflicts"):
        results = SUITES[name].run(public.lab(tmp_path, limit=1))
        assert {r.dataset for r in results} == set(PARTS[name])
