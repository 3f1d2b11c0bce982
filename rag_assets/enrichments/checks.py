"""Checks on ``enrichments``; each proves one property."""

import dagster as dg

from rag_assets.enrichments import stage as enrich
from rag_assets.enrichments.assets import enrichments
from rag_assets.enrichments.classification import DOCUMENT_TYPES
from rag_assets.lake.resource import LakeResource, partitions_to_check


@dg.asset_check(asset=enrichments, blocking=True)
def labels_are_in_the_set(
    context: dg.AssetCheckExecutionContext, store: LakeResource
) -> dg.AssetCheckResult:
    """Every document type is one of the labels; filters by type would miss any other."""
    foreign, n_rows = [], 0
    for partition in partitions_to_check(context, store.client, enrich.TABLE.name):
        for row in store.client.rows(
            enrich.TABLE.name, partition, columns=["document_id", "document_type"]
        ):
            n_rows += 1
            if row["document_type"] not in DOCUMENT_TYPES:
                foreign.append(f"{row['document_id']}: {row['document_type']}")
    return dg.AssetCheckResult(
        passed=not foreign,
        description=f"{len(foreign)} of {n_rows} documents have a type that is no label",
        metadata={"n_documents": n_rows, "first": foreign[:10]},
    )
