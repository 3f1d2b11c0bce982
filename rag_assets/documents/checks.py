"""Checks on ``documents``; each proves one property."""

from collections.abc import Sequence

from rag_assets.documents import stage as documents
from rag_assets.lake.figures import Finding
from rag_assets.lake.store import LakeStore
from rag_assets.sources import stage as source_files


def every_file_accounted_for(store: LakeStore, partitions: Sequence[str]) -> Finding:
    """Each source file has either a document or a reason why not; none has both or neither."""
    wrong: list[str] = []
    n_files = 0
    for partition in partitions:
        files, read, rejected = (
            {row["uri"] for row in store.rows(table.name, partition, columns=["uri"])}
            for table in (source_files.TABLE, documents.TABLE, documents.REJECTED)
        )
        n_files += len(files)
        wrong += sorted(files ^ (read | rejected))
        wrong += sorted(read & rejected)
    return Finding(
        not wrong,
        f"{len(wrong)} of {n_files} files are in neither table, or in both",
        {"n_files": n_files, "n_wrong": len(wrong), "first": wrong[:10]},
    )
