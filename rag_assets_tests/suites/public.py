"""The suites: which questions are asked of which variants, and how many in a first look.

==========  ===================================================================================
retrieval   SciFact, Cranfield, CISI, DBpedia: BM25, vectors and both; no chat model
answers     SQuAD 2, HotpotQA, 2Wiki, MuSiQue, COVID-QA, PubMedQA; and without documents
languages   XQuAD, the same questions in twelve languages
conflicts   RGB: sources that contradict the truth
==========  ===================================================================================

The first look takes a seeded sample of the questions (``FIRST_LOOK``), always of whole corpora: a
sampled corpus would be an easier one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag_assets.evaluations.asking import Place, ask
from rag_assets.evaluations.golden import PRODUCT, answered, closed_book, picked
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.results import CaseResult
from rag_assets.evaluations.sampling import sample
from rag_assets.evaluations.tasks import Task, chosen, has_slices
from rag_assets.index.search import Hit, IndexReader
from rag_assets.lake.store import quoted
from rag_assets.retrieval.embeddable import embeddable
from rag_assets_tests.evaluation_data import evaluation_data
from rag_assets_tests.suites.corpora import ingested, live_reader
from rag_assets_tests.suites.dataset_tasks import dataset_tasks, document_uri
from rag_assets_tests.suites.datasets import Judged, load
from rag_assets_tests.suites.ranking import ranking_scores

GIVEN = "product, gold document given"
N_RANKED = 100  # documents that a ranking is judged by
N_CHUNKS = 300  # candidates of each search; several are of one document

# Questions of each set in the first look; None: all of them. Retrieval costs some 20 ms a question.
FIRST_LOOK: Mapping[str, int | None] = {
    "scifact": None, "cranfield": None, "cisi": None, "dbpedia": None,
    "squad2": 20, "hotpotqa": 10, "2wiki": 10, "musique": 10, "covid-qa": 10, "pubmedqa": 10,
    "xquad": 60, "rgb": 16,
}  # fmt: skip
FIRST_LOOK_RANKED = 240  # questions of an answering set whose retrieval is measured, without models

RETRIEVAL = ("scifact", "cranfield", "cisi", "dbpedia")
ANSWERS = ("squad2", "hotpotqa", "2wiki", "musique", "covid-qa", "pubmedqa")
DOMAINS = {
    "squad2": "encyclopaedia", "hotpotqa": "encyclopaedia", "2wiki": "encyclopaedia",
    "musique": "encyclopaedia", "covid-qa": "scientific articles", "pubmedqa": "medical abstracts",
}  # fmt: skip


def retrieval(lab: Lab) -> list[CaseResult]:
    """Rankings of documents for judged queries."""
    results: list[CaseResult] = []
    for name in wanted(lab, RETRIEVAL):
        dataset = load(name, evaluation_data(lab.settings))
        reader = live_reader(ingested(lab, name, dataset.documents()))
        queries = [q for q in dataset.queries if has_slices(q.slices, lab.request.slices)]
        queries = sample_of(lab, queries, FIRST_LOOK[name])
        gold = {
            q.id: {document_uri(name, key): gain for key, gain in q.gains.items()} for q in queries
        }
        results += ranked(lab, "retrieval", name, searches(reader), queries, gold)
    return results


def answers(lab: Lab) -> list[CaseResult]:
    """Public questions on the whole of each set's documents, and without any document."""
    results: list[CaseResult] = []
    for name in wanted(lab, ANSWERS):
        dataset = load(name, evaluation_data(lab.settings))
        reader = live_reader(ingested(lab, name, dataset.documents()))
        tasks = [
            replace(task, slices={**task.slices, "domain": DOMAINS[name]})
            for task in dataset_tasks(dataset)
        ]
        tasks = chosen(tasks, lab.request.slices)
        results += question_ranks(lab, Place("answers", name, ""), reader, tasks)
        tasks = picked(lab, tasks, FIRST_LOOK[name], by="answerable")
        results += answered(lab, Place("answers", name, PRODUCT), reader, tasks)
        if name == "squad2":  # unanswerable from its own passage only; another may answer it
            results += given(lab, Place("answers", name, GIVEN), reader, tasks)
        results += closed_book(lab, "answers", name, tasks)
    return results


def languages(lab: Lab) -> list[CaseResult]:
    """The same questions in twelve languages, each on the documents of all."""
    if not wanted(lab, ("xquad",)):
        return []
    dataset = load("xquad", evaluation_data(lab.settings))
    reader = live_reader(ingested(lab, "xquad", dataset.documents()))
    place = Place("languages", "xquad", PRODUCT)
    tasks = chosen(dataset_tasks(dataset), lab.request.slices)
    results = question_ranks(lab, place, reader, tasks, by="language")
    tasks = picked(lab, tasks, FIRST_LOOK["xquad"], by="language")
    return [*results, *answered(lab, place, reader, tasks)]


def conflicts(lab: Lab) -> list[CaseResult]:
    """Questions whose documents contradict each other: is the false one followed?"""
    if not wanted(lab, ("rgb",)):
        return []
    dataset = load("rgb", evaluation_data(lab.settings))
    reader = live_reader(ingested(lab, "rgb", dataset.documents()))
    tasks = chosen(dataset_tasks(dataset), lab.request.slices)
    tasks = picked(lab, tasks, FIRST_LOOK["rgb"], by="language")
    results = answered(lab, Place("conflicts", "rgb", PRODUCT), reader, tasks)
    # each of a question's true documents suffices, so no answer need rest on all of them
    return [
        replace(r, scores={k: v for k, v in r.scores.items() if not k.endswith(" recall")})
        for r in results
    ]


# What the suites share


def wanted(lab: Lab, names: Sequence[str]) -> list[str]:
    """The sets of a suite; ``dataset=NAME`` among the slices asked for picks one."""
    only = lab.request.slices.get("dataset")
    return [name for name in names if only in (None, name)]


def sample_of(lab: Lab, queries: Sequence[Judged], first_look: int | None) -> list[Judged]:
    """The seeded sample of judged queries that was asked for."""
    size = lab.request.size(first_look)
    return list(queries) if size is None else sample(queries, size, seed=lab.request.seed)


def given(
    lab: Lab, place: Place, reader: IndexReader, tasks: Sequence[Task]
) -> Iterator[CaseResult]:
    """As ``answered``, of an index that holds nothing but the documents that the task needs."""
    answerer = lab.answerer(reader)
    for task in lab.each(tasks, f"{place.dataset}, {place.variant}"):
        yield ask(answerer, task, place, lab.meter, where=only(task.uris))


def only(uris: Sequence[str]) -> str:
    """SQL filter for these documents, also where a duplicate stands for one of them."""
    copies = " OR ".join(f"array_has(aliases, {quoted([uri])})" for uri in uris)
    return f"uri IN ({quoted(uris)}) OR {copies}"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A way of searching; the product fuses words and vectors, of fewer candidates each."""

    name: str
    reader: IndexReader
    by_words: bool = True
    by_vectors: bool = True


def searches(reader: IndexReader) -> list[Ranked]:
    """BM25, vectors, and both fused."""
    return [
        Ranked("bm25", reader, by_vectors=False),
        Ranked("vectors", reader, by_words=False),
        Ranked("hybrid", reader),
    ]


def question_ranks(
    lab: Lab, place: Place, reader: IndexReader, tasks: Sequence[Task], *, by: str | None = None
) -> list[CaseResult]:
    """How well the documents that questions need are found, without any chat model."""
    tasks = picked(lab, [task for task in tasks if task.uris], FIRST_LOOK_RANKED, by=by)
    return task_ranks(lab, place.suite, place.dataset, searches(reader), tasks)


def task_ranks(
    lab: Lab, suite: str, dataset: str, ways: Sequence[Ranked], tasks: Sequence[Task]
) -> list[CaseResult]:
    """Rankings of questions; the documents that an answer needs are the relevant ones."""
    queries = [Judged(t.id, t.question, dict.fromkeys(t.uris, 1), t.slices) for t in tasks]
    gold = {query.id: query.gains for query in queries}
    copies = tasks[0].copies if tasks else {}
    return ranked(lab, suite, dataset, ways, queries, gold, copies)


def ranked(
    lab: Lab,
    suite: str,
    dataset: str,
    ways: Sequence[Ranked],
    queries: Sequence[Judged],
    gold: Mapping[str, Mapping[str, int]],
    copies: Mapping[str, str] | None = None,
) -> list[CaseResult]:
    """Judge each search on each query.

    Args:
        lab: has the embedder.
        suite: of the results.
        dataset: of the results.
        ways: of searching.
        queries: in any order.
        gold: by query, the gains by uri.
        copies: uri of a copy -> of its original, which it counts as.
    """
    vectors = lab.embedder.embed([embeddable(q.text, lab.embedder) for q in queries])
    asked = list(zip(queries, vectors, strict=True))
    return [
        _ranked(suite, dataset, way, query, vector, gold[query.id], copies or {})
        for query, vector in lab.each(asked, f"{dataset} queries ranked")
        for way in ways
    ]


def _ranked(
    suite: str,
    dataset: str,
    search: Ranked,
    query: Judged,
    vector: NDArray[np.float32],
    gains: Mapping[str, int],
    copies: Mapping[str, str],
) -> CaseResult:
    hits = search.reader.search(
        query.text if search.by_words else "",
        vector if search.by_vectors else None,
        limit=2 * N_CHUNKS,
        n_candidates=N_CHUNKS,
    )
    ranking = list(dict.fromkeys(copies.get(uri, uri) for uri in documents_of(hits)))
    return CaseResult(
        suite,
        dataset,
        search.name,
        query.id,
        query.text,
        "",
        expected=tuple(uri for uri, gain in gains.items() if gain > 0),
        slices=query.slices,
        scores=ranking_scores(ranking[:N_RANKED], gains),
    )


def documents_of(hits: Sequence[Hit]) -> list[str]:
    """Uris in order of their best chunk; a collapsed copy stands right behind its canonical."""
    uris: dict[str, None] = {}
    for hit in hits:
        uris.update(dict.fromkeys([hit.chunk.uri, *hit.chunk.aliases]))
    return list(uris)
