"""Sensor ``serving_sensor``: a new live generation is hot-loaded into the running answerer."""

import dagster as dg

from rag_assets.lake.generations import live
from rag_assets.lake.resource import LakeResource
from rag_assets.serving.client import AnswererClient
from rag_assets.serving.jobs import hot_load_job
from rag_assets.serving.ticking import decide
from rag_assets.settings import load_settings


@dg.sensor(
    job=hot_load_job,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests a hot load when the live generation changed and the answerer is up.",
)
def serving_sensor(
    context: dg.SensorEvaluationContext, store: LakeResource
) -> dg.SensorResult | dg.SkipReason:
    """One small record read per tick, and one HTTP request when it changed."""
    client = AnswererClient(load_settings().answerer_url)
    tick = decide(live(store.client), context.cursor, client.status)
    if tick.request is None:
        return dg.SensorResult(skip_reason=dg.SkipReason(tick.reason), cursor=tick.cursor)
    request = dg.RunRequest(
        run_key=f"hot-load-{tick.request.sequence}",
        tags={"generation": tick.request.generation_id},
    )
    return dg.SensorResult(run_requests=[request], cursor=tick.cursor)
