"""``ask_job``: answers in the run and in the lake; a bad question fails the run at its end."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rag_assets.answers.answer import Answer
from rag_assets.batches.questions import BatchFileError
from rag_assets.lake.generations import live
from rag_assets.lake.leases import leased
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients import roles
from rag_assets.models.protocols import BATCH_PRIORITY
from rag_assets.orchestration import jobs
from rag_assets.orchestration.jobs import ask_job
from rag_assets.orchestration.resources import LakeResource
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.answers.world import FERRIES, publish_docs

BUILT = "When was MV Tern built?"


class Models:
    """Stands for ModelsResource: the three clients by role."""

    slm = ScriptedChat("slm", copies)
    llm = ScriptedChat("llm", copies)
    embedder = WordEmbedder()
    models = roles.Models("cpu", slm=slm, llm=llm, embedder=embedder)


def run(
    store: LakeStore, questions: Sequence[str] = (), **more: object
) -> dg.ExecuteInProcessResult:
    asked = {"questions": list(questions), **more}
    config: dict[str, Any] = {"ops": {"ask": {"config": asked}}}
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


def said(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    return failure.description or ""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    (tmp_path / "q.csv").write_text(f"question,id\n{BUILT},7\n,8\n{BUILT},9\n")
    return tmp_path


def test_a_file_of_questions_becomes_one_of_answers(store: LakeStore, home: Path) -> None:
    publish_docs(store, FERRIES, WordEmbedder())
    result = run(store, file="q.csv", out="a.jsonl")
    assert "1 of 3 questions could not be answered. question 2: the question is" in said(result)
    made = [json.loads(line) for line in (home / "a.jsonl").read_text().splitlines()]
    assert [row["id"] for row in made] == ["7", "8", "9"]
    assert [(row["error"] or "")[:12] for row in made] == ["", "the question", ""]
    assert "2003" in made[2]["answer"]
    assert "a.jsonl is there already" in said(run(store, file="q.csv", out="a.jsonl"))


def test_a_run_that_is_begun_again_asks_what_is_left(
    store: LakeStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_docs(store, FERRIES, WordEmbedder())
    monkeypatch.setattr(jobs, "MAX_SHOWN", 0)
    monkeypatch.setattr("rag_assets.batches.asking.write_answers", broken)
    assert "the disk is full" in said(run(store, file="q.csv", out="a.jsonl"))
    assert len(store.rows("answers")) == 2
    monkeypatch.undo()
    monkeypatch.setenv("RAG_HOME", str(home))
    run(store, file="q.csv", out="a.jsonl")
    assert len(store.rows("answers")) == 2
    assert len((home / "a.jsonl").read_text().splitlines()) == 3


def broken(*_: object) -> None:
    raise BatchFileError("the disk is full")


def test_the_engines_are_asked_after_people(store: LakeStore) -> None:
    publish_docs(store, FERRIES, WordEmbedder())
    Models.llm.calls.clear()
    assert run(store, [BUILT]).success
    assert {call.priority for call in Models.llm.calls} == {BATCH_PRIORITY}


@pytest.mark.parametrize("config", [{}, {"questions": ["Who?"], "file": "q.csv"}])
def test_questions_are_given_once(store: LakeStore, config: dict[str, Any]) -> None:
    assert "expected either questions or file" in said(run(store, **config))


def test_filters_say_which_documents_are_read(store: LakeStore, home: Path) -> None:
    publish_docs(store, FERRIES, WordEmbedder())
    (home / "one.csv").write_text(f"question\n{BUILT}\n")

    def cited(out: str, **filters: object) -> list[str]:
        assert run(store, file="one.csv", out=out, **filters).success
        return list(json.loads((home / out).read_text())["citations"])

    assert cited("there.jsonl", where=["uri = fleet:tern.html"]) == ["fleet:tern.html"]
    assert cited("fleet.jsonl", source=["fleet"]) == ["fleet:tern.html"]
    assert cited("elsewhere.jsonl", source=["elsewhere"]) == []
    assert cited("later.jsonl", since="2999") == []


@pytest.mark.parametrize(
    ("filters", "said_of_it"),
    [
        ({"where": ["colour = red"]}, "there is no column 'colour'"),
        ({"since": "soon"}, "expected a day such as 2024"),
        ({"source": ["No Source"]}, "expected the name of a source"),
    ],
)
def test_a_wrong_filter_fails_the_run_before_anything_is_asked(
    store: LakeStore, filters: dict[str, Any], said_of_it: str
) -> None:
    publish_docs(store, FERRIES, WordEmbedder())
    Models.llm.calls.clear()
    assert said_of_it in said(run(store, [BUILT], **filters))
    assert not Models.llm.calls


@pytest.mark.parametrize("config", [{"questions": "one"}, {"file": 5}, {"since": ["2024"]}])
def test_config_is_checked(store: LakeStore, config: dict[str, Any]) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        ask_job.execute_in_process(
            run_config={"ops": {"ask": {"config": config}}},
            resources={
                "store": LakeResource(uri=store.uri),
                "models": dg.ResourceDefinition.hardcoded_resource(Models()),
            },
        )
