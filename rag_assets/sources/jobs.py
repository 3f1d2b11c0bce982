"""Job ``refresh_job``: all seven stages for the partitions of one or more sources."""

import dagster as dg

from rag_assets.sources.declaration import Source
from rag_assets.sources.resource import partition_ranges, range_name, range_tags

refresh_job = dg.define_asset_job(
    "refresh_job",
    selection=dg.AssetSelection.groups(
        "ingest", "normalise", "structure", "chunk", "embed", "enrich", "index"
    ),
    description="Bring sources up to date, build a candidate index, publish it if it is no worse.",
)


def refresh_requests(
    instance: dg.DagsterInstance, source: Source, reason: str
) -> list[dg.RunRequest]:
    """Requests of ``refresh_job`` for all partitions of a source, a range of them a run.

    Args:
        instance: that the partitions are registered with.
        source: to refresh.
        reason: makes the run keys differ from those of the requests before.
    """
    return [
        dg.RunRequest(
            run_key=f"{range_name(keys)}/{reason}",
            partition_key=keys[0] if len(keys) == 1 else None,
            tags={"source": source.name, **range_tags(keys)},
        )
        for keys in partition_ranges(instance, source.partitions)
    ]
