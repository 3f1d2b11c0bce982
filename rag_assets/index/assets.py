"""Asset ``chunk_index``: the candidate index over all partitions."""

import dagster as dg

from rag_assets.duplicates.assets import duplicates
from rag_assets.embeddings.assets import embeddings
from rag_assets.enrichments.assets import enrichments
from rag_assets.index import stage as build
from rag_assets.lake.resource import LakeResource, progress_log
from rag_assets.models.resource import ModelsResource

MAX_NAMED = 20  # partitions in a message


@dg.asset(
    deps=[duplicates, embeddings, enrichments],
    group_name="index",
    kinds={"lancedb"},
    code_version=build.CODE_VERSION,
)
def chunk_index(
    context: dg.AssetExecutionContext, store: LakeResource, models: ModelsResource
) -> dg.MaterializeResult:
    """Vectors, BM25 and scalar indexes in one LanceDB table; a new candidate if rows changed."""
    with store.client.locked("chunk_index"):  # it is one table: one builder at a time
        report = build.build_index(
            store.client,
            dimension=models.dimension,
            models=models.identities(),
            run_id=context.run.run_id,
            progress=progress_log(context, "partitions indexed"),
        )
    generation = report.generation
    context.log.info(
        f"{generation.id}: {report.n_upserted} rows written, {report.n_deleted} deleted"
        if report.is_new
        else f"{generation.id} stands; nothing changed"
    )
    if report.waiting:
        context.log.warning(
            f"{len(report.waiting)} partitions keep their rows until a run has finished them: "
            f"{', '.join(report.waiting[:MAX_NAMED])}"
        )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": generation.counts["chunks"],
            "documents": generation.counts["documents"],
            "candidate": generation.id,
            "is_new": report.is_new,
            "rows_written": report.n_upserted,
            "rows_deleted": report.n_deleted,
            "rows_unindexed": report.n_unindexed,
            "partitions_waiting": len(report.waiting),
            "lance_version": generation.index_version,
        },
        data_version=dg.DataVersion(generation.data_version),
    )
