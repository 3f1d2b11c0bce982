"""Conventional RAG against the product, and the product with one model alone for all roles.

The same questions, documents and models: what differs is the architecture, and which model reads.
The order of the arms does not matter, as every question goes through all of them before the next.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rag_assets.answers.answerer import Answerer
from rag_assets.evaluations.asking import Place, ask
from rag_assets.evaluations.golden import PRODUCT, golden_tasks, picked
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.results import CaseResult
from rag_assets.evaluations.tasks import Task, chosen
from rag_assets.lake.store import LakeStore
from rag_assets_tests.evaluation_data import evaluation_data
from rag_assets_tests.suites import mixed
from rag_assets_tests.suites.ablation import steps
from rag_assets_tests.suites.conventional import VARIANTS, build_variant
from rag_assets_tests.suites.corpora import ingested, live_reader
from rag_assets_tests.suites.public import wanted

CONVENTIONAL, OURS = "conventional", PRODUCT
ALONE = ("LLM alone", "SLM alone")
FIRST_LOOK = 20  # questions of each public set; of the golden ones all are asked


def headline(lab: Lab) -> list[CaseResult]:
    """Each arm on the sources' own questions and on the mixed corpus."""
    sets = wanted(lab, ("golden", mixed.NAME))
    results: list[CaseResult] = []
    golden = chosen(golden_tasks(lab), lab.request.slices)
    if golden and "golden" in sets:
        results += _on(lab, "golden", lab.store, picked(lab, golden, None, by="kind"))
    if mixed.NAME not in sets:
        return results
    if not evaluation_data(lab.settings).is_dir():
        lab.tell(f"{mixed.NAME} skipped: there is no public data")
        return results
    store = ingested(lab, mixed.NAME, mixed.documents(lab))
    return [*results, *_on(lab, mixed.NAME, store, mixed.tasks(lab, FIRST_LOOK))]


def arms(lab: Lab, dataset: str, store: LakeStore) -> Mapping[str, Answerer]:
    """Name -> answerer."""
    conventional = steps()[0]
    folder = lab.settings.evaluations / "variants" / dataset
    built = build_variant(store, VARIANTS[0], folder=folder, embedder=lab.embedder)
    ours = lab.answerer(live_reader(store))
    llm, slm = ALONE
    return {
        CONVENTIONAL: conventional.answerer(lab, built.reader),
        OURS: ours,
        llm: replace(ours, slm=ours.llm),
        slm: replace(ours, llm=ours.slm),
    }


def _on(lab: Lab, dataset: str, store: LakeStore, tasks: Sequence[Task]) -> Iterator[CaseResult]:
    answerers = arms(lab, dataset, store)
    for task in lab.each(tasks, f"{dataset} questions through {len(answerers)} arms"):
        for name, answerer in answerers.items():
            yield ask(answerer, task, Place("headline", dataset, name), lab.meter)
