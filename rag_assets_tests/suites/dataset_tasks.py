"""The questions of a public set as tasks."""

from rag_assets.evaluations.facts import without_markers
from rag_assets.evaluations.tasks import Task
from rag_assets_tests.suites.datasets import Dataset, Question, document_path
from rag_assets_tests.suites.text_scores import contains, exact_match, label_of, token_f1


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
