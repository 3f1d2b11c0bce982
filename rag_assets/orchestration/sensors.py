"""Sensors: refresh a source that changed; hot-load a generation that went live."""

import json
import threading
import time
from concurrent.futures import Future
from typing import Any

import dagster as dg

from rag_assets.lake.generations import live
from rag_assets.models.clients.roles import Models
from rag_assets.orchestration.dagster_private import (
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from rag_assets.orchestration.jobs import hot_load_job, refresh_requests
from rag_assets.orchestration.partitions import corpus_partitions
from rag_assets.orchestration.resources import LakeResource, SourcesResource
from rag_assets.orchestration.run_processes import close_dead_runs
from rag_assets.serving.client import AnswererClient
from rag_assets.serving.ticking import decide
from rag_assets.settings import load_settings
from rag_assets.sources import buckets
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.listing import source_state

# A store's requests cost money, and 100,000 objects take 100 of them, some 10 s of the sensor's 60.
REMOTE_EVERY_S = 900
# Runs of a state that failed are asked for again: what they lacked (an engine, a disk) may be back.
RETRY_S, RETRY_AT_MOST_S = 60.0, 6 * 3600.0  # twice as long after each failure
ASKED = "rag/asked"  # tag of the runs that a look at a source asked for: <source>/<n>
LOOK_S = 30.0  # for all remote sources, side by side


@dg.sensor(
    job_name="refresh_job",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Registers every source's partitions; refreshes a source whose listing changed.",
)
def source_changed_sensor(
    context: dg.SensorEvaluationContext, store: LakeResource, sources: SourcesResource
) -> dg.SensorResult | dg.SkipReason:
    """Runs over all partitions of each changed source; the listing is compared, no file is read.

    Until the runs of a state succeeded, they are asked for again, each time later. A run key holds
    a counter beside the state: a folder that goes back to a state seen before has changed all the
    same, and Dagster runs no key twice. Folders and archives on this machine are looked at each
    time, remote ones every 15 minutes unless they have a cron. Web sources are not: a site is not
    polled, their schedule or a person refreshes them.
    """
    close_dead_runs(context.instance)
    known, requests = sources.catalog(store.client), list[dg.RunRequest]()
    problems = [*known.problems]
    for source in list(known.values()):
        try:
            buckets.check(store.client, source)
        except SourceError as error:
            problems.append(str(error))
            del known[source.name]
    keys = [key for source in known.values() for key in source.partitions]
    context.instance.add_dynamic_partitions(str(corpus_partitions.name), keys)
    if idle := Models(settings=load_settings()).problem(["embedder"]):
        return dg.SkipReason("; ".join([idle, *problems]))
    cursor: dict[str, dict[str, Any]] = json.loads(context.cursor or "{}")
    now, until = time.time(), time.monotonic() + LOOK_S
    due = [one for one in known.values() if is_due(one, cursor.get(one.name, {}).get("at", 0), now)]
    remote = {source.name: _looked_at(source) for source in due if source.is_remote}
    for source in due:
        name = source.name
        before = cursor.get(name, {"state": "", "n": 0})
        looked = {"at": now} if source.is_remote else {}
        cursor[name] = {**before, **looked}
        try:
            if name in remote:
                state = remote[name].result(timeout=max(until - time.monotonic(), 0))
            else:
                state = source_state(source)
        except SourceError as error:
            problems.append(str(error))
            continue
        except TimeoutError:
            problems.append(
                f"source {name}: {source.where} was not listed within {LOOK_S:g} s; look whether "
                "it can be reached. If it is that large, give it a cron"
            )
            continue
        asked = _asked_now(context.instance, source, state, before, now)
        cursor[name] = {**asked, **looked}
        if asked["n"] != before["n"]:
            reason, tag = f"{asked['n']}/{state}", {ASKED: f"{name}/{asked['n']}"}
            requests += refresh_requests(context.instance, source, reason, tag)
    for problem in problems:
        context.log.error(problem)
    if not requests:
        context.update_cursor(json.dumps(cursor, sort_keys=True))
        return dg.SkipReason("; ".join(problems) or "no source has changed")
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(cursor, sort_keys=True))


def _asked_now(
    instance: dg.DagsterInstance, source: Source, state: str, before: dict[str, Any], now: float
) -> dict[str, Any]:
    """What the cursor holds of a source that is in ``state``; another ``n`` asks for runs.

    While the runs of a state have not succeeded it holds ``asked``, when they were asked for, and
    ``tries``, how often they failed.
    """
    number, tries = before["n"], before.get("tries", 0)
    if state == before["state"]:
        if "asked" not in before:
            return {"state": state, "n": number}
        ended, succeeded = ended_runs(instance, f"{source.name}/{number}", before["asked"])
        if succeeded:
            return {"state": state, "n": number}
        if ended is None or now < ended + min(RETRY_S * 2**tries, RETRY_AT_MOST_S):
            return {"state": state, "n": number, "asked": before["asked"], "tries": tries}
        return {"state": state, "n": number + 1, "asked": now, "tries": tries + 1}
    return {"state": state, "n": number + 1, "asked": now, "tries": 0}


def ended_runs(
    instance: dg.DagsterInstance, asked: str, asked_at: float
) -> tuple[float | None, bool]:
    """When the runs that were asked for had ended, and whether all succeeded.

    None while one is under way. Of runs over the same partitions the last one counts: Dagster runs
    one whose process died again. Runs that nobody has, which were deleted or never made, count as
    failed when they were asked for.
    """
    last: dict[str, dg.RunRecord] = {}
    for record in instance.get_run_records(dg.RunsFilter(tags={ASKED: asked})):  # the newest first
        tags = record.dagster_run.tags
        key = tags.get(PARTITION_NAME_TAG) or tags.get(ASSET_PARTITION_RANGE_START_TAG, "")
        last.setdefault(key, record)
    if not all(record.dagster_run.is_finished for record in last.values()):
        return None, False
    succeeded = bool(last) and all(one.dagster_run.is_success for one in last.values())
    return max((one.end_time or asked_at for one in last.values()), default=asked_at), succeeded


def is_due(source: Source, looked_at: float, now: float) -> bool:
    """Whether to look at a source now; times in seconds since 1970, 0.0 for never."""
    if source.kind == "web":
        return False
    return not source.is_remote or (source.cron is None and now - looked_at >= REMOTE_EVERY_S)


def _looked_at(source: Source) -> Future[str]:
    """The state of a remote source, once it is known; a store may not answer for minutes.

    Waiting for it would cost the other sources their tick, and the cursor that says it was asked.
    """
    answer: Future[str] = Future()

    def look() -> None:
        try:
            answer.set_result(source_state(source))
        except Exception as error:  # noqa: BLE001 - raised by result()
            answer.set_exception(error)

    threading.Thread(target=look, daemon=True).start()
    return answer


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
    client = AnswererClient.of(load_settings())
    tick = decide(live(store.client), context.cursor, client.status)
    if tick.request is None:
        return dg.SensorResult(skip_reason=dg.SkipReason(tick.reason), cursor=tick.cursor)
    request = dg.RunRequest(
        run_key=f"hot-load-{tick.request.sequence}",
        tags={"generation": tick.request.generation_id},
    )
    return dg.SensorResult(run_requests=[request], cursor=tick.cursor)
