"""Checks on ``enrichments``; each proves one property."""

from collections.abc import Mapping, Sequence, Set

from rag_assets.enrichments import stage as enrichments
from rag_assets.lake.figures import Finding
from rag_assets.lake.store import LakeStore
from rag_assets.sources.catalog import source_name
from rag_assets.sources.declaration import Source


def labels_are_in_the_set(
    store: LakeStore, partitions: Sequence[str], sources: Mapping[str, Source]
) -> Finding:
    """Every document type is one of its source's labels; filters by type would miss any other."""
    foreign, n_rows = [], 0
    columns = ["document_id", "document_type"]
    for partition in partitions:
        labels = _labels_of(sources.get(source_name(partition)))
        for row in store.rows(enrichments.TABLE.name, partition, columns=columns):
            n_rows += 1
            if row["document_type"] not in labels:
                foreign.append(f"{row['document_id']}: {row['document_type']}")
    return Finding(
        not foreign,
        f"{len(foreign)} of {n_rows} documents have a type that their source has not",
        {"n_documents": n_rows, "first": foreign[:10]},
    )


def _labels_of(source: Source | None) -> Set[str]:
    """The labels of a source; none of one that is not enriched or no longer declared."""
    wanted = None if source is None else enrichments.wanted_of(source)
    return set() if wanted is None else set(wanted.types)
