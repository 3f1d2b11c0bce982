from collections.abc import Mapping
from pathlib import Path

import pytest

from rag_assets.evaluations.datasets import Dataset, Question, document_path
from rag_assets.evaluations.facts import folded, holds
from rag_assets.evaluations.tasks import (
    Task,
    chosen,
    dataset_tasks,
    document_uri,
    golden_task,
    has_slices,
)
from rag_assets.sources.golden import Case


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        ("It was 1,240 tons.", "1240 tons"),
        ("At 14:30, sharp", "14:30"),
        ("MV Alder: 42 cars", "mv alder"),
        ("It fell by 40 %.", "40 %"),
        ("costs 3.5 euro", "3.5"),
        ("Straße", "STRASSE"),
        ("a 10-day trip", "10"),
        ("built 1994\u20131996", "1994"),
        ("It is 40%", "40 %"),
        ("in 1994 240 ships", "1994"),
        ("1 240 500 tons", "1,240,500"),
    ],
)
def test_fact_stands_in_the_answer(answer: str, form: str) -> None:
    assert holds(answer, form)


@pytest.mark.parametrize(
    ("answer", "form"),
    [("1428", "42"), ("3.51", "3.5"), ("14:305", "14:30"), ("-5 degrees", "5 degrees"), ("", "a")],
)
def test_fact_does_not_stand_in_the_answer(answer: str, form: str) -> None:
    assert not holds(answer, form)


def test_folded() -> None:
    assert folded("“1,240 Tons.”  (ca.)") == "1240 tons ca"


def golden(**changes: object) -> Case:
    plain = {"id": "x", "kind": "multi", "question": "?", "facts": (("1994",), ("Hestvik", "H."))}
    return Case(**{"uris": ("docs:a.md",), **plain, **changes})  # type: ignore[arg-type]


def test_golden_needs_every_fact_in_one_of_its_spellings() -> None:
    task = golden_task(golden())
    assert task.text_scores("Built in 1994 by Hestvik [1].") == {"correct": 1}
    assert task.text_scores("Built in 1994 [1].") == {"correct": 0}
    assert task.text_scores("") == {"correct": 0}
    assert task.in_evidence is not None
    assert task.in_evidence("1994 ... H")
    assert (task.expected, task.slices, task.answerable) == (
        ("1994", "Hestvik | H."), {"kind": "multi"}, True,
    )  # fmt: skip


def test_golden_citation_markers_are_no_facts() -> None:
    assert golden_task(golden(facts=(("2",),))).text_scores("Two cars [2].") == {"correct": 0}


def test_golden_unanswerable() -> None:
    task = golden_task(golden(kind="unanswerable", facts=(), uris=()))
    assert not task.answerable
    assert task.in_evidence is None


def of(question: Question) -> Task:
    data = Dataset("rgb", lambda: iter(()), (question,), (), 0, "", "en")
    (task,) = dataset_tasks(data)
    return task


def question(**changes: object) -> Question:
    plain = {
        "id": "q", "text": "When?", "answers": ("1994",), "gold": ("d/1",), "answerable": True,
        "kind": "span", "slices": {"hops": "2"},
    }  # fmt: skip
    return Question(**{**plain, **changes})  # type: ignore[arg-type]


def test_span() -> None:
    task = of(question())
    assert task.text_scores("1994") == {"correct": 1, "em": 1, "f1": 1}
    loose = task.text_scores("In the year 1994 [1].")
    assert (loose["correct"], loose["em"]) == (1, 0)
    assert 0 < loose["f1"] < 1
    assert set(task.text_scores("").values()) == {0}
    assert task.uris == (document_uri("rgb", "d/1"),) == (f"rgb:{document_path('d/1')}",)
    assert task.slices == {"hops": "2", "form": "span"}
    assert task.in_evidence is not None
    assert [task.in_evidence(text) for text in ("It was 1994.", "It was 1995.")] == [True, False]


@pytest.mark.parametrize(
    ("text", "correct", "followed"),
    [("1994", 1, 0), ("1990", 0, 1), ("Either 1990 or 1994", 1, 0), ("1880", 0, 0), ("", 0, 0)],
)
def test_false_answer_is_followed_only_where_the_true_one_is_not_given(
    text: str, correct: int, followed: int
) -> None:
    found = of(question(false_answers=("1990",))).text_scores(text)
    assert (found["correct"], found["followed false"]) == (correct, followed)


@pytest.mark.parametrize("gold", ["no", "No"])
@pytest.mark.parametrize(("text", "right"), [("No, it was not [1].", 1), ("Yes.", 0), ("", 0)])
def test_label(gold: str, text: str, right: int) -> None:
    task = of(question(kind="label", answers=(gold,)))
    assert task.text_scores(text) == {"correct": right}
    assert task.in_evidence is None, "a label stands in no document"


def test_unanswerable_has_no_scores_of_its_text() -> None:
    task = of(question(answers=(), answerable=False))
    assert (task.answerable, task.expected) == (False, ())
    assert task.uris, "the document that does not say it"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["a", "b"]),
        ({"hops": "2"}, ["a"]),
        ({"hops": "2", "lang": "en"}, []),
        ({"dataset": "any", "hops": "1"}, ["b"]),
    ],
)
def test_slices_pick(tmp_path: Path, asked: Mapping[str, str], expected: list[str]) -> None:
    tasks = [of(question(id=i, slices={"hops": hops})) for i, hops in (("a", "2"), ("b", "1"))]
    assert [task.id for task in chosen(tasks, asked)] == expected
    assert [t.id for t in tasks if has_slices(t.slices, asked)] == expected
