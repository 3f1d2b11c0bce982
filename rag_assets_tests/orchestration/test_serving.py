"""``hot_load_job``, ``answerer_job`` and ``serving_sensor`` against a real answerer process."""

from pathlib import Path

import dagster as dg
import pytest

from rag_assets.lake.generations import rollback
from rag_assets.lake.store import LakeStore
from rag_assets.orchestration.jobs import answerer_job, hot_load_job
from rag_assets.orchestration.resources import LakeResource
from rag_assets.orchestration.sensors import serving_sensor
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import FERRIES, publish_docs
from rag_assets_tests.serving.test_process import answerer, free_port


def tick(store: LakeStore, cursor: str | None = None) -> dg.SensorResult:
    context = dg.build_sensor_context(
        cursor=cursor, resources={"store": LakeResource(uri=store.uri)}
    )
    result = serving_sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    return failure.description or ""


def test_a_new_generation_is_seen_loaded_and_not_seen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answerer(tmp_path) as (_, client):
        monkeypatch.setenv("RAG_ANSWERER_PORT", client.url.rsplit(":", 1)[1])
        store = LakeStore(str(tmp_path / "lake"))
        first = tick(store)
        assert "serves g000001" in str(first.skip_reason)
        assert first.cursor == "1"

        after = publish_docs(store, FERRIES[:1], WordEmbedder())
        second = tick(store, first.cursor)
        (request,) = second.run_requests or []
        assert request.run_key == "hot-load-2"

        result = hot_load_job.execute_in_process()
        (event,) = [e for e in result.all_events if e.event_type_value == "STEP_OUTPUT"]
        metadata = event.step_output_data.metadata
        assert metadata["previous_generation"].value.startswith("g000001")
        assert metadata["generation"].value == after.id
        assert metadata["swapped"].value is True
        assert metadata["ms"].value > 0
        assert "was dealt with" in str(tick(store, second.cursor).skip_reason)

        rollback(store)  # A -> B -> A is a new state
        (back,) = tick(store, second.cursor).run_requests or []
        assert back.run_key == "hot-load-3"


def test_a_refused_generation_fails_the_run_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answerer(tmp_path) as (_, client):
        monkeypatch.setenv("RAG_ANSWERER_PORT", client.url.rsplit(":", 1)[1])
        publish_docs(
            LakeStore(str(tmp_path / "lake")), FERRIES[:1], WordEmbedder(model_id="fake/other")
        )
        result = hot_load_job.execute_in_process(raise_on_error=False)
        assert "embedded with fake/other" in failure_of(result)
        assert "stays in service" in failure_of(result)
        assert "2003" in client.ask("When was MV Tern built?")["answer"]


def test_without_an_answerer(store: LakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_ANSWERER_PORT", str(free_port()))
    assert "No generation is live yet" in str(tick(store).skip_reason)
    publish_docs(store, FERRIES, WordEmbedder())
    skipped = tick(store)
    assert "waits: the answerer does not run" in str(skipped.skip_reason)
    assert skipped.cursor is None
    result = hot_load_job.execute_in_process(raise_on_error=False)
    assert "start it with `rag up`" in failure_of(result)


def test_answerer_job_fails_with_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No engine runs in this home: the process says so and the run fails."""
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("RAG_ANSWERER_PORT", str(free_port()))
    result = answerer_job.execute_in_process(raise_on_error=False)
    assert "exit code 1" in failure_of(result)
