"""The sources behind the answers, as far as a caller may read them, and how fresh they are."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline.history import history
from rag_assets.retrieval.marks import UNDATED
from rag_assets.sources.catalog import source_name


def sources_shown(store: LakeStore, reader: IndexReader) -> dict[str, Any]:
    """What one can ask about, as JSON prints it.

    Args:
        store: the lake, which knows the refreshes.
        reader: of the generation in service, narrowed to what the caller may read.
    """
    rows = reader.document_facts()
    by_source: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_source.setdefault(row["uri"].partition(":")[0], []).append(row)
    refreshed = _refreshed(history(store))
    sources = [
        {
            "name": name,
            "documents": len(of),
            "newest": _newest(of),
            "refreshed_at": refreshed.get(name, ""),
        }
        for name, of in sorted(by_source.items())
    ]
    generation = {"id": reader.generation.id, "created_at": reader.generation.created_at}
    types = sorted({row["document_type"] for row in rows} - {""})
    return {"generation": generation, "sources": sources, "document_types": types}


def _newest(rows: Sequence[Mapping[str, Any]]) -> str:
    """The day of the newest document; "" where none is dated."""
    dated: list[datetime] = [row["modified_at"] for row in rows if row["modified_at"] != UNDATED]
    return max(dated).date().isoformat() if dated else ""


def _refreshed(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Source -> when `rag refresh` looked at it last, as far as that is remembered."""
    found: dict[str, str] = {}
    for entry in entries:  # oldest first
        for partition in entry["partitions"]:
            found[source_name(partition)] = entry["at"]
    return found
