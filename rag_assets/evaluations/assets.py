"""Asset ``index_evaluation``: the gate's figures for the candidate generation."""

from dataclasses import replace

import dagster as dg

from rag_assets.evaluations.cases import Case, load_cases
from rag_assets.evaluations.gate import Verdict, applicable, draw_canaries, judge, measure
from rag_assets.index.assets import chunk_index
from rag_assets.index.build import count_unindexed
from rag_assets.index.search import IndexReader
from rag_assets.lake import generations
from rag_assets.lake.generations import Generation
from rag_assets.lake.resource import LakeResource
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.models.clients import Embedder
from rag_assets.models.resource import ModelsResource
from rag_assets.sources.resource import SourcesResource

CODE_VERSION = "1"


@dg.asset(
    deps=[chunk_index],
    group_name="index",
    kinds={"lancedb"},
    code_version=CODE_VERSION,
)
def index_evaluation(
    context: dg.AssetExecutionContext,
    store: LakeResource,
    models: ModelsResource,
    sources: SourcesResource,
) -> dg.MaterializeResult:
    """Golden questions and canaries, asked of the candidate and of the live generation."""
    lake = store.client
    candidate = generations.candidate(lake)
    if candidate is None:
        raise LakeError("there is no candidate index to evaluate; materialise chunk_index first")
    if candidate.id in generations.generation_ids(lake):
        context.log.info(f"{candidate.id} was published before; its figures stand")
        record = candidate.evaluation
    else:
        cases = [c for source in sources.catalog(lake).values() for c in load_cases(source)]
        record = evaluate_candidate(lake, candidate, models.embedder, cases).to_record()
        with lake.locked("chunk_index"):
            newest = generations.candidate(lake)
            if newest is not None and newest.id == candidate.id:  # else it was built over meanwhile
                generations.put_candidate(lake, replace(newest, evaluation=record))
    measured = record["candidate"]
    return dg.MaterializeResult(
        metadata={
            "generation": candidate.id,
            "passed": record["passed"],
            "reasons": dg.MetadataValue.md("\n".join(f"- {r}" for r in record["reasons"])),
            "recall": measured["recall"] if measured["recall"] is not None else "no questions",
            "questions": len(measured["recall_by_case"]),
            "canaries_found": measured["canaries_found"],
            "questions_changed": dg.MetadataValue.md(_changed_table(record)),
        },
        data_version=dg.DataVersion(f"{candidate.id}/{record['passed']}"),
    )


def evaluate_candidate(
    store: LakeStore, candidate: Generation, embedder: Embedder, cases: list[Case]
) -> Verdict:
    """Measure the candidate, and beside it the live generation on the same questions."""
    asked, canaries = applicable(store, cases), draw_canaries(store)
    reader = IndexReader(store, candidate)
    live = generations.live_generation(store)
    measured = measure(reader, embedder, asked, canaries)
    beside = None if live is None else measure(IndexReader(store, live), embedder, asked, [])
    return judge(measured, beside, n_unindexed=count_unindexed(store, candidate))


def _changed_table(record: dict[str, object]) -> str:
    changed, live = record["changed_cases"], record["live"]
    if not isinstance(changed, list) or not changed or not isinstance(live, dict):
        return "none"
    candidate = record["candidate"]
    lines = [
        f"| {case} | {live['recall_by_case'][case]:.2f} | {candidate['recall_by_case'][case]:.2f} |"  # type: ignore[index]
        for case in changed
    ]
    return "\n".join(["| question | live | candidate |", "|---|---|---|", *lines])
