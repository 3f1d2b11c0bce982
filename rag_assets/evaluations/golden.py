"""The suite ``golden``: the sources' own questions and those that readers gave, on their own index.

And what suites of other questions share with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rag_assets.answers.feedback import feedback_cases
from rag_assets.evaluations.asking import Place, ask, ask_closed_book
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.labels import classified
from rag_assets.evaluations.results import CaseResult
from rag_assets.evaluations.sampling import sample
from rag_assets.evaluations.tasks import Task, chosen, golden_task
from rag_assets.index.search import IndexReader
from rag_assets.sources.catalog import catalog
from rag_assets.sources.golden import load_cases

PRODUCT = "product"
CLOSED_BOOKS = ("closed book slm", "closed book llm")


def golden(lab: Lab) -> list[CaseResult]:
    """The sources' own questions on their own index, and the types given by hand, if any.

    What readers said on the page is a dataset of its own, ``feedback``.
    """
    tasks = chosen(golden_tasks(lab), lab.request.slices)
    tasks = picked(lab, tasks, None, by="kind")
    heard = chosen([golden_task(case) for case in feedback_cases(lab.store)], lab.request.slices)
    heard = picked(lab, heard, None, by="kind")
    with lab.reader() as reader:
        asked = list(answered(lab, Place("golden", "golden", PRODUCT), reader, tasks))
        asked += answered(lab, Place("golden", "feedback", PRODUCT), reader, heard)
    books = closed_book(lab, "golden", "golden", tasks)
    types = [] if lab.request.slices else classified(lab, "golden")  # slices are of questions
    return [*asked, *books, *types]


def golden_tasks(lab: Lab) -> list[Task]:
    """The sources' own questions; of several sources, ids begin with the source's name."""
    known = catalog(lab.settings.sources_file, lab.store).values()
    cases = {source.name: found for source in known if (found := load_cases(source))}
    return [
        replace(golden_task(case), id=case.id if len(cases) == 1 else f"{name}/{case.id}")
        for name, of_source in cases.items()
        for case in of_source
    ]


def picked(
    lab: Lab, tasks: Sequence[Task], first_look: int | None, *, by: str | None = None
) -> list[Task]:
    """The seeded sample that was asked for, in proportion over the values of a slice.

    Of a question in several languages, all are in or none (if the size allows).
    """
    size = lab.request.size(first_look)
    return list(tasks) if size is None else sample(
        tasks, size, seed=lab.request.seed,
        stratify_by=None if by is None else lambda task: task.slices.get(by, ""),
        key=lambda task: task.parallel_id or task.id,
    )  # fmt: skip


def answered(
    lab: Lab, place: Place, reader: IndexReader, tasks: Sequence[Task]
) -> Iterator[CaseResult]:
    """Each task answered by the product."""
    answerer = lab.answerer(reader)
    for task in lab.each(tasks, f"{place.dataset}, {place.variant}"):
        yield ask(answerer, task, place, lab.meter)


def closed_book(lab: Lab, suite: str, dataset: str, tasks: Sequence[Task]) -> Iterator[CaseResult]:
    """What each model knows by heart; unanswerable questions say nothing about that."""
    known = [task for task in tasks if task.answerable]
    for variant, model in zip(CLOSED_BOOKS, (lab.slm, lab.llm), strict=True):
        for task in lab.each(known, f"{dataset} {variant}"):
            place = Place(suite, dataset, variant)
            yield ask_closed_book(model, task, place, lab.meter)
