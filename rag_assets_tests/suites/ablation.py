"""The headline: conventional RAG, then one discipline after the other, on the same questions.

The order is that of the article the project implements. Every step keeps what the steps before it
added; corpus, questions, models and prompts are the same. Up to "routing" the LLM writes every
answer from several pieces; from there on look-ups are read passage by passage, and questions are
taken apart. Up to "token budget" it reads five pieces whole and may write 256 tokens. "grounding"
is ours, not the article's: claims without support leave the answer, and a question that nothing is
near to is declined; with it the pipeline is the product as it ships. Deep mode comes last,
chosen by the router; the product leaves it to the user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag_assets.answers.answerer import Answerer, Check, Router, Search, Select
from rag_assets.answers.citations import ground
from rag_assets.answers.policy import AnswerPolicy, Budget
from rag_assets.answers.routing import route
from rag_assets.evaluations.asking import Place, ask
from rag_assets.evaluations.golden import closed_book, golden_tasks, picked
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.labels import classified
from rag_assets.evaluations.results import CaseResult
from rag_assets.evaluations.tasks import Task, chosen
from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.retrieval.searching import retrieve
from rag_assets.retrieval.selection import select
from rag_assets_tests.evaluation_data import evaluation_data
from rag_assets_tests.suites import mixed
from rag_assets_tests.suites.baselines import (
    all_to_llm,
    bare_chunks,
    by_vectors,
    deep_where_many_speak,
    unchecked,
)
from rag_assets_tests.suites.conventional import VARIANTS, build_variant
from rag_assets_tests.suites.corpora import ingested, live_reader
from rag_assets_tests.suites.public import Ranked, task_ranks, wanted

FIRST_LOOK_GOLDEN = 28
FIRST_LOOK_MIXED = 8  # of each of its three sets

# Five windows of 1,000 characters (about 1,150 tokens) and the freedom to write: nothing is cut.
UNBUDGETED = Budget(evidence=3000, answer=256, repair=0, sections=5)
CONVENTIONAL = AnswerPolicy(
    slm=UNBUDGETED,
    llm=UNBUDGETED,
    n_hits=5,
    min_similarity=-1.0,  # whatever the search gives is sent on
)
WHOLE_SECTION_TOKENS = 512  # of a passage, until the token budget makes it 180


@dataclass(frozen=True, slots=True)
class Step:
    """One pipeline of the ablation: its index, and what its answerer is made of."""

    name: str
    index: str  # of conventional.VARIANTS, or "enriched": the ordinary stages' own
    policy: AnswerPolicy
    search: Search
    select: Select
    route: Router
    check: Check

    def answerer(self, lab: Lab, reader: IndexReader) -> Answerer:
        """Answers as this pipeline does."""
        return replace(
            lab.answerer(reader),
            policy=self.policy,
            search=self.search,
            select=self.select,
            route=self.route,
            check=self.check,
        )


def steps() -> list[Step]:
    """All steps, in order."""
    product = AnswerPolicy()
    first = Step(
        "conventional", "fixed", CONVENTIONAL, by_vectors, bare_chunks, all_to_llm, unchecked
    )
    disciplined = replace(first, name="+ chunk discipline", index="disciplined")
    hybrid = replace(
        disciplined,
        name="+ hybrid retrieval",
        search=retrieve,
        policy=replace(CONVENTIONAL, n_hits=product.n_hits),
    )
    selected = replace(
        hybrid,
        name="+ section selection",
        select=select,
        policy=replace(hybrid.policy, passage_tokens=WHOLE_SECTION_TOKENS),
    )
    enriched = replace(selected, name="+ SLM enrichment", index="enriched")
    routed = replace(enriched, name="+ routing", route=route)
    budgeted = replace(routed, name="+ token budget", policy=replace(product, min_similarity=-1.0))
    grounded = replace(budgeted, name="+ grounding", check=ground, policy=product)
    return [
        first,
        replace(first, name="+ normalise, dedupe", index="deduplicated"),
        replace(first, name="+ sections", index="sectioned"),
        disciplined,
        hybrid,
        selected,
        enriched,
        routed,
        budgeted,
        grounded,
        replace(grounded, name="+ deep mode", route=deep_where_many_speak),
    ]


def ablation(lab: Lab) -> list[CaseResult]:
    """Every step on the sources' own questions and on the mixed corpus."""
    sets = wanted(lab, ("golden", mixed.NAME))
    results: list[CaseResult] = []
    golden = chosen(golden_tasks(lab), lab.request.slices)
    if golden and "golden" in sets:
        golden = [replace(task, copies=_copies(lab.store)) for task in golden]
        some = picked(lab, golden, FIRST_LOOK_GOLDEN, by="kind")
        results += [*_on(lab, "golden", lab.store, some, golden), *classified(lab, "ablation")]
    if mixed.NAME in sets and results and not evaluation_data(lab.settings).is_dir():
        lab.tell(
            f"{mixed.NAME} skipped: there is no public data at {evaluation_data(lab.settings)}"
        )
    elif mixed.NAME in sets:
        store = ingested(lab, mixed.NAME, mixed.documents(lab), enriched=True)
        some = mixed.tasks(lab, FIRST_LOOK_MIXED)
        results += _on(lab, mixed.NAME, store, some, mixed.all_tasks(lab))
    return results


def _on(
    lab: Lab, dataset: str, store: LakeStore, tasks: Sequence[Task], every: Sequence[Task]
) -> list[CaseResult]:
    """Question by question through all steps, so that other load on the machine meets all alike."""
    readers = indexes(lab, dataset, store)
    answerers = {step.name: step.answerer(lab, readers[step.index]) for step in steps()}
    rankings = _rankings(lab, dataset, readers, every)
    results = list(closed_book(lab, "ablation", dataset, tasks))
    for task in lab.each(tasks, f"{dataset} questions through {len(answerers)} pipelines"):
        for name, answerer in answerers.items():
            results.append(ask(answerer, task, Place("ablation", dataset, name), lab.meter))
    return [*results, *rankings]  # first the answers: their order of steps is that of the report


def _copies(store: LakeStore) -> dict[str, str]:
    """Uri of a duplicate -> of its canonical: finding either is as good, collapsed or not."""
    return {row["uri"]: row["canonical_uri"] for row in store.rows("duplicates")}


def _rankings(
    lab: Lab, dataset: str, readers: Mapping[str, IndexReader], tasks: Sequence[Task]
) -> list[CaseResult]:
    """What the steps up to enrichment do to retrieval; without models, so on all questions."""
    answerable = [task for task in tasks if task.uris]
    ways = [
        Ranked(step.name, readers[step.index], by_words=step.search is retrieve)
        for step in steps()
        if step.route is all_to_llm and step.name != "+ section selection"
    ]
    return task_ranks(lab, "ablation", f"{dataset}, retrieval", ways, answerable)


def indexes(lab: Lab, dataset: str, store: LakeStore) -> dict[str, IndexReader]:
    """The index of every step, by name."""
    folder = lab.settings.evaluations / "variants" / dataset
    readers = {"enriched": live_reader(store)}
    for variant in VARIANTS:
        lab.tell(f"{dataset}: index '{variant}'")
        built = build_variant(store, variant, folder=folder, embedder=lab.embedder)
        lab.tell(
            f"{dataset}: index '{variant}' has {built.n_chunks} chunks of {built.n_documents} "
            f"documents; of {built.n_cut} the embedder did not see the end"
        )
        readers[variant] = built.reader
    return readers
