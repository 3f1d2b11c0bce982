"""Tasks: questions with what makes an answer right, however they came to be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rag_assets.evaluations.facts import holds, without_markers
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


def chosen(tasks: Sequence[Task], slices: Mapping[str, str]) -> list[Task]:
    """The tasks that have every slice asked for; which set they are of is chosen before."""
    return [task for task in tasks if has_slices(task.slices, slices)]


def has_slices(slices: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    """Whether a case has every slice asked for, its set apart; one it lacks excludes it."""
    return all(slices.get(k) == v for k, v in asked.items() if k != "dataset")
