from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from rag_assets.evaluations.facts import folded, holds, without_markers
from rag_assets.evaluations.tasks import (
    chosen,
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris [1].", "Paris."),
        ("Paris [1][2], Rome [1, 3]", "Paris, Rome"),
        ("[1] Paris", "Paris"),
        ("a [sic] list[int] of 1 [note 2]", "a [sic] list[int] of 1 [note 2]"),
    ],
)
def test_without_markers(text: str, expected: str) -> None:
    assert without_markers(text) == expected


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
    tasks = [
        replace(golden_task(golden(id=i)), slices={"hops": hops})
        for i, hops in (("a", "2"), ("b", "1"))
    ]
    assert [task.id for task in chosen(tasks, asked)] == expected
    assert [t.id for t in tasks if has_slices(t.slices, asked)] == expected
