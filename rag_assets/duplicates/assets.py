"""Asset ``duplicates``: which documents others stand for, across all partitions."""

import dagster as dg

from rag_assets.documents.assets import documents
from rag_assets.duplicates import collapse
from rag_assets.duplicates.grouping import NEAR_THRESHOLD
from rag_assets.lake.resource import LakeResource


@dg.asset(
    deps=[documents],
    group_name="normalise",
    kinds={"lancedb", "xxhash"},
    code_version=collapse.CODE_VERSION,
)
def duplicates(store: LakeResource) -> dg.MaterializeResult:
    """Exact duplicates by xxh3_128 of the text, near ones by MinHash, verified by true Jaccard.

    One row per alias. Its canonical document answers for it, and citations name both.
    """
    with store.client.locked("duplicates"):  # the later writer has seen what the earlier one saw
        report = collapse.collapse_duplicates(store.client)
    rows = store.client.rows("duplicates")
    lines = [
        f"| {r['uri']} | {r['canonical_uri']} | {r['kind']} | {r['similarity']:.2f} |"
        for r in sorted(rows, key=lambda row: row["canonical_uri"])[:50]
    ]
    header = ["| alias | canonical | kind | similarity |", "|---|---|---|---|"]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(rows),
            "documents": report.n_documents,
            "exact": report.by_kind.get("exact", 0),
            "near": report.by_kind.get("near", 0),
            "changed": report.changed,
            "threshold": NEAR_THRESHOLD,
            "aliases": dg.MetadataValue.md("\n".join(header + lines) if lines else "none"),
        },
        data_version=dg.DataVersion(report.data_version),
    )
