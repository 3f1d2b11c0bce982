"""What readers say of answers, and the golden questions that it makes."""

from pathlib import Path
from typing import Any

import pytest

from rag_assets.answers.feedback import TABLE, Verdict, feedback_cases, record_feedback
from rag_assets.lake.store import LakeStore
from rag_assets.sources.golden import Case

QUESTION = "When was MV Tern built?"


def answer(number: int = 1, question: str = QUESTION, **other: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "answer_id": f"answer_{number}",
        "question": question,
        "answer": "MV Tern was built in 2003 [1].",
        "abstained": False,
        "citations": [{"uri": "fleet:tern.html"}, {"uri": "fleet:tern.html"}],
        "generation": {"id": "g1"},
        **other,
    }


@pytest.fixture
def store(tmp_path: Path) -> LakeStore:
    return LakeStore(str(tmp_path / "lake"))


def test_what_was_said_is_kept(store: LakeStore) -> None:
    record_feedback(store, answer(), Verdict(False, " in  2004\n"), asker="ada")
    (row,) = store.rows(TABLE)
    kept = {name: row[name] for name in ("right", "expected", "unanswerable", "uris", "asker")}
    assert kept == {
        "right": False, "expected": "in 2004", "unanswerable": False, "uris": ["fleet:tern.html"],
        "asker": "ada",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "abstained", "kind", "facts", "uris"),
    [
        (Verdict(True, "2003"), False, "lookup", (("2003",),), ("fleet:tern.html",)),
        (Verdict(False, "2004"), False, "lookup", (("2004",),), ()),
        (Verdict(False, "2003"), True, "lookup", (("2003",),), ()),
        (Verdict(False, is_unanswerable=True), False, "unanswerable", (), ()),
        (Verdict(True), True, "unanswerable", (), ()),
    ],
)
def test_it_makes_golden_questions(
    store: LakeStore,
    verdict: Verdict,
    abstained: bool,
    kind: str,
    facts: tuple[tuple[str, ...], ...],
    uris: tuple[str, ...],
) -> None:
    record_feedback(store, answer(abstained=abstained), verdict)
    assert feedback_cases(store) == [Case("answer_1", kind, QUESTION, facts, uris)]


@pytest.mark.parametrize("verdict", [Verdict(True), Verdict(False)])
def test_a_bare_verdict_makes_none(store: LakeStore, verdict: Verdict) -> None:
    assert feedback_cases(store) == []
    record_feedback(store, answer(), verdict)
    assert feedback_cases(store) == []


def test_of_a_question_the_last_word_counts(store: LakeStore) -> None:
    record_feedback(store, answer(1), Verdict(False, "2004"))
    record_feedback(store, answer(2, "Who built her?"), Verdict(True, "Solvik Marine"))
    record_feedback(store, answer(3, f" {QUESTION.upper()}"), Verdict(True, "2003"))
    facts = {case.id: case.facts for case in feedback_cases(store)}
    assert facts == {"answer_3": (("2003",),), "answer_2": (("Solvik Marine",),)}
