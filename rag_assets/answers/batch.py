"""Ask many questions one after another; a question that fails does not stop the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.questions import QuestionError
from rag_assets.models.errors import ModelRequestError


@dataclass(frozen=True, slots=True)
class Outcome:
    """A question with its answer, or with the sentence that says why there is none."""

    question: str
    answer: Answer | None
    error: str = ""


def ask_all(
    answerer: Answerer,
    questions: Sequence[str],
    *,
    mode: str = "auto",
    keep: Callable[[Answer], None],
    report: Callable[[str], None],
) -> list[Outcome]:
    """Answer questions one after another.

    Args:
        answerer: one generation for all of them.
        questions: as given.
        mode: for all of them.
        keep: called with each answer as it is made, so that a kill loses at most one.
        report: called with a line a question.

    Raises:
        EngineUnavailableError: a model is gone; the questions that follow would fail as well.
    """
    outcomes: list[Outcome] = []
    for number, question in enumerate(questions, start=1):
        try:
            answer = answerer.answer(question, mode=mode)
        except (QuestionError, ModelRequestError) as error:
            outcomes.append(Outcome(question, None, str(error)))
            report(f"{number}/{len(questions)} failed: {error}")
            continue
        keep(answer)
        outcomes.append(Outcome(question, answer))
        what = "abstained" if answer.abstained else f"{len(answer.citations)} citations"
        seconds = answer.timings.total / 1000
        report(f"{number}/{len(questions)} {what} by the {answer.route.model} in {seconds:.1f} s")
    return outcomes
