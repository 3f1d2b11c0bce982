"""A plan: a question as look-ups that stand alone, and what is reckoned from their answers.

Steps are numbered from 1. A look-up may hold the answers of earlier steps: ``{1}`` is the answer
of the first::

    1: Which vessel serves Route 2?
    2: How many cars does {1} carry?
    result: 2

A reckoning compares or sums the answers of earlier steps, in code.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

AnswerType = Literal[
    "text", "number", "money", "date", "time", "duration", "measure", "version",
    "person", "place", "name", "yes_no",
]  # fmt: skip
How = Literal["most", "least", "difference", "sum", "same", "both", "above", "below", "count"]
HOWS: tuple[How, ...] = get_args(How)
SLOT = re.compile(r"\{(\d+)\}")
_MARKS = range(0xE000, 0xF900)  # private use: in no text, and letters to nobody
MOST_STEPS = 12  # look-ups and reckonings together; nobody asks for more at once


@dataclass(frozen=True, slots=True)
class Step:
    """One look-up.

    Attributes:
        question: stands alone once its slots are filled.
        wants: the type of its answer.
        about: what the answer is told of, such as "MV Rowan"; "" where the question says it.
    """

    question: str
    wants: AnswerType = "text"
    about: str = ""

    @property
    def needs(self) -> tuple[int, ...]:
        """Numbers of the steps whose answers it holds, each once."""
        return _slots(f"{self.question} {self.about}")


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What code makes of the answers of earlier steps.

    ``most`` and ``least`` give the ``about`` of the step with the largest or smallest answer;
    ``same`` and ``both`` and ``above`` and ``below`` give Yes or No.

    Attributes:
        how: the operation.
        over: numbers of the steps, in the order of the operation.
        word: how the question calls the result: "later", "larger battery"; for the sentence.
        about: what the result is told of where it is compared further.
    """

    how: How
    over: tuple[int, ...]
    word: str = ""
    about: str = ""

    @property
    def needs(self) -> tuple[int, ...]:
        """Numbers of the steps that it rests on."""
        return self.over


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps, and which of them are the answer.

    Attributes:
        steps: look-ups and reckonings, each after those that it needs.
        results: numbers of the steps that are told as the answer; several are all told.
        wants: the type that a single result must have.
        choices: what a single result must be one of; empty: anything.
    """

    steps: tuple[Step | Reckoning, ...]
    results: tuple[int, ...]
    wants: AnswerType = "text"
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be run.

        Raises:
            ValueError: a step needs one that does not stand before it, or there is no result.
        """
        for number, step in enumerate(self.steps, 1):
            if any(not 1 <= need < number for need in step.needs):
                raise ValueError(f"step {number} needs a step that does not stand before it")
            if isinstance(step, Reckoning) and not step.over:
                raise ValueError(f"step {number} reckons with nothing")
        if not self.results or any(not 1 <= n <= len(self.steps) for n in self.results):
            raise ValueError(f"results must be numbers of steps; got {self.results}")

    @property
    def lookups(self) -> tuple[Step, ...]:
        """The look-ups alone."""
        return tuple(step for step in self.steps if isinstance(step, Step))

    def __str__(self) -> str:
        """The plan as the planner writes it; for logs and tests."""
        lines = []
        for number, step in enumerate(self.steps, 1):
            what = (
                step.question
                if isinstance(step, Step)
                else " ".join([step.how, *(str(n) for n in step.over)])
            )
            lines.append(f"{number}: {what}")
        return "\n".join([*lines, f"result: {' '.join(str(n) for n in self.results)}"])


def single(question: str, wants: AnswerType) -> Plan:
    """The plan that asks the question itself."""
    return Plan((Step(question, wants),), (1,), wants)


def shifted(step: Step | Reckoning, by: int) -> Step | Reckoning:
    """A step whose numbers are ``by`` higher."""
    if isinstance(step, Reckoning):
        return replace(step, over=tuple(n + by for n in step.over))
    return replace(step, question=_shift(step.question, by), about=_shift(step.about, by))


def side_by_side(plans: Sequence[Plan]) -> Plan:
    """One plan that answers all of ``plans``."""
    steps: list[Step | Reckoning] = []
    results: list[int] = []
    for plan in plans:
        by = len(steps)
        steps.extend(shifted(step, by) for step in plan.steps)
        results.extend(n + by for n in plan.results)
    return Plan(tuple(steps), tuple(results))


def mark(question: str) -> str:
    """A letter that stands for an answer to come and is not in ``question`` yet."""
    used = [ord(letter) for letter in question if ord(letter) in _MARKS]
    return chr(max(used, default=_MARKS.start - 1) + 1)


def after(first: Plan, then: Plan, letter: str) -> Plan:
    """``then`` behind ``first``, whose only result takes the place of ``letter``."""
    slot = f"{{{first.results[0]}}}"

    def told(step: Step | Reckoning) -> Step | Reckoning:
        if isinstance(step, Reckoning):
            return step
        return replace(
            step,
            question=step.question.replace(letter, slot),
            about=step.about.replace(letter, slot),
        )

    by = len(first.steps)
    return Plan(
        (*first.steps, *(told(shifted(step, by)) for step in then.steps)),
        tuple(n + by for n in then.results),
        then.wants,
        tuple(choice.replace(letter, slot) for choice in then.choices),
    )


def filled(text: str, answers: Sequence[str]) -> str:
    """``text`` with the answers of the steps in its slots."""
    return SLOT.sub(lambda match: answers[int(match.group(1)) - 1], text)


def _slots(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(n) for n in SLOT.findall(text)))


def _shift(text: str, by: int) -> str:
    return SLOT.sub(lambda match: f"{{{int(match.group(1)) + by}}}", text)
