"""Asset ``duplicates``: which documents others stand for, across all partitions."""

import dagster as dg

from rag_assets.documents.assets import documents
from rag_assets.duplicates import stage as collapse
from rag_assets.duplicates.grouping import (
    CONTAINED_THRESHOLD,
    NEAR_THRESHOLD,
    SIMILAR_THRESHOLD,
)
from rag_assets.lake.resource import LakeResource, markdown_table


@dg.asset(
    deps=[documents],
    group_name="normalise",
    kinds={"lancedb", "xxhash"},
    code_version=collapse.CODE_VERSION,
)
def duplicates(store: LakeResource) -> dg.MaterializeResult:
    """Exact duplicates by xxh3_128 of the text, near ones by MinHash, verified by true Jaccard.

    One row per alias. Its canonical document answers for it, and citations name both. Documents
    that contain one another, or are similar but not so much, are in ``related_documents``.
    """
    with store.client.locked("duplicates"):  # the later writer has seen what the earlier one saw
        report = collapse.collapse_duplicates(store.client)
    aliases = store.client.rows(collapse.ALIASES)
    related = store.client.rows(collapse.RELATED)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(aliases),
            "documents": report.n_documents,
            "exact": report.by_kind.get("exact", 0),
            "near": report.by_kind.get("near", 0),
            "changed": report.changed,
            "related_similar": report.by_relation.get("similar", 0),
            "related_contained": report.by_relation.get("contained", 0),
            "n_pairs": report.n_pairs,
            "n_verified": report.n_verified,
            "n_texts_read": report.n_read,
            "threshold": NEAR_THRESHOLD,
            "threshold_similar": SIMILAR_THRESHOLD,
            "threshold_contained": CONTAINED_THRESHOLD,
            "aliases": dg.MetadataValue.md(markdown_table(
                ["alias", "canonical", "kind", "similarity"],
                [
                    (r["uri"], r["canonical_uri"], r["kind"], f"{r['similarity']:.2f}")
                    for r in sorted(aliases, key=lambda row: str(row["canonical_uri"]))
                ],
            )),
            "related": dg.MetadataValue.md(markdown_table(
                ["document", "related", "kind", "similarity", "containment"],
                [
                    (r["uri"], r["related_uri"], r["kind"],
                     f"{r['similarity']:.2f}", f"{r['containment']:.2f}")
                    for r in sorted(related, key=lambda row: str(row["related_uri"]))
                ],
            )),
        },
        data_version=dg.DataVersion(report.data_version),
    )  # fmt: skip
