"""Asset ``sections``: documents cut at their headings."""

import dagster as dg

from rag_assets.documents.assets import documents
from rag_assets.lake.resource import LakeResource, refresh_partitions, stage_result
from rag_assets.sections import structure
from rag_assets.sources.resource import corpus_partitions


@dg.asset(
    deps=[documents],
    partitions_def=corpus_partitions,
    group_name="structure",
    kinds={"lancedb", "python"},
    code_version=structure.CODE_VERSION,
)
def sections(context: dg.AssetExecutionContext, store: LakeResource) -> dg.MaterializeResult:
    """One row per section: heading path, page, half-open offsets into the document's text."""
    reports = refresh_partitions(
        context,
        "documents cut",
        lambda partition, progress: structure.structure_documents(
            store.client, partition, run_id=context.run.run_id, progress=progress
        ),
    )
    return stage_result(reports, structure.TABLE.name)
