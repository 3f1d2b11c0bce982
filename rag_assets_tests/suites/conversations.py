"""Follow-ups beside the same questions written out: conversations of two or three turns.

They are about the sample documents and were written by hand. A follow-up is asked after the
product's own answers to the turns before it; then the same question is asked written out. The
follow-up comes first: what its prompts share with those before it, the engine has from the
conversation and not from the question's other wording.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from rag_assets.answers.follow_ups import Turn
from rag_assets.evaluations.asking import Place, ask
from rag_assets.evaluations.drawing import written as written_number
from rag_assets.evaluations.golden import picked
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.results import ALL, CaseResult, Figure
from rag_assets.evaluations.tasks import Task, chosen, golden_task
from rag_assets.sources.golden import Case

SUITE, DATASET = "conversations", "sample"
WRITTEN_OUT, FOLLOW_UP = "written out", "follow-up"
CACHED = "cached prompt share"
LEAST_CACHED = 0.6  # of the prompt tokens of follow-ups


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
                got = None
                if turns:
                    place = Place(SUITE, DATASET, FOLLOW_UP)
                    got = ask(
                        answerer, asked.task, place, lab.meter,
                        question=asked.question, turns=turns,
                    )  # fmt: skip
                alone = ask(answerer, asked.task, Place(SUITE, DATASET, WRITTEN_OUT), lab.meter)
                if got is not None:
                    results += [alone, got]
                turns.append(Turn(asked.question, (got or alone).answer))
    return results


def prefix_hits(found: Sequence[Figure]) -> str:
    """A sentence: which share of the follow-ups' prompts the engines had read already."""
    shares = [
        figure
        for figure in found
        if (figure.metric, figure.variant, figure.slice) == (CACHED, FOLLOW_UP, ALL)
    ]
    if not shares:
        return ""
    (share,) = shares
    reached = "reached" if share.value >= LEAST_CACHED else "not reached"
    return (
        f"Of the prompt tokens of follow-ups, {written_number(share.value, CACHED)} "
        f"[{written_number(share.low, CACHED)}, {written_number(share.high, CACHED)}] came from "
        f"vLLM's prefix cache; the goal of {LEAST_CACHED:g} is {reached}. The engines say it of "
        "each request; a completion that is replayed counts with what they said when it was made."
    )


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
