"""The lake's tables as values that two lakes can be compared by."""

import json

from rag_assets.lake.store import LakeStore

TABLES = [
    "source_files", "documents", "rejected_documents", "duplicates", "related_documents",
    "sections", "chunks", "embeddings", "enrichments", "chunk_index",
]  # fmt: skip


def content(store: LakeStore) -> dict[str, list[str]]:
    """``<table>/<partition>`` -> its rows as JSON, sorted, without the run that wrote them."""
    found: dict[str, list[str]] = {}
    for stage in TABLES:
        for partition in store.partitions(stage):
            rows = store.rows(stage, partition)
            for row in rows:
                row.pop("run_id", None)
            found[f"{stage}/{partition}"] = sorted(
                json.dumps(row, default=str, sort_keys=True) for row in rows
            )
    return found


def assert_equal_lakes(found: LakeStore, expected: LakeStore) -> None:
    """Row for row, in every table; the first that differs is named."""
    ours, theirs = content(found), content(expected)
    assert {name.split("/")[0] for name in theirs} == set(TABLES)  # nothing compared is missing
    assert ours.keys() == theirs.keys()
    for name, rows in theirs.items():
        assert ours[name] == rows, name
