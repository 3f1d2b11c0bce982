"""Schedule ``upkeep_daily``."""

import dagster as dg

from rag_assets.lake.jobs import upkeep_job

# Running from the start: a lake that nobody tends grows by a copy of the index with each refresh,
# and nobody thinks of it before the disk is full. What it deletes no command can ask for.
upkeep_daily = dg.ScheduleDefinition(
    name="upkeep_daily",
    job=upkeep_job,
    cron_schedule="40 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Tend the lake's tables each night.",
)
