"""Asset ``source_files``: what exists at a source now."""

import dagster as dg

from rag_assets.lake.resource import LakeResource, refresh_partitions, stage_result
from rag_assets.sources import ingest
from rag_assets.sources.resource import SourcesResource, corpus_partitions


@dg.asset(
    partitions_def=corpus_partitions,
    group_name="ingest",
    kinds={"lancedb", "xxhash"},
    code_version=ingest.CODE_VERSION,
)
def source_files(
    context: dg.AssetExecutionContext, store: LakeResource, sources: SourcesResource
) -> dg.MaterializeResult:
    """One row per file of the source: uri, size, mtime, xxh3_128 of its bytes.

    The bytes are kept under their hash, so that every later stage can be recomputed without
    the source. A source that cannot be listed fails the run and deletes nothing.
    """
    reports = refresh_partitions(
        context,
        "files",
        lambda partition, progress: ingest.ingest(
            store.client,
            sources.of_partition(partition, store.client),
            partition,
            run_id=context.run.run_id,
            progress=progress,
        ),
    )
    return stage_result(reports, ingest.TABLE.name)
