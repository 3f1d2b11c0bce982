"""Sensor: refresh a source when what it holds has changed."""

import json
from typing import Any

import dagster as dg

from rag_assets.lake.resource import LakeResource
from rag_assets.models.engine_state import running_engines
from rag_assets.settings import load_settings
from rag_assets.sources.catalog import SourceError
from rag_assets.sources.folder import folder_state
from rag_assets.sources.jobs import refresh_job
from rag_assets.sources.resource import SourcesResource, corpus_partitions


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
    changed all the same, and Dagster runs no key twice.
    """
    known = sources.catalog(store.client)
    keys = [key for source in known.values() for key in source.partitions]
    context.instance.add_dynamic_partitions(str(corpus_partitions.name), keys)
    if "embedder" not in running_engines(load_settings().state):
        return dg.SkipReason("the engines do not run; start them with `rag up`")
    cursor: dict[str, dict[str, Any]] = json.loads(context.cursor or "{}")
    requests, problems = [], []
    for name, source in known.items():
        try:
            state = folder_state(source)
        except SourceError as error:
            problems.append(str(error))
            continue
        before = cursor.get(name, {"state": "", "n": 0})
        if state != before["state"]:
            cursor[name] = {"state": state, "n": before["n"] + 1}
            requests += [
                dg.RunRequest(
                    run_key=f"{key}/{before['n'] + 1}/{state}",
                    partition_key=key,
                    tags={"source": name},
                )
                for key in source.partitions
            ]
    for problem in problems:
        context.log.error(problem)
    if not requests:
        return dg.SkipReason("; ".join(problems) or "no source has changed")
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(cursor, sort_keys=True))
