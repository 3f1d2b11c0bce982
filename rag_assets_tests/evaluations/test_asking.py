from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag_assets.answers.answerer import Answerer
from rag_assets.evaluations.asking import (
    CLOSED_BOOK_TOKENS,
    Place,
    Said,
    ask,
    ask_closed_book,
    declines,
    scores,
)
from rag_assets.evaluations.figures import figures
from rag_assets.evaluations.replay import Call as ModelCall
from rag_assets.evaluations.replay import CompletionCache, CoreClock, Meter, ReplayedChat
from rag_assets.evaluations.results import ModelUse
from rag_assets.evaluations.tasks import Task
from rag_assets.lake.store import LakeStore
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets_tests.answers.fakes import Call, Reply, ScriptedChat, WordEmbedder, always, copies
from rag_assets_tests.answers.world import FERRIES, reader_of

PLACE = Place("answers", "fleet", "product")
TERN, ALDER = frozenset(["fleet:tern.html", "fleet:old/tern.html"]), frozenset(["fleet:alder.html"])
TASK = Task(
    id="t",
    question="When was MV Tern built?",
    expected=("2003",),
    answerable=True,
    uris=("fleet:tern.html",),
    slices={"kind": "lookup"},
    text_scores=lambda text: {"correct": float("2003" in text), "f1": 0.5 * ("2003" in text)},
    in_evidence=lambda text: "2003" in text,
)


def unscorable(text: str) -> dict[str, float]:
    raise ValueError("an unanswerable question has no answers to score a text by")


UNANSWERABLE = replace(TASK, answerable=False, text_scores=unscorable, expected=())


def said(text: str = "Built in 2003 [1].", abstained: bool = False, **more: object) -> Said:
    plain = {"evidence": (TERN, ALDER), "cited": (TERN,), "evidence_text": "built in 2003"}
    return Said(text, abstained, "slm", **{**plain, **more})  # type: ignore[arg-type]


# Scores


def test_right_answer() -> None:
    assert scores(TASK, said()) == {
        "correct": 1, "f1": 0.5, "abstained": 0, "evidence recall": 1, "answer in evidence": 1,
        "citation recall": 1, "citation precision": 1,
    }  # fmt: skip


def test_abstention_on_an_answerable_question_is_wrong_whatever_its_words_hold() -> None:
    found = scores(TASK, said("The documents do not answer this. Nearest: 2003", abstained=True))
    assert found == {
        "correct": 0, "f1": 0, "abstained": 1, "evidence recall": 1, "answer in evidence": 1,
        "citation recall": 0,
    }  # fmt: skip


@pytest.mark.parametrize("abstained", [True, False])
def test_unanswerable_question_is_right_when_abstained_from(abstained: bool) -> None:
    right = float(abstained)
    found = scores(UNANSWERABLE, said(abstained=abstained))
    assert found == {"correct": right, "abstained": right}


def test_finding_nothing_counts_against_the_search() -> None:
    """It was left out of the mean, so that a search that gives up looked better."""
    found = scores(TASK, said("", abstained=True, evidence=(), cited=(), evidence_text=""))
    assert (found["evidence recall"], found["answer in evidence"]) == (0, 0)
    assert found["citation recall"] == 0
    assert "citation precision" not in found


def test_without_documents_there_is_nothing_to_find_or_cite() -> None:
    assert set(scores(TASK, Said("2003", False, "slm"))) == {"correct", "f1", "abstained"}


def test_citations_that_nobody_read_have_no_score() -> None:
    assert {name for name in scores(TASK, said(cited=None)) if "citation" in name} == set()


@pytest.mark.parametrize(
    ("needed", "cited", "recall", "precision"),
    [
        (("fleet:tern.html", "fleet:alder.html"), (TERN,), 0.5, 1.0),
        (("fleet:tern.html",), (TERN, ALDER), 1.0, 0.5),
        (("fleet:old/tern.html",), (TERN,), 1.0, 1.0),  # a collapsed copy is as good
        (("fleet:tern.html",), (ALDER,), 0.0, 0.0),
        (("fleet:tern.html",), (), 0.0, None),
        ((), (TERN,), None, None),
    ],
)
def test_citations_by_document(
    needed: tuple[str, ...],
    cited: tuple[frozenset[str], ...],
    recall: float | None,
    precision: float | None,
) -> None:
    found = scores(replace(TASK, uris=needed), said(cited=cited))
    assert (found.get("citation recall"), found.get("citation precision")) == (recall, precision)


def test_a_copy_that_was_not_collapsed_is_as_good() -> None:
    copy = frozenset(["fleet:copy.html"])
    task = replace(TASK, copies={"fleet:copy.html": "fleet:tern.html"})
    found = scores(task, said(cited=(copy,), evidence=(copy,)))
    names = ("evidence recall", "citation recall", "citation precision")
    assert [found[name] for name in names] == [1, 1, 1]
    unrelated = scores(TASK, said(cited=(copy,), evidence=(copy,)))
    assert [unrelated[name] for name in names] == [0, 0, 0]


def test_a_label_is_not_looked_for_in_the_evidence() -> None:
    assert "answer in evidence" not in scores(replace(TASK, in_evidence=None), said())


# Asking


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[Meter]:
    cache = CompletionCache(tmp_path / "completions.sqlite")
    yield Meter(cache)
    cache.close()


def answerer(folder: Path, meter: Meter, slm: Reply = copies, llm: Reply = copies) -> Answerer:
    embedder = WordEmbedder()
    reader = reader_of(LakeStore(str(folder / "lake")), FERRIES, embedder)
    models = [
        ReplayedChat(ScriptedChat(name, reply), name, meter, CoreClock(None))
        for name, reply in (("slm", slm), ("llm", llm))
    ]
    return Answerer(reader, *models, embedder)


def test_an_answer_with_all_that_is_known_of_it(tmp_path: Path, meter: Meter) -> None:
    product = answerer(tmp_path, meter)
    result = ask(product, TASK, PLACE, meter)
    assert (result.suite, result.dataset, result.variant) == ("answers", "fleet", "product")
    assert (result.case_id, result.question, result.slices) == ("t", TASK.question, TASK.slices)
    assert "2003" in result.answer
    assert result.scores["correct"] == result.scores["citation recall"] == 1
    assert (result.model, result.replayed, result.error) == ("llm", False, "")
    assert result.confidence is not None
    assert 0.9 < result.confidence <= 1
    assert result.use["llm"].calls == 3  # does it hold, copy, is it stated
    assert result.seconds > 0
    again = ask(product, TASK, PLACE, meter)
    assert again == replace(result, replayed=True)


def test_other_words_and_a_filter(tmp_path: Path, meter: Meter) -> None:
    product = answerer(tmp_path, meter)
    elsewhere = ask(product, TASK, PLACE, meter, where="uri = 'fleet:alder.html'")
    assert elsewhere.scores["evidence recall"] == 0
    reworded = ask(product, TASK, PLACE, meter, question="Tell me: when was MV Tern built?")
    assert (reworded.case_id, reworded.question[:8]) == ("t", "Tell me:")


def test_an_abstention_has_no_confidence(tmp_path: Path, meter: Meter) -> None:
    product = answerer(tmp_path, meter, always("NOT FOUND"), always("NOT FOUND"))
    result = ask(product, UNANSWERABLE, PLACE, meter)
    assert (result.abstained, result.confidence, result.scores["correct"]) == (True, None, 1)


def test_an_unanswerable_question_that_is_answered(tmp_path: Path, meter: Meter) -> None:
    """SQuAD's have no answers to compare with; that ended a whole suite."""
    result = ask(answerer(tmp_path, meter), UNANSWERABLE, PLACE, meter)
    assert result.scores == {"correct": 0, "abstained": 0}


@pytest.mark.parametrize("task", [TASK, UNANSWERABLE], ids=["answerable", "unanswerable"])
def test_a_failed_question_is_counted_as_wrong(tmp_path: Path, meter: Meter, task: Task) -> None:
    def refuse(_: Call) -> str:
        raise ModelRequestError("the engine refused")

    product = answerer(tmp_path, meter, refuse, refuse)
    result = ask(product, task, PLACE, meter)
    assert result.error == "the engine refused"
    assert result.scores["correct"] == 0
    assert (result.answer, result.abstained, result.model) == ("", False, "none")
    (correct,) = [f for f in figures([result]) if f.metric == "correct"]
    assert (correct.value, correct.n, correct.n_failed) == (0, 1, 1)


def test_a_question_that_cannot_be_asked_fails(tmp_path: Path, meter: Meter) -> None:
    result = ask(answerer(tmp_path, meter), TASK, PLACE, meter, question=" ")
    assert "question" in result.error.lower()


def test_what_failed_before_is_not_counted_for_the_next(tmp_path: Path, meter: Meter) -> None:
    product = answerer(tmp_path, meter)
    meter.calls.append(ModelCall("slm", "left over", ModelUse(1), replayed=False))
    assert set(ask(product, TASK, PLACE, meter).use) == {"llm"}


def gone(_: Call) -> str:
    raise EngineUnavailableError("nobody answers")


def test_an_engine_that_is_gone_ends_the_run(tmp_path: Path, meter: Meter) -> None:
    with pytest.raises(EngineUnavailableError):
        ask(answerer(tmp_path, meter, gone, gone), TASK, PLACE, meter)
    with pytest.raises(EngineUnavailableError):
        ask_closed_book(ScriptedChat("slm", gone), TASK, PLACE, meter)  # type: ignore[arg-type]


# Closed book


@pytest.mark.parametrize(
    ("text", "abstained", "correct"),
    [
        (" It was 2003. ", False, 1),
        ("NOT FOUND", True, 0),
        ('"Not found."', True, 0),
        ("not sure", False, 0),
    ],
)
def test_closed_book(meter: Meter, text: str, abstained: bool, correct: int) -> None:
    model = ScriptedChat("llm", always(text))
    result = ask_closed_book(model, TASK, PLACE, meter)  # type: ignore[arg-type]
    assert (result.abstained, result.scores["correct"]) == (abstained, correct)
    assert set(result.scores) == {"correct", "f1", "abstained"}
    assert (result.answer, result.model) == (text.strip(), "llm")
    (call,) = model.calls
    assert call.max_tokens == CLOSED_BOOK_TOKENS
    assert call.question == TASK.question
    assert "documents>" not in call.messages[-1]["content"]


@pytest.mark.parametrize(
    ("text", "declined"),
    [("NOT FOUND", True), ("Not found.", True), ("The documents do not mention it.", True),
     ("", True), ("It was built in 1994 [1].", False), ("NOT FOUND. It is 1994 [1].", False)],
)  # fmt: skip
def test_declining_is_read_as_the_product_reads_it(text: str, declined: bool) -> None:
    assert declines(text) is declined


def test_closed_book_failure(meter: Meter) -> None:
    def refuse(_: Call) -> str:
        raise ModelRequestError("refused")

    result = ask_closed_book(ScriptedChat("slm", refuse), TASK, PLACE, meter)  # type: ignore[arg-type]
    assert (result.error, result.scores) == ("refused", {"correct": 0, "f1": 0, "abstained": 0})


@pytest.mark.parametrize("junk", [None, "2003", {"choices": []}])
def test_a_closed_book_model_that_returns_junk_has_failed(meter: Meter, junk: object) -> None:
    class Junk(ScriptedChat):
        def complete(self, *_: object, **__: object) -> object:  # type: ignore[override]
            return junk

    result = ask_closed_book(Junk("slm", always("")), TASK, PLACE, meter)  # type: ignore[arg-type]
    assert "must return a Completion" in result.error
    assert result.scores["correct"] == 0
