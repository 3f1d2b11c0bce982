"""Checks on ``documents``; each proves one property."""

import dagster as dg

from rag_assets.documents.assets import documents, rejected_documents
from rag_assets.lake.resource import LakeResource, partitions_to_check


@dg.asset_check(asset=documents.key, blocking=True, additional_deps=[rejected_documents.key])
def every_file_accounted_for(
    context: dg.AssetCheckExecutionContext, store: LakeResource
) -> dg.AssetCheckResult:
    """Each source file has either a document or a reason why not; none has both or neither."""
    wrong: list[str] = []
    n_files = 0
    for partition in partitions_to_check(context, store.client, "source_files"):
        files = _column(store, "source_files", partition, "uri")
        read = _column(store, "documents", partition, "uri")
        rejected = _column(store, "rejected_documents", partition, "uri")
        n_files += len(files)
        wrong += sorted(set(files) ^ (set(read) | set(rejected)))
        wrong += sorted(set(read) & set(rejected))
    return dg.AssetCheckResult(
        passed=not wrong,
        description=f"{len(wrong)} of {n_files} files are in neither table, or in both",
        metadata={"n_files": n_files, "n_wrong": len(wrong), "first": wrong[:10]},
    )


def _column(store: LakeResource, table: str, partition: str, column: str) -> list[str]:
    return [row[column] for row in store.client.rows(table, partition, columns=[column])]
