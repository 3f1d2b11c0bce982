import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import fsspec
import pytest
from dagster._core.utils import make_new_run_id

from rag_assets.definitions import build_defs, defs
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients import roles
from rag_assets.models.profiles import Endpoint
from rag_assets.orchestration import sensors
from rag_assets.orchestration.partitions import corpus_partitions
from rag_assets.orchestration.resources import LakeResource, SourcesResource
from rag_assets.orchestration.schedules import refresh_schedules
from rag_assets.orchestration.sensors import is_due, source_changed_sensor
from rag_assets.sources.buckets import BucketsError
from rag_assets.sources.catalog import Source, add_folder, declared
from rag_assets_tests.sources import site as sites
from rag_assets_tests.sources.site import Site
from rag_assets_tests.world import ingest

NIGHT = datetime(2026, 1, 1, 3, tzinfo=UTC)
DECLARED = """
sources:
  - {name: a, kind: folder, where: a, buckets: 2, cron: "0 3 * * *"}
  - {name: b-b, kind: folder, where: b}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in "ab":
        (tmp_path / name).mkdir()
    (tmp_path / "sources.yaml").write_text(DECLARED)
    return tmp_path


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def site() -> Iterator[Site]:
    with sites.running() as made:
        yield made


@pytest.fixture(autouse=True)
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "running_engines", lambda state: {"embedder": None})


def tick(
    home: Path, instance: dg.DagsterInstance, cursor: str | None
) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={
            "store": LakeResource(uri=str(home / "lake")),
            "sources": SourcesResource(file=str(home / "sources.yaml")),
        },
    )
    found = source_changed_sensor(context)
    assert isinstance(found, dg.SensorResult | dg.SkipReason)
    return found


def requested(result: dg.SensorResult | dg.SkipReason) -> list[str | None]:
    if isinstance(result, dg.SkipReason):
        return []
    return [asked_for(request) for request in result.run_requests or []]


def asked_for(request: dg.RunRequest) -> str | None:
    """The partition of a request, or its range as ``first:last``."""
    if request.partition_key is not None:
        return request.partition_key
    ends = [request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
    return ":".join(ends)


def test_each_changed_source_is_refreshed_once(home: Path, instance: dg.DagsterInstance) -> None:
    first = tick(home, instance, None)
    assert requested(first) == ["a.0:a.1", "b-b.0"]
    partitions = instance.get_dynamic_partitions(str(corpus_partitions.name))
    assert sorted(partitions) == ["a.0", "a.1", "b-b.0"]
    assert isinstance(first, dg.SensorResult)
    quiet = tick(home, instance, first.cursor)
    assert isinstance(quiet, dg.SkipReason)
    assert quiet.skip_message == "no source has changed"
    (home / "b" / "new.md").write_text("new")
    assert requested(tick(home, instance, first.cursor)) == ["b-b.0"]


def test_going_back_to_an_older_state_is_a_change(home: Path, instance: dg.DagsterInstance) -> None:
    keys, cursor = [], None
    for there in (False, True, False):
        path = home / "b" / "new.md"
        if there:
            path.write_text("new")
        else:
            path.unlink(missing_ok=True)
        result = tick(home, instance, cursor)
        assert isinstance(result, dg.SensorResult)
        keys += [r.run_key for r in result.run_requests or [] if r.partition_key == "b-b.0"]
        cursor = result.cursor
    assert len(set(keys)) == 3


def test_missing_folder_does_not_hide_the_others(home: Path, instance: dg.DagsterInstance) -> None:
    first = tick(home, instance, None)
    assert isinstance(first, dg.SensorResult)
    (home / "a").rmdir()
    (home / "b" / "new.md").write_text("new")
    assert requested(tick(home, instance, first.cursor)) == ["b-b.0"]
    (home / "b" / "new.md").unlink()
    skipped = tick(home, instance, first.cursor)
    assert isinstance(skipped, dg.SkipReason)
    assert "nothing was deleted" in str(skipped.skip_message)


@pytest.mark.parametrize(
    ("kind", "where", "cron", "ago_s", "due"),
    [
        ("folder", "/docs", None, 0, True),
        ("folder", "/docs", "0 3 * * *", 0, True),
        ("archive", "/docs.zip", None, 0, True),
        ("archive", "s3://b/docs.zip", None, 60, False),
        ("object_store", "s3://b", None, 60, False),
        ("object_store", "s3://b", None, 900, True),
        ("object_store", "s3://b", "0 3 * * *", 10**9, False),
        ("web", "https://h/sitemap.xml", None, 10**9, False),
        ("web", "/urls.txt", None, 10**9, False),
    ],
)
def test_when_a_source_is_looked_at(
    kind: str, where: str, cron: str | None, ago_s: int, due: bool
) -> None:
    source = Source("a", kind, where, cron=cron)
    assert is_due(source, NIGHT.timestamp() - ago_s, NIGHT.timestamp()) == due


def test_web_sources_get_partitions_and_no_request(
    home: Path, instance: dg.DagsterInstance, site: Site
) -> None:
    (home / "sources.yaml").write_text(
        f"sources: [{{name: w, kind: web, where: '{site.url}/s', web: {{allow_private: true}}}}]"
    )
    assert requested(tick(home, instance, None)) == []
    assert instance.get_dynamic_partitions(str(corpus_partitions.name)) == ["w.0"]
    assert site.asked == []


def test_remote_source_is_not_looked_at_each_minute(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/sensed/a.md", b"x")
    (home / "sources.yaml").write_text(
        "sources: [{name: m, kind: object_store, where: 'memory://sensed'}]"
    )
    first = tick(home, instance, None)
    assert requested(first) == ["m.0"]
    assert isinstance(first, dg.SensorResult)
    memory.pipe("/sensed/b.md", b"x")
    assert requested(tick(home, instance, first.cursor)) == []
    monkeypatch.setattr(sensors, "REMOTE_EVERY_S", 0)
    assert requested(tick(home, instance, first.cursor)) == ["m.0"]


def test_a_store_that_does_not_answer_costs_the_others_nothing(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "sources.yaml").write_text(
        DECLARED + "  - {name: m, kind: object_store, where: 'memory://silent'}\n"
        "  - {name: n, kind: object_store, where: 'memory://sensed'}\n"
    )
    memory = fsspec.filesystem("memory")
    memory.pipe("/sensed/a.md", b"x")
    over = threading.Event()
    find = type(memory).find

    def silent(self: object, path: str, **more: bool) -> object:
        if "silent" in path:
            over.wait()  # a sensor that waited for it would wait for ever
        return find(self, path, **more)

    monkeypatch.setattr(type(memory), "find", silent)
    monkeypatch.setattr(sensors, "LOOK_S", 0.3, raising=False)
    first = tick(home, instance, None)
    over.set()
    assert requested(first) == ["a.0:a.1", "b-b.0", "n.0"]
    assert isinstance(first, dg.SensorResult)
    assert json.loads(first.cursor or "")["m"]["at"] > 0  # asked again in a quarter of an hour


def end_runs(
    result: dg.SensorResult | dg.SkipReason,
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
    *,
    of: str = "",
) -> None:
    """Runs of a tick's requests, as the daemon makes them, that ended so."""
    assert isinstance(result, dg.SensorResult)
    for request in result.run_requests or []:
        if request.tags["source"] == of or not of:
            tags = {**request.tags, "dagster/partition": request.partition_key or ""}
            instance.add_run(dg.DagsterRun("refresh_job", make_new_run_id(), tags=tags,
                                           status=status))  # fmt: skip


def cursor_of(result: dg.SensorResult | dg.SkipReason, before: str | None) -> str | None:
    return before if isinstance(result, dg.SkipReason) else result.cursor


@pytest.mark.parametrize("ended", ["FAILURE", "CANCELED", None])
def test_a_state_is_asked_for_until_its_run_succeeded(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, ended: str | None
) -> None:
    now = 1e9
    monkeypatch.setattr(sensors.time, "time", lambda: now)
    result = tick(home, instance, None)
    cursor, keys = cursor_of(result, None), set[str | None]()
    end_runs(result, instance, dg.DagsterRunStatus.SUCCESS, of="a")
    waits = [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]  # minutes
    for minutes in waits:
        if ended is not None:
            end_runs(result, instance, dg.DagsterRunStatus[ended], of="b-b")
        assert requested(tick(home, instance, cursor)) == []
        now += minutes * 60 - 1
        assert requested(tick(home, instance, cursor)) == []
        now += 1
        result = tick(home, instance, cursor)
        assert requested(result) == ["b-b.0"]
        assert isinstance(result, dg.SensorResult)
        keys |= {request.run_key for request in result.run_requests or []}
        cursor = result.cursor
    assert len(keys) == len(waits)
    end_runs(result, instance, dg.DagsterRunStatus.SUCCESS)
    now += 360 * 60
    assert requested(tick(home, instance, cursor)) == []
    (home / "b" / "new.md").write_text("new")
    assert requested(tick(home, instance, cursor)) == ["b-b.0"]


def test_a_run_under_way_is_waited_for(home: Path, instance: dg.DagsterInstance) -> None:
    first = tick(home, instance, None)
    end_runs(first, instance, dg.DagsterRunStatus.FAILURE)
    end_runs(first, instance, dg.DagsterRunStatus.STARTED)  # the daemon began it again
    asked = json.loads(cursor_of(first, None) or "")["a"]["n"]
    assert sensors.ended_runs(instance, f"a/{asked}", 1.0) == (None, False)
    assert requested(tick(home, instance, cursor_of(first, None))) == []


def test_what_is_declared_wrongly_is_told_and_stops_nobody(
    home: Path, instance: dg.DagsterInstance
) -> None:
    (home / "sources.yaml").write_text(DECLARED + "  - {name: c, kind: folder}\n")
    assert requested(tick(home, instance, None)) == ["a.0:a.1", "b-b.0"]
    (home / "sources.yaml").write_text("sources: [")
    store = LakeStore(str(home / "lake"))
    added = add_folder(store, home / "a")
    result = tick(home, instance, None)
    assert requested(result) == added.partitions
    assert isinstance(result, dg.SensorResult)
    end_runs(result, instance, dg.DagsterRunStatus.SUCCESS)
    skipped = tick(home, instance, result.cursor)
    assert isinstance(skipped, dg.SkipReason)
    assert "is not YAML" in str(skipped.skip_message)


def test_the_code_location_loads_whatever_is_declared(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(home))
    (home / "sources.yaml").write_text("sources: [")
    assert defs().get_repository_def().has_job("refresh_job")
    like = [Source(name, "folder", "/x", cron="@daily") for name in ("a-b", "a_b", "job")]
    made = build_defs(sources=like).get_repository_def()
    assert len(made.schedule_defs) == len(like) + 1


def test_without_engines_nothing_is_started(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "running_engines", lambda state: {})
    skipped = tick(home, instance, None)
    assert isinstance(skipped, dg.SkipReason)
    assert "rag up" in str(skipped.skip_message)


def test_an_embedder_behind_an_endpoint_is_no_reason_to_wait_for_engines(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "running_engines", lambda state: {})
    monkeypatch.setenv("RAG_PROFILE", "remote")
    asked: list[str] = []

    def problem_of(endpoint: Endpoint) -> str:
        asked.append(endpoint.role)
        return "nobody is there" if len(asked) == 1 else ""

    monkeypatch.setattr(roles, "problem_of", problem_of)
    skipped = tick(home, instance, None)
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "nobody is there"
    assert isinstance(tick(home, instance, None), dg.SensorResult)
    assert asked == ["embedder", "embedder"]  # alone


def night_of(home: Path) -> list[dg.RunRequest]:
    """What the schedule of the source with a cron asks for."""
    (home / "dagster").mkdir(exist_ok=True)
    (schedule,) = refresh_schedules(declared(home / "sources.yaml").values())
    assert (schedule.name, schedule.cron_schedule) == ("refresh_a", "0 3 * * *")
    with (
        dg.DagsterInstance.local_temp(str(home / "dagster")) as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=NIGHT,
            repository_def=defs().get_repository_def(),
            resources={"store": LakeResource(uri=str(home / "lake"))},
        ) as context,
    ):
        return list(schedule.evaluate_tick(context).run_requests or [])


def test_schedule_of_a_source_with_a_cron(home: Path) -> None:
    requests = night_of(home)
    assert [asked_for(request) for request in requests] == ["a.0:a.1"]
    assert requests[0].tags["source"] == "a"


def test_another_number_of_buckets_is_asked_for_by_nobody(
    home: Path, instance: dg.DagsterInstance
) -> None:
    for n in range(4):
        (home / "a" / f"{n}.md").write_text("text")
    store = LakeStore(str(home / "lake"))
    known = declared(home / "sources.yaml")
    for partition in known["a"].partitions:
        ingest(store, known["a"], partition, run_id="r")
    (home / "sources.yaml").write_text(DECLARED.replace("buckets: 2", "buckets: 4"))
    ticked = tick(home, instance, None)
    assert isinstance(ticked, dg.SensorResult)
    assert requested(ticked) == ["b-b.0"]
    assert instance.get_dynamic_partitions("corpus") == ["b-b.0"]
    with pytest.raises(Exception, match="refresh_a") as refused:
        night_of(home)
    assert isinstance(refused.value.__cause__, BucketsError)


def test_4096_partitions_are_64_requests(home: Path, instance: dg.DagsterInstance) -> None:
    (home / "sources.yaml").write_text(DECLARED.replace("buckets: 2", "buckets: 4096"))
    first = tick(home, instance, None)
    assert isinstance(first, dg.SensorResult)
    asked = requested(first)
    assert asked[:2] == ["a.0:a.63", "a.64:a.127"]
    assert asked[-2:] == ["a.4032:a.4095", "b-b.0"]
    assert len(asked) == len({request.run_key for request in first.run_requests or []}) == 65
