"""What Dagster's UI shows of an upkeep."""

from pathlib import Path

import dagster as dg

from rag_assets.orchestration.jobs import upkeep_job_of
from rag_assets.orchestration.resources import LakeResource, SourcesResource
from rag_assets.orchestration.schedules import upkeep_daily
from rag_assets.pipeline.stages import STAGES
from rag_assets_tests.lake.test_upkeep import publish


def test_the_job_says_what_it_did(tmp_path: Path) -> None:
    resource = LakeResource(uri=str(tmp_path / "lake"))
    publish(resource.client, "a")
    sources = SourcesResource(file=str(tmp_path / "sources.yaml"))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("corpus", ["removed.0"])
        done = upkeep_job_of(STAGES).execute_in_process(
            resources={"store": resource, "sources": sources}, instance=instance
        )
        assert instance.get_dynamic_partitions("corpus") == []
    (event,) = [e for e in done.events_for_node("upkeep") if e.is_successful_output]
    shown = event.step_output_data.metadata
    assert shown["tables_looked_at"].value == 1
    assert "candidate, live" in str(shown["generations_kept"].value)


def test_the_schedule_starts_it() -> None:
    assert upkeep_daily.job_name == upkeep_job_of(STAGES).name
