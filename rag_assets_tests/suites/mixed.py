"""The mixed corpus: passages of three public sets, small enough to enrich.

The ablation and the ladders need a corpus that the project was not tuned on and on which every
stage can run, the small model's enrichment (1.4 s a document on two cores) included.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.sampling import sample
from rag_assets.evaluations.tasks import Task, chosen
from rag_assets_tests.evaluation_data import evaluation_data
from rag_assets_tests.suites.dataset_tasks import dataset_tasks, document_uri
from rag_assets_tests.suites.datasets import Document, load

NAME = "mixed"
SETS = ("squad2", "hotpotqa", "2wiki")
POOL = 60  # answerable questions of each set whose documents are all in
DISTRACTORS = 60  # of each set


def tasks(lab: Lab, first_look: int) -> list[Task]:
    """Answerable questions, equally many of each set; their gold documents are in the corpus."""
    size = lab.request.size(first_look) or POOL
    return [
        task
        for name in SETS
        for task in sample(
            chosen(_pool(lab, name), lab.request.slices), size, seed=lab.request.seed
        )
    ]


def all_tasks(lab: Lab) -> list[Task]:
    """Every question of the pool that has the slices asked for."""
    return [task for name in SETS for task in chosen(_pool(lab, name), lab.request.slices)]


def documents(lab: Lab) -> list[Document]:
    """The gold documents of the pool of questions, and distractors; ids begin with their set."""
    return [document for name in SETS for document in _documents_of(lab, name)]


def _documents_of(lab: Lab, name: str) -> Iterator[Document]:
    needed = {uri for task in _pool(lab, name) for uri in task.uris}
    others: list[Document] = []
    for document in load(name, evaluation_data(lab.settings)).documents():
        named = replace(document, id=f"{name}/{document.id}")
        if document_uri(NAME, named.id) in needed:
            yield named
        else:
            others.append(named)
    yield from sample(others, DISTRACTORS, seed=lab.request.seed)


def _pool(lab: Lab, name: str) -> Sequence[Task]:
    dataset = load(name, evaluation_data(lab.settings))
    gold = {q.id: q.gold for q in dataset.questions}
    answerable = [task for task in dataset_tasks(dataset) if task.answerable]
    return [
        replace(
            task,
            id=f"{name}/{task.id}",
            uris=tuple(document_uri(NAME, f"{name}/{key}") for key in gold[task.id]),
            slices={**task.slices, "set": name},
        )
        for task in sample(answerable, POOL, seed=lab.request.seed)
    ]
