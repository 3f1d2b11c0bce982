"""What to do with partitions that a source has no longer: its number of buckets was lowered."""

from rag_assets.lake.store import LakeStore
from rag_assets.sources import ingest
from rag_assets.sources.catalog import source_name
from rag_assets.sources.declaration import Source


def retire_partitions(store: LakeStore, source: Source) -> list[str]:
    """Empty the partitions that this source had and has not now; returns those that held rows.

    Their files stand in other partitions now. Tables are emptied from the last stage to the first:
    a partition whose retirement was killed still has files, and is retired by the next refresh.
    """
    retired = partitions_to_retire(store, source)
    for partition in retired:
        for stage in store.folders("tables"):
            table = store.table(stage, partition)
            if table is not None and stage != ingest.TABLE.name:
                table.delete("true")
        first = store.table(ingest.TABLE.name, partition)
        if first is not None:
            first.delete("true")
    return retired


def partitions_to_retire(store: LakeStore, source: Source) -> list[str]:
    """Partitions that hold rows of this source and that it has not now."""
    kept = set(source.partitions)
    return [
        partition
        for partition in store.partitions(ingest.TABLE.name)
        if source_name(partition) == source.name
        and partition not in kept
        and (table := store.table(ingest.TABLE.name, partition)) is not None
        and table.count_rows() > 0
    ]
