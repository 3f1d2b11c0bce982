"""Asset ``enrichments``: what the small model says about each document."""

from collections import Counter

import dagster as dg

from rag_assets.documents.assets import documents
from rag_assets.enrichments import stage as enrich
from rag_assets.lake.resource import LakeResource, counted, refresh_partitions, stage_result
from rag_assets.models.clients.metering import MeteredChat
from rag_assets.models.resource import ModelsResource
from rag_assets.sources.resource import SourcesResource, corpus_backfills, corpus_partitions


@dg.asset(
    deps=[documents],
    partitions_def=corpus_partitions,
    backfill_policy=corpus_backfills,
    group_name="enrich",
    kinds={"lancedb", "vllm"},
    code_version=enrich.CODE_VERSION,
)
def enrichments(
    context: dg.AssetExecutionContext,
    store: LakeResource,
    models: ModelsResource,
    sources: SourcesResource,
) -> dg.MaterializeResult:
    """Document type, topics, entities, summary and a question, by constrained output."""
    slm = MeteredChat(models.slm)
    source_of = sources.of_partitions(context.partition_keys, store.client)
    reports = refresh_partitions(
        context,
        "documents described",
        lambda partition, progress: enrich.enrich_documents(
            store.client,
            partition,
            model=slm,
            run_id=context.run.run_id,
            wanted=source_of[partition].enrich,
            progress=progress,
        ),
    )
    kinds: Counter[str] = Counter()
    n_failed = 0
    for partition in context.partition_keys:
        for row in store.client.rows(
            enrich.TABLE.name, partition, columns=["document_type", "outcome"]
        ):
            kinds[row["document_type"]] += 1
            n_failed += row["outcome"] != "ok"
    return stage_result(
        reports,
        enrich.TABLE.name,
        metadata={
            "model": slm.model_id,
            "model_calls": slm.n_calls,
            "prompt_tokens": slm.prompt_tokens,
            "completion_tokens": slm.completion_tokens,
            "document_types": counted(kinds),
            "without_labels": n_failed,
        },
    )
