"""One schedule per source that declares a cron."""

from collections.abc import Iterable, Iterator

import dagster as dg

from rag_assets.sources.catalog import Source
from rag_assets.sources.jobs import refresh_job, refresh_requests


def refresh_schedules(sources: Iterable[Source]) -> list[dg.ScheduleDefinition]:
    """Schedules ``refresh_<source>``, cron in UTC; stopped until somebody starts them."""
    return [_schedule(source, source.cron) for source in sources if source.cron is not None]


def _schedule(source: Source, cron: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"refresh_{source.name.replace('-', '_')}",
        job=refresh_job,
        cron_schedule=cron,
        execution_timezone="UTC",
        description=f"Refresh source {source.name} ({source.where}).",
    )
    def refresh(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        # Several requests of one tick need keys.
        tick = context.scheduled_execution_time.isoformat()
        yield from refresh_requests(context.instance, source, tick)

    return refresh
