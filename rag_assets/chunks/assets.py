"""Asset ``chunks``: sections cut to the embedder's window."""

import dagster as dg

from rag_assets.chunks import stage as cut
from rag_assets.lake.resource import LakeResource, histogram, refresh_partitions, stage_result
from rag_assets.models.resource import ModelsResource
from rag_assets.sections.assets import sections
from rag_assets.sources.resource import corpus_backfills, corpus_partitions


@dg.asset(
    deps=[sections],
    partitions_def=corpus_partitions,
    backfill_policy=corpus_backfills,
    group_name="chunk",
    kinds={"lancedb", "python"},
    code_version=cut.CODE_VERSION,
)
def chunks(
    context: dg.AssetExecutionContext, store: LakeResource, models: ModelsResource
) -> dg.MaterializeResult:
    """One row per chunk; none crosses a section, none exceeds the embedder's window."""
    window = models.embedder_window
    reports = refresh_partitions(
        context,
        "sections cut",
        lambda partition, progress: cut.cut_chunks(
            store.client,
            partition,
            counter=window.tokenizer,
            tokenizer_id=window.identity,
            max_tokens=window.max_tokens,
            run_id=context.run.run_id,
            progress=progress,
        ),
    )
    sizes = [
        row["n_tokens"]
        for partition in context.partition_keys
        for row in store.client.rows(cut.TABLE.name, partition, columns=["n_tokens"])
    ]
    return stage_result(
        reports,
        cut.TABLE.name,
        metadata={
            "window": window.max_tokens,
            "largest_chunk": max(sizes, default=0),
            "tokens_per_chunk": dg.MetadataValue.md(histogram(sizes)),
        },
    )
