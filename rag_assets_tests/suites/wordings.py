"""Search words beside whole questions: the same look-ups, asked as people type into a search box.

The documents and questions are those of the calibration set; the keyword wordings were written by
hand, before any was asked: two to five words, no question word, some with a typing error.
"""

import json
from importlib import resources

from rag_assets.evaluations.asking import Place, ask
from rag_assets.evaluations.calibrating import SOURCE, ingested
from rag_assets.evaluations.calibration_set import CalibrationQuestion, calibration_questions
from rag_assets.evaluations.facts import holds, without_markers
from rag_assets.evaluations.golden import picked
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.results import CaseResult
from rag_assets.evaluations.tasks import Task, chosen

SUITE = "wordings"
DATASET = "calibration"
QUESTION, KEYWORDS = "question", "keywords"


def wordings(lab: Lab) -> list[CaseResult]:
    """Each look-up as a question and as keywords, on one index, by the product."""
    words = keywords()
    tasks = [look_up(one) for one in calibration_questions() if one.id in words]
    tasks = picked(lab, chosen(tasks, lab.request.slices), None, by="domain")
    reader = ingested(lab.settings.evaluations / "corpora" / DATASET, lab.embedder)
    lab.corpora[DATASET] = reader.generation.id
    answerer = lab.answerer(reader)
    return [
        ask(answerer, task, Place(SUITE, DATASET, variant), lab.meter, question=wording)
        for task in lab.each(tasks, "look-ups in both wordings")
        for variant, wording in ((QUESTION, task.question), (KEYWORDS, words[task.id]))
    ]


def keywords() -> dict[str, str]:
    """Id of a look-up -> its keywords."""
    lines = resources.files("rag_assets_tests.data").joinpath("keyword_wordings.jsonl")
    rows = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    return {row["id"]: row["keywords"] for row in rows}


def look_up(one: CalibrationQuestion) -> Task:
    """A look-up of the calibration set: right if an accepted answer stands in the text."""

    def right(text: str) -> bool:
        return any(holds(text, form) for form in one.answers)

    name = one.document.rpartition("/")[2]
    return Task(
        id=one.id,
        question=one.question,
        expected=one.answers,
        answerable=True,
        uris=(f"{SOURCE}:{name}",),
        slices={"domain": one.domain},
        text_scores=lambda text: {"correct": float(right(without_markers(text)))},
        in_evidence=right,
    )
