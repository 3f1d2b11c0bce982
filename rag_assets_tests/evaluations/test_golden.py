from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rag_assets.answers.feedback import Verdict, record_feedback
from rag_assets.evaluations.golden import golden
from rag_assets.evaluations.results import CaseResult
from rag_assets.models.errors import ModelRequestError
from rag_assets_tests.evaluations.lab import Bench, n_calls


def variants(results: Sequence[CaseResult], dataset: str) -> dict[str, int]:
    return Counter(r.variant for r in results if r.dataset == dataset)


def test_golden_asks_the_sources_own_questions(bench: Bench, tmp_path: Path) -> None:
    bench.golden("docs")
    lab = bench.lab()
    results = golden(lab)
    assert variants(results, "golden") == {
        "product": 3, "closed book slm": 2, "closed book llm": 2,
    }  # fmt: skip
    right = {(r.variant, r.case_id): r.scores["correct"] for r in results}
    assert right["product", "a"] == right["product", "u"] == 1
    assert right["closed book slm", "a"] == 0, "the fake knows nothing by heart"
    again = bench.lab()
    assert [(r.scores, r.seconds, r.replayed) for r in golden(again) if r.use] == [
        (r.scores, r.seconds, True) for r in results if r.use
    ]
    assert n_calls(again) == 0
    assert n_calls(lab) > 0


def test_golden_questions_of_two_sources_may_have_one_id(bench: Bench) -> None:
    bench.golden("docs", "more")
    results = golden(bench.lab(limit=0))
    ids = [r.case_id for r in results if r.variant == "product"]
    assert sorted(ids) == [f"{source}/{i}" for source in ("docs", "more") for i in "abu"]


def test_what_readers_said_is_asked_again(bench: Bench) -> None:
    bench.golden("docs")
    answer = {
        "answer_id": "answer_1", "question": "When was the Anchor built?", "answer": "In 1888 [1].",
        "abstained": False, "citations": [], "generation": {"id": "g1"},
    }  # fmt: skip
    record_feedback(bench.lab().store, answer, Verdict(False, "1887"))
    results = golden(bench.lab())
    assert variants(results, "feedback") == {"product": 1}
    (said,) = [r for r in results if r.dataset == "feedback"]
    assert (said.case_id, said.expected) == ("answer_1", ("1887",))
    assert golden(bench.lab(slices={"kind": "absent"})) == []


def test_golden_of_one_kind(bench: Bench) -> None:
    bench.golden("docs")
    results = golden(bench.lab(slices={"kind": "unanswerable"}))
    assert [(r.variant, r.case_id) for r in results] == [("product", "u")]
    assert golden(bench.lab(slices={"kind": "absent"})) == []


def test_a_refused_question_is_wrong_and_the_rest_goes_on(bench: Bench) -> None:
    bench.golden("docs")

    def refuse(call: object) -> str:
        if "Anchor" in str(call.messages[-1]["content"].rpartition("Question:")[2]):  # type: ignore[attr-defined]
            raise ModelRequestError("too long for the window")
        return "It was built in 1887 [1]."

    results = golden(bench.lab(slm=refuse, llm=refuse))  # type: ignore[arg-type]
    by_id = {r.case_id: r for r in results if r.variant == "product"}
    assert by_id["a"].error == "too long for the window"
    assert by_id["a"].scores["correct"] == 0
    assert by_id["a"].scores.keys() >= {"correct", "abstained", "citation recall"}
    assert set(by_id["a"].scores.values()) == {0.0}, "a failure counts against every mean"
    assert not by_id["b"].error
