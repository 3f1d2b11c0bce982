"""Sensor: refresh a source when what it holds has changed."""

import json
import time
from typing import Any

import dagster as dg

from rag_assets.lake.resource import LakeResource
from rag_assets.models.engine_state import running_engines
from rag_assets.settings import load_settings
from rag_assets.sources.catalog import Source, SourceError
from rag_assets.sources.jobs import refresh_job
from rag_assets.sources.listing import source_state
from rag_assets.sources.resource import SourcesResource, corpus_partitions

# A store's requests cost money, and 100,000 objects take 100 of them, some 10 s of the sensor's 60.
REMOTE_EVERY_S = 900


@dg.sensor(
    job=refresh_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Registers every source's partitions; refreshes a source whose listing changed.",
)
def source_changed_sensor(
    context: dg.SensorEvaluationContext, store: LakeResource, sources: SourcesResource
) -> dg.SensorResult | dg.SkipReason:
    """One run per partition of each changed source; the listing is compared, no file is read.

    A run key holds a counter beside the state: a folder that goes back to a state seen before has
    changed all the same, and Dagster runs no key twice. Folders and archives on this machine are
    looked at each time, remote ones every 15 minutes unless they have a cron. Web sources are not:
    a site is not polled, their schedule or a person refreshes them.
    """
    known = sources.catalog(store.client)
    keys = [key for source in known.values() for key in source.partitions]
    context.instance.add_dynamic_partitions(str(corpus_partitions.name), keys)
    if "embedder" not in running_engines(load_settings().state):
        return dg.SkipReason("the engines do not run; start them with `rag up`")
    cursor: dict[str, dict[str, Any]] = json.loads(context.cursor or "{}")
    requests, problems = [], []
    for name, source in known.items():
        before = cursor.get(name, {"state": "", "n": 0})
        if not is_due(source, before.get("at", 0.0), time.time()):
            continue
        looked = {"at": time.time()} if source.is_remote else {}
        cursor[name] = {**before, **looked}
        try:
            state = source_state(source)
        except SourceError as error:
            problems.append(str(error))
            continue
        if state != before["state"]:
            cursor[name] = {"state": state, "n": before["n"] + 1, **looked}
            requests += _requests(source, before["n"] + 1, state)
    for problem in problems:
        context.log.error(problem)
    if not requests:
        context.update_cursor(json.dumps(cursor, sort_keys=True))
        return dg.SkipReason("; ".join(problems) or "no source has changed")
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(cursor, sort_keys=True))


def is_due(source: Source, looked_at: float, now: float) -> bool:
    """Whether to look at a source now; times in seconds since 1970, 0.0 for never."""
    if source.kind == "web":
        return False
    return not source.is_remote or (source.cron is None and now - looked_at >= REMOTE_EVERY_S)


def _requests(source: Source, n: int, state: str) -> list[dg.RunRequest]:
    return [
        dg.RunRequest(run_key=f"{key}/{n}/{state}", partition_key=key, tags={"source": source.name})
        for key in source.partitions
    ]
