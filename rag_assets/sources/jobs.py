"""Job ``refresh_job``: all seven stages for the partitions of one or more sources."""

import dagster as dg

refresh_job = dg.define_asset_job(
    "refresh_job",
    selection=dg.AssetSelection.groups(
        "ingest", "normalise", "structure", "chunk", "embed", "enrich", "index"
    ),
    description="Bring sources up to date, build a candidate index, publish it if it is no worse.",
)
