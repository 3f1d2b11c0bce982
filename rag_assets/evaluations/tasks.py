"""Tasks: questions with what makes an answer right, from golden questions and public sets alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rag_assets.evaluations.datasets import Dataset, Question, document_path
from rag_assets.evaluations.facts import holds
from rag_assets.evaluations.text_scores import (
    contains,
    exact_match,
    label_of,
    token_f1,
    without_markers,
)
from rag_assets.sources.golden import Case

TextScores = Callable[[str], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Task:
    """A question to be asked and scored.

    Attributes:
        id: unique within a dataset.
        question: in plain words.
        expected: accepted answers, to be shown.
        answerable: the documents hold the answer.
        uris: of the documents that the answer needs.
        slices: what one can filter by.
        text_scores: scores of an answer's text; all 0 for "". Has "correct".
        in_evidence: whether a text holds the answer; None where that cannot be seen in a text.
    """

    id: str
    question: str
    expected: tuple[str, ...]
    answerable: bool
    uris: tuple[str, ...]
    slices: Mapping[str, str]
    text_scores: TextScores
    in_evidence: Callable[[str], bool] | None
    parallel_id: str = ""  # the same in all languages of one question
    copies: Mapping[str, str] = field(default_factory=dict)  # uri of a copy -> of its original


def golden_task(case: Case) -> Task:
    """A source's own question: right if every fact stands in the answer."""

    def all_facts(text: str) -> bool:
        return all(any(holds(text, form) for form in forms) for forms in case.facts)

    return Task(
        id=case.id,
        question=case.question,
        expected=tuple(" | ".join(forms) for forms in case.facts),
        answerable=case.kind != "unanswerable",
        uris=case.uris,
        slices={"kind": case.kind},
        text_scores=lambda text: {"correct": float(all_facts(without_markers(text)))},
        in_evidence=all_facts if case.facts else None,
    )


def dataset_tasks(dataset: Dataset) -> list[Task]:
    """The questions of a public set, ingested as the source of its own name."""
    return [_dataset_task(dataset.name, question) for question in dataset.questions]


def document_uri(dataset: str, document_id: str) -> str:
    """Where a set's document stands in the lake."""
    return f"{dataset}:{document_path(document_id)}"


def _dataset_task(dataset: str, question: Question) -> Task:
    is_label = question.kind == "label"

    def scores(text: str) -> dict[str, float]:
        said = without_markers(text)
        if is_label:
            return {"correct": float(label_of(said) in [a.lower() for a in question.answers])}
        found = {
            "correct": float(contains(said, question.answers)),
            "em": float(exact_match(said, question.answers)),
            "f1": token_f1(said, question.answers),
        }
        if question.false_answers:
            followed = contains(said, question.false_answers) and not found["correct"]
            found["followed false"] = float(followed)
        return found

    return Task(
        id=question.id,
        question=question.text,
        expected=question.answers,
        answerable=question.answerable,
        uris=tuple(document_uri(dataset, gold) for gold in question.gold),
        slices={**question.slices, "form": question.kind},
        text_scores=scores,
        in_evidence=None if is_label else lambda text: bool(contains(text, question.answers)),
        parallel_id=question.parallel_id,
    )


def chosen(tasks: Sequence[Task], slices: Mapping[str, str]) -> list[Task]:
    """The tasks that have every slice asked for; which set they are of is chosen before."""
    return [task for task in tasks if has_slices(task.slices, slices)]


def has_slices(slices: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    """Whether a case has every slice asked for, its set apart; one it lacks excludes it."""
    return all(slices.get(k) == v for k, v in asked.items() if k != "dataset")
