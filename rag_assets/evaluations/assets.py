"""Asset ``index_evaluation``: the gate's figures for the candidate; and an asset for each suite."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field

from rag_assets.evaluations.lab import Lab, Request
from rag_assets.evaluations.registry import SUITES
from rag_assets.evaluations.statistics import SEED
from rag_assets.index.assets import chunk_index
from rag_assets.index.gate import (
    Verdict,
    applicable,
    asked_vectors,
    case_key,
    draw_canaries,
    judge,
    measure,
)
from rag_assets.index.search import IndexReader
from rag_assets.index.stage import count_unindexed
from rag_assets.lake import generations
from rag_assets.lake.generations import Generation
from rag_assets.lake.resource import LakeResource
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.models.clients.openai_http import Embedder
from rag_assets.models.resource import ModelsResource
from rag_assets.settings import load_settings
from rag_assets.sources.golden import Case, load_cases
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
    cases = [c for source in sources.catalog(lake).values() for c in load_cases(source)]
    if candidate.id in generations.generation_ids(lake):
        context.log.info(f"{candidate.id} was published before; its figures stand")
        record = candidate.evaluation
    else:
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
            "questions_changed": dg.MetadataValue.md(_changed_table(record, cases)),
        },
        data_version=dg.DataVersion(f"{candidate.id}/{record['passed']}"),
    )


def evaluate_candidate(
    store: LakeStore, candidate: Generation, embedder: Embedder, cases: list[Case]
) -> Verdict:
    """Measure the candidate, and beside it the live generation on the same questions."""
    asked, canaries = applicable(store, cases), draw_canaries(store)
    embed = partial(asked_vectors, store, embedder)
    live = generations.live_generation(store)
    if live is not None and not generations.is_there(store, live):
        live = None
    measured = measure(IndexReader(store, candidate), embed, asked, canaries)
    beside = None if live is None else measure(IndexReader(store, live), embed, asked, [])
    return judge(measured, beside, n_unindexed=count_unindexed(store, candidate))


def _changed_table(record: dict[str, Any], cases: Sequence[Case]) -> str:
    """Golden questions that retrieval now serves better or worse than in the live generation."""
    if not record["changed_cases"]:
        return "none"
    questions = {case_key(case): case.question for case in cases if case.uris}
    live, candidate = record["live"]["recall_by_case"], record["candidate"]["recall_by_case"]
    lines = [
        f"| {key} | {questions.get(key, '').replace('|', '/')} | {live[key]:.2f} "
        f"| {candidate[key]:.2f} |"
        for key in record["changed_cases"]
    ]
    return "\n".join(["| case | question | live | candidate |", "|---|---|---|---|", *lines])


class SuiteConfig(dg.Config):
    """Run config of every suite."""

    limit: int | None = Field(
        default=None, ge=0, description="Questions of each set; unset: the first look; 0: all."
    )
    slices: dict[str, str] = Field(
        default={}, description="Only questions of these slices, e.g. {dataset: squad2}."
    )
    seed: int = Field(default=SEED, description="Of samples, perturbations and bootstraps.")
    generation: str | None = Field(
        default=None, description="Of the sources' own index; unset: the live one."
    )


def _suite_asset(suite: str, description: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"{suite}_results",
        deps=[index_evaluation],
        group_name="evaluations",
        kinds={"lancedb", "vllm"},
        description=description,
    )
    def evaluated(
        context: dg.AssetExecutionContext,
        config: SuiteConfig,
        store: LakeResource,
        models: ModelsResource,
    ) -> dg.MaterializeResult:
        # Statistics and plots bring scipy and matplotlib, which nothing else here needs.
        from rag_assets.evaluations.presentation import present
        from rag_assets.evaluations.recording import (
            Origin,
            keep_cases,
            keep_figures,
            write_report,
        )

        lab = Lab(
            load_settings(),
            models.loaded_profile,
            lambda role: models.slm if role == "slm" else models.llm,
            models.embedder,
            store.client,
            Request(config.limit, config.slices, config.seed, config.generation),
            context.log.info,
        )
        results = SUITES[suite].run(lab)
        context.log.info(f"{len(results)} results; intervals and tests")
        origin = Origin(context.run.run_id, datetime.now(UTC))
        keep_cases(store.client, suite, results, origin)
        made = present(suite, results, seed=config.seed)
        keep_figures(store.client, suite, made, origin)
        report = write_report(lab, suite, made, origin)
        context.log.info(f"report: {report}")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(results),
                "failed": sum(bool(result.error) for result in results),
                "report": dg.MetadataValue.path(str(report)),
                **made.trends(),
                **{name: dg.MetadataValue.md(text) for name, text in made.markdown().items()},
            }
        )

    return evaluated


suite_assets = [_suite_asset(name, suite.description) for name, suite in SUITES.items()]
