"""Asset ``embeddings``: one unit vector a chunk."""

import dagster as dg

from rag_assets.chunks.assets import chunks
from rag_assets.embeddings import stage as embed
from rag_assets.lake.resource import LakeResource, refresh_partitions, stage_result
from rag_assets.models.clients.metering import MeteredEmbedder
from rag_assets.models.resource import ModelsResource
from rag_assets.sources.resource import corpus_backfills, corpus_partitions


@dg.asset(
    deps=[chunks],
    partitions_def=corpus_partitions,
    backfill_policy=corpus_backfills,
    group_name="embed",
    kinds={"lancedb", "vllm"},
    code_version=embed.CODE_VERSION,
)
def embeddings(
    context: dg.AssetExecutionContext, store: LakeResource, models: ModelsResource
) -> dg.MaterializeResult:
    """Vectors by the embedder's engine, cached by text and model: no text is embedded twice."""
    embedder, sizes = MeteredEmbedder(models.embedder), list[int]()
    reports = refresh_partitions(
        context,
        "chunks embedded",
        lambda partition, progress: embed.embed_chunks(
            store.client,
            partition,
            embedder=embedder,
            run_id=context.run.run_id,
            progress=progress,
            meter=sizes.append,
        ),
    )
    return stage_result(
        reports,
        "embeddings",
        metadata={
            "model": embedder.model_id,
            "dimension": embedder.dimension,
            "model_calls": embedder.n_texts,
            "prompt_tokens": sum(sizes),
        },
    )
