"""The definitions graph against its golden snapshot: a phantom asset or a lost check shows here.

After a change that is meant, write it anew: ``RAG_GOLDEN=write pytest -k definitions``.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rag_assets.definitions import build_defs, defs
from rag_assets.orchestration.assets import assets_of
from rag_assets.orchestration.resources import LakeResource
from rag_assets.pipeline.stage import StageError
from rag_assets.pipeline.stages import CHUNKS, SOURCE_FILES, STAGES
from rag_assets.sources.declaration import SourceError

GOLDEN = Path(__file__).parent / "golden" / "definitions.json"


def snapshot() -> dict[str, Any]:
    repository = defs().get_repository_def()
    graph = repository.asset_graph
    assets = {
        key.to_user_string(): {
            "group": graph.get(key).group_name,
            "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            "partitioned": graph.get(key).partitions_def is not None,
            "kinds": sorted(graph.get(key).kinds),
            "materializable": graph.get(key).is_materializable,
            "described": bool(graph.get(key).description),
        }
        for key in graph.get_all_asset_keys()
    }
    checks = sorted(
        f"{key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys
    )
    return {
        "assets": assets,
        "checks": checks,
        "jobs": sorted(name for name in repository.job_names if not name.startswith("__")),
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
        "schedules": sorted(schedule.name for schedule in repository.schedule_defs),
    }


def test_graph_is_as_recorded() -> None:
    found = snapshot()
    if os.environ.get("RAG_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(GOLDEN.read_text())


def test_every_asset_is_ours_and_described() -> None:
    for name, asset in snapshot()["assets"].items():
        assert asset["materializable"], f"{name} is a phantom: some dependency is misspelled"
        assert asset["described"], name


def test_contract_of_names() -> None:
    found = snapshot()
    assert {"refresh_job", "ask_job", "answerer_job", "hot_load_job"} <= set(found["jobs"])
    assert found["sensors"] == ["serving_sensor", "source_changed_sensor"]
    assert found["schedules"] == ["refresh_sample", "upkeep_daily"]


def test_refresh_job_holds_all_seven_stages() -> None:
    job = defs().get_repository_def().get_job("refresh_job")
    names = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assets = snapshot()["assets"]
    assert names == {name for name in assets if assets[name]["group"] != "evaluations"}


def test_assets_are_those_of_the_list() -> None:
    assets = snapshot()["assets"]
    partitioned = {name for name, asset in assets.items() if asset["partitioned"]}
    assert {table.name for stage in STAGES for table in stage.tables} == partitioned
    whole = {name for name, asset in assets.items() if not asset["partitioned"]}
    corpus = {stage.name for stage in STAGES if stage.scope == "corpus"}
    assert corpus == whole - {"golden_results"}


def test_a_stage_without_its_upstream_is_refused() -> None:
    with pytest.raises(StageError, match="chunks takes rows of sections, which is not among"):
        assets_of([SOURCE_FILES, CHUNKS])


def test_all_checks_block() -> None:
    repository = defs().get_repository_def()
    for spec in repository.asset_graph.asset_check_keys:
        assert repository.asset_graph.get_check_spec(spec).blocking, spec


def test_a_schedule_asks_for_each_partition(tmp_path: Path) -> None:
    repository = defs().get_repository_def()
    schedule = repository.get_schedule_def("refresh_sample")
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            repository_def=repository,
            resources={"store": LakeResource(uri=str(tmp_path / "lake"))},
            scheduled_execution_time=datetime(2026, 1, 1, 3, tzinfo=UTC),
        )
        ticked = schedule.evaluate_tick(context)
        assert [r.partition_key for r in ticked.run_requests or []] == ["sample.0"]
        assert instance.get_dynamic_partitions("corpus") == ["sample.0"]


@pytest.mark.parametrize("place", ["missing.yaml", ""])
def test_sources_that_are_no_file_are_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(SourceError, match=r"expected a file such as sources\.yaml, got .*which"):
        build_defs(sources=tmp_path / place)


@dg.asset(name="chunks")
def our_chunks() -> None:
    """A team's own."""


@dg.asset(name="golden_results")
def our_results() -> None:
    """A team's own."""


@pytest.mark.parametrize(
    ("assets", "sentence"),
    [
        ([our_chunks], "the stage chunks and number 1 of `assets` both make the asset chunks"),
        ([our_results], "the suite of golden_results and number 1 of `assets` both make"),
        ([dg.AssetSpec("x"), dg.AssetSpec("x")], "number 1 of `assets` and number 2 of `assets`"),
    ],
)
def test_two_assets_of_one_key_are_refused(assets: list[Any], sentence: str) -> None:
    with pytest.raises(StageError, match=sentence):
        build_defs(assets=assets)
