import pytest

from rag_assets.evaluations.tasks import Task
from rag_assets_tests.suites.dataset_tasks import dataset_tasks, document_uri
from rag_assets_tests.suites.datasets import Dataset, Question, document_path


def of(question: Question) -> Task:
    data = Dataset("rgb", lambda: iter(()), (question,), (), "", "en")
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
