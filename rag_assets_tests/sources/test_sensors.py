from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from rag_assets.definitions import defs
from rag_assets.lake.resource import LakeResource
from rag_assets.sources import sensors
from rag_assets.sources.catalog import declared
from rag_assets.sources.resource import SourcesResource, corpus_partitions
from rag_assets.sources.schedules import refresh_schedules
from rag_assets.sources.sensors import source_changed_sensor

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


@pytest.fixture(autouse=True)
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "running_engines", lambda state: {"embedder": None})


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
    return [request.partition_key for request in result.run_requests or []]


def test_each_changed_source_is_refreshed_once(home: Path, instance: dg.DagsterInstance) -> None:
    first = tick(home, instance, None)
    assert requested(first) == ["a.0", "a.1", "b-b.0"]
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


def test_without_engines_nothing_is_started(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "running_engines", lambda state: {})
    skipped = tick(home, instance, None)
    assert isinstance(skipped, dg.SkipReason)
    assert "rag up" in str(skipped.skip_message)


def test_schedule_of_a_source_with_a_cron(home: Path) -> None:
    (home / "dagster").mkdir()
    (schedule,) = refresh_schedules(declared(home / "sources.yaml").values())
    assert (schedule.name, schedule.cron_schedule) == ("refresh_a", "0 3 * * *")
    with (
        dg.DagsterInstance.local_temp(str(home / "dagster")) as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=NIGHT,
            repository_def=defs().get_repository_def(),
        ) as context,
    ):
        data = schedule.evaluate_tick(context)
    requests = data.run_requests or []
    assert [request.partition_key for request in requests] == ["a.0", "a.1"]
    assert len({request.run_key for request in requests}) == 2
