"""Follow-ups beside the same questions written out: conversations of two or three turns.

They are about the sample documents and were written by hand. A follow-up is asked after the
product's own answers to the turns before it; beside it, the same question is asked written out.
"""

import json
from dataclasses import dataclass
from importlib import resources

from rag_assets.answers.follow_ups import Turn
from rag_assets.evaluations.asking import Place, ask
from rag_assets.evaluations.golden import picked
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.results import CaseResult
from rag_assets.evaluations.tasks import Task, chosen, golden_task
from rag_assets.sources.golden import Case

SUITE, DATASET = "conversations", "sample"
WRITTEN_OUT, FOLLOW_UP = "written out", "follow-up"


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn: as it is asked, and the task of the same question written out."""

    question: str
    task: Task


def conversations(lab: Lab) -> list[CaseResult]:
    """Each turn after the first as a follow-up and written out, by the product."""
    talks = {f"{talk[0].task.id}": talk for talk in written()}
    first = picked(lab, chosen([talk[0].task for talk in talks.values()], lab.request.slices), None)
    results: list[CaseResult] = []
    with lab.reader() as reader:
        answerer = lab.answerer(reader)
        for opening in lab.each(first, "conversations"):
            turns: list[Turn] = []
            for asked in talks[opening.id]:
                place = Place(SUITE, DATASET, WRITTEN_OUT)
                alone = ask(answerer, asked.task, place, lab.meter)
                got = alone
                if turns:
                    place = Place(SUITE, DATASET, FOLLOW_UP)
                    got = ask(
                        answerer, asked.task, place, lab.meter,
                        question=asked.question, turns=turns,
                    )  # fmt: skip
                    results += [alone, got]
                turns.append(Turn(asked.question, got.answer))
    return results


def written() -> list[list[Asked]]:
    """The conversations."""
    lines = resources.files("rag_assets_tests.data").joinpath("conversations.jsonl")
    return [
        [
            Asked(
                turn["question"],
                golden_task(
                    Case(
                        f"{talk['id']}-{n}", "lookup", turn["alone"],
                        tuple(tuple(forms) for forms in turn["facts"]), (),
                    )
                ),
            )
            for n, turn in enumerate(talk["turns"], start=1)
        ]
        for talk in map(json.loads, lines.read_text("utf-8").splitlines())
    ]  # fmt: skip
