"""``ask_job``: answers in the run and in the lake; a bad question fails the run at its end."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from rag_assets.answers.answer import Answer
from rag_assets.lake.generations import live
from rag_assets.lake.leases import leased
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients import roles
from rag_assets.orchestration import jobs
from rag_assets.orchestration.jobs import ask_job
from rag_assets.orchestration.resources import LakeResource
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.answers.world import FERRIES, publish_docs


class Models:
    """Stands for ModelsResource: the three clients by role."""

    slm = ScriptedChat("slm", copies)
    llm = ScriptedChat("llm", copies)
    embedder = WordEmbedder()
    models = roles.Models("cpu", slm=slm, llm=llm, embedder=embedder)


def run(store: LakeStore, questions: list[str]) -> dg.ExecuteInProcessResult:
    config: dict[str, Any] = {"ops": {"ask": {"config": {"questions": questions}}}}
    resources = {
        "store": LakeResource(uri=store.uri),
        "models": dg.ResourceDefinition.hardcoded_resource(Models()),
    }
    return ask_job.execute_in_process(run_config=config, resources=resources, raise_on_error=False)


def test_answers_are_in_the_run_and_in_the_lake(store: LakeStore) -> None:
    publish_docs(store, FERRIES, WordEmbedder())
    result = run(store, ["When was MV Tern built?", "What does a bicycle cost?"])
    assert result.success
    (event,) = [e for e in result.all_events if e.event_type_value == "STEP_OUTPUT"]
    metadata = event.step_output_data.metadata
    assert "2003" in metadata["answers"].value
    assert "fleet:tern.html" in metadata["answer_001"].value
    assert "4.50 euro" in metadata["answer_002"].value
    assert metadata["n_failed"].value == 0
    rows = store.rows("answers", columns=["answer_id", "run_id"])
    assert len({row["answer_id"] for row in rows}) == len(rows)
    assert {row["run_id"] for row in rows} == {result.run_id}


def test_the_generation_is_leased_while_it_is_asked(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_docs(store, FERRIES, WordEmbedder())
    held: list[set[str]] = []
    keep = jobs.record_answer

    def record(store: LakeStore, answer: Answer, run_id: str) -> None:
        held.append(set(leased(store, datetime.now(UTC))))
        keep(store, answer, run_id)

    monkeypatch.setattr(jobs, "record_answer", record)
    assert run(store, ["When was MV Tern built?"]).success
    pointer = live(store)
    assert pointer is not None
    assert held == [{pointer.generation_id}]
    assert not leased(store, datetime.now(UTC))


def test_a_bad_question_fails_the_run_after_the_others_are_answered(store: LakeStore) -> None:
    publish_docs(store, FERRIES, WordEmbedder())
    result = run(store, ["When was MV Tern built?", " ", "What does a bicycle cost?"])
    assert not result.success
    (event,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    assert "1 of 3 questions could not be answered. question 2: the question is empty" in (
        failure.description or ""
    )
    assert "Failed: the question is empty" in failure.metadata["answer_002"].value
    assert "4.50 euro" in failure.metadata["answer_003"].value
    assert len(store.rows("answers")) == 2


def test_without_a_generation_the_run_says_what_to_do(store: LakeStore) -> None:
    result = run(store, ["When was MV Tern built?"])
    (event,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    assert "run `rag refresh`" in (failure.description or "")


@pytest.mark.parametrize("config", [{}, {"questions": "one"}])
def test_config_is_checked(store: LakeStore, config: dict[str, Any]) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        ask_job.execute_in_process(
            run_config={"ops": {"ask": {"config": config}}},
            resources={
                "store": LakeResource(uri=store.uri),
                "models": dg.ResourceDefinition.hardcoded_resource(Models()),
            },
        )
