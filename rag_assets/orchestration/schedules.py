"""Schedules: a refresh for each source that declares a cron, and the nightly upkeep."""

from collections.abc import Iterable, Iterator

import dagster as dg

from rag_assets.lake.identity import value_hash
from rag_assets.orchestration.jobs import refresh_requests
from rag_assets.orchestration.resources import LakeResource
from rag_assets.sources import buckets
from rag_assets.sources.declaration import Source

# Running from the start: a lake that nobody tends grows by a copy of the index with each refresh,
# and nobody thinks of it before the disk is full. What it deletes no command can ask for.
upkeep_daily = dg.ScheduleDefinition(
    name="upkeep_daily",
    job_name="upkeep_job",
    cron_schedule="40 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Tend the lake's tables each night.",
)


def refresh_schedules(sources: Iterable[Source]) -> list[dg.ScheduleDefinition]:
    """Schedules ``refresh_<source>``, cron in UTC; stopped until somebody starts them."""
    return [_schedule(source, source.cron) for source in sources if source.cron is not None]


def schedule_name(source: str) -> str:
    """``refresh_<source>``, in Dagster's letters, which have no hyphen.

    Names with ``_`` end in a hash: ``a-b`` and ``a_b`` are two sources, and ``job`` has a schedule.
    """
    plain = f"refresh_{source.replace('-', '_')}"
    return f"{plain}_{value_hash(source)[:6]}" if "_" in source or source == "job" else plain


def _schedule(source: Source, cron: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=schedule_name(source.name),
        job_name="refresh_job",
        cron_schedule=cron,
        execution_timezone="UTC",
        description=f"Refresh source {source.name} ({source.where}).",
    )
    def refresh(
        context: dg.ScheduleEvaluationContext, store: LakeResource
    ) -> Iterator[dg.RunRequest]:
        buckets.check(store.client, source)
        # Several requests of one tick need keys.
        tick = context.scheduled_execution_time.isoformat()
        yield from refresh_requests(context.instance, source, tick)

    return refresh
