"""The whole line on real parts: files, Dagster runs, LanceDB, three vLLM engines, HTTP, CLI."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance

from rag_assets.lake import generations
from rag_assets.lake.store import LakeStore
from rag_assets.orchestration.in_process import JobRun, run_refresh_job
from rag_assets.orchestration.instance import open_instance
from rag_assets.orchestration.refreshing import plan_of
from rag_assets.serving.client import AnswererClient
from rag_assets.settings import load_settings
from rag_assets_tests.conftest import Engines
from rag_assets_tests.orchestration.graph import sources_of
from rag_assets_tests.test_docs import blocks

pytestmark = pytest.mark.engines

SAMPLE = Path(__file__).parent.parent / "data" / "sample" / "corpus"
FILES = [
    "vessels/alder.html", "vessels/rowan.html", "vessels/tern.html", "passengers/fares-2024.html",
    "handbook/weather-and-tide-procedures.md", "archive/weather-and-tide-procedures-rev3.md",
    "notices/2024-02-lissmar-linkspan.txt", "archive/copy-of-lissmar-linkspan-notice.txt",
    "notices/2024-12-draft.txt", "archive/timetable-1998-scan.pdf", "archive/fares-2003.txt",
]  # fmt: skip
# Of a sentence that no other document resembles: which of two the small model picks is measured by
# `rag evaluate`, not asserted here.
LOOKUP = EDITED = "How many seats does the Half Deck cafe on MV Alder have?"
STAGES = ["source_files", "documents", "rejected_documents", "sections", "chunks", "embeddings",
          "enrichments"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """An installation of its own: a corpus, a lake, a Dagster instance, an answerer."""

    home: Path
    corpus: Path
    store: LakeStore
    client: AnswererClient

    def refresh(self, instance: DagsterInstance) -> JobRun:
        (run,) = run_refresh_job(instance, ["docs.0"], print)
        assert run.succeeded, run.errors
        return run

    def versions(self) -> dict[str, int]:
        """Lance version of every table: it moves exactly when something is written."""
        found = {stage: self.store.table(stage, "docs.0") for stage in STAGES}
        found["chunk_index"] = self.store.table("chunk_index")
        return {name: 0 if table is None else table.version for name, table in found.items()}

    def uris(self, stage: str) -> set[str]:
        return {row["uri"] for row in self.store.rows(stage, "docs.0", columns=["uri"])}

    def rag(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rag_assets", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)


@pytest.fixture(scope="module")
def world(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    corpus = home / "docs"
    for name in FILES:
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLE / name, corpus / name)
    (home / "sources.yaml").write_text(
        "sources:\n  - name: docs\n    kind: folder\n    where: docs\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_HOME", str(home))
        patch.setenv("RAG_STATE", str(engines.state_dir))
        patch.setenv("RAG_ANSWERER_PORT", "18470")
        patch.setenv("DAGSTER_HOME", "")
        patch.delenv("RAG_LAKE", raising=False)
        patch.delenv("RAG_POSTGRES_URL", raising=False)
        settings = load_settings()
        yield World(
            home, corpus, LakeStore(settings.lake_uri), AnswererClient(settings.answerer_url)
        )


@pytest.fixture(scope="module")
def instance(world: World) -> Iterator[DagsterInstance]:
    with open_instance() as opened:
        yield opened


@pytest.fixture(scope="module")
def refreshed(world: World, instance: DagsterInstance) -> JobRun:
    return world.refresh(instance)


@pytest.fixture(scope="module")
def answerer(world: World, refreshed: JobRun) -> Iterator[AnswererClient]:
    log = (world.home / "answerer.log").open("wb")
    process = subprocess.Popen([sys.executable, "-m", "rag_assets.serving"], stdout=log, stderr=log)
    deadline = time.monotonic() + 600
    while not world.client.is_up():
        assert process.poll() is None, (world.home / "answerer.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield world.client
    process.terminate()
    assert process.wait(60) == 0
    log.close()


def test_first_refresh_accounts_for_every_file(world: World, refreshed: JobRun) -> None:
    assert world.uris("source_files") == {f"docs:{name}" for name in FILES}
    rejected = {
        row["uri"]: row["reason"] for row in world.store.rows("rejected_documents", "docs.0")
    }
    assert rejected == {
        "docs:notices/2024-12-draft.txt": "empty",
        "docs:archive/timetable-1998-scan.pdf": "corrupt",
    }
    assert world.uris("documents") == {f"docs:{name}" for name in FILES} - set(rejected)
    collapsed = {row["uri"]: row["kind"] for row in world.store.rows("duplicates")}
    assert collapsed == {"docs:archive/copy-of-lissmar-linkspan-notice.txt": "exact"}
    newer = {
        row["uri"]: row["related_uri"]
        for row in world.store.rows("related_documents")
        if row["kind"] == "version"
    }
    assert newer == {
        "docs:archive/weather-and-tide-procedures-rev3.md": (
            "docs:handbook/weather-and-tide-procedures.md"
        )
    }


def test_the_run_is_in_dagster_with_its_metadata(
    refreshed: JobRun, instance: DagsterInstance
) -> None:
    run = instance.get_run_by_id(refreshed.run_id)
    assert run is not None
    assert run.is_success
    assert run.job_name == "refresh_job"
    import dagster as dg

    event = instance.get_latest_materialization_event(dg.AssetKey("chunks"))
    assert event is not None
    assert event.asset_materialization is not None
    assert {"dagster/row_count", "new", "tokens_per_chunk"} <= set(
        event.asset_materialization.metadata
    )


def test_a_second_run_writes_nothing_and_says_so(
    world: World, refreshed: JobRun, instance: DagsterInstance
) -> None:
    before, live = world.versions(), generations.live(world.store)
    assert plan_of(load_settings(), sources_of("docs")).plan.is_empty
    run = world.refresh(instance)
    assert world.versions() == before
    assert generations.live(world.store) == live
    for stage in STAGES:
        assert "nothing changed" in run.summaries[stage], stage
    assert "Nothing changed" in run.summaries["live_index"]


def test_lookup_is_answered_with_a_true_citation(world: World, answerer: AnswererClient) -> None:
    record = answerer.ask(LOOKUP)
    assert not record["abstained"]
    assert "58" in record["answer"]
    assert set(record["usage"]) <= {"slm", "llm"}
    citation = record["citations"][0]
    (document,) = [
        row
        for row in world.store.rows("documents", "docs.0")
        if row["document_id"] == citation["document_id"]
    ]
    assert document["text"][citation["char_start"] : citation["char_end"]] == citation["quote"]


def test_contract_of_the_answer(answerer: AnswererClient) -> None:
    record = answerer.ask("Which shipyard built MV Alder?")
    assert {"answer_id", "question", "answer", "abstained", "mode", "route", "citations", "usage",
            "finish_reason", "repairs", "generation", "timings_ms"} <= set(record)  # fmt: skip
    assert {"model", "way", "reason", "escalated"} <= set(record["route"])
    assert set(record["timings_ms"]) == {"embed", "retrieve", "route", "generate", "total"}
    for citation in record["citations"]:
        assert {"n", "chunk_id", "document_id", "uri", "title", "heading_path", "page",
                "char_start", "char_end", "quote"} <= set(citation)  # fmt: skip


def test_a_question_far_from_the_documents_is_not_answered(answerer: AnswererClient) -> None:
    record = answerer.ask("What is the boiling point of tungsten hexafluoride?")
    assert record["abstained"]
    assert record["citations"] == []


def test_deep_mode_asks_both_models(answerer: AnswererClient) -> None:
    record = answerer.ask("Compare MV Alder and MV Rowan: cars and builder.", mode="deep")
    assert record["route"]["way"] == "deep"
    assert set(record["usage"]) == {"slm", "llm"}


def test_ask_and_trace_on_the_command_line(world: World, answerer: AnswererClient) -> None:
    asked = world.rag("ask", "--json", LOOKUP)
    assert asked.returncode == 0, asked.stderr
    record = json.loads(asked.stdout)
    traced = world.rag("trace", record["answer_id"])
    assert traced.returncode == 0, traced.stderr
    (source,) = world.store.rows("source_files", "docs.0", where="uri = 'docs:vessels/alder.html'")
    for link in (record["citations"][0]["chunk_id"], source["raw_hash"], source["run_id"]):
        assert link in traced.stdout


@pytest.mark.parametrize("snippet", blocks("docs/asking.md", "python")[1:])
def test_python_snippets_that_ask_the_answerer_run(answerer: AnswererClient, snippet: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", snippet], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "58" in done.stdout


def test_a_question_of_20_000_words_is_refused(world: World, answerer: AnswererClient) -> None:
    asked = world.rag("ask", "why " * 20_000)
    assert asked.returncode == 2
    assert "Traceback" not in asked.stderr
    assert "long" in asked.stderr or "tokens" in asked.stderr


def test_ask_job_shows_answers_in_the_run(
    world: World, refreshed: JobRun, instance: DagsterInstance
) -> None:
    from rag_assets.definitions import defs

    job = defs().get_repository_def().get_job("ask_job")
    questions = [LOOKUP, "Who wrote Hamlet's third sequel?"]
    result = job.execute_in_process(
        run_config={"ops": {"ask": {"config": {"questions": questions}}}}, instance=instance
    )
    (output,) = [e for e in result.all_node_events if e.event_type_value == "STEP_OUTPUT"]
    metadata: dict[str, Any] = dict(output.step_output_data.metadata)
    assert "58" in metadata["answer_001"].value
    assert "docs:vessels/alder.html" in metadata["answer_001"].value
    kept = world.store.rows("answers", where=f"run_id = '{result.run_id}'")
    assert sorted(row["question"] for row in kept) == sorted(questions)  # asked at the same time


def test_add_edit_delete_change_what_they_must_and_hot_load_fails_no_request(
    world: World, instance: DagsterInstance, answerer: AnswererClient
) -> None:
    before = {
        row["chunk_id"]: (row["uri"], row["row_hash"])
        for row in world.store.rows("chunk_index", columns=["chunk_id", "uri", "row_hash"])
    }
    alder = world.corpus / "vessels" / "alder.html"
    alder.write_text(alder.read_text().replace("has 58 seats", "has 73 seats"))
    (world.corpus / "vessels" / "tern.html").unlink()
    (world.corpus / "new.md").write_text(
        "# Lamp oil\n\nThe lighthouse on Utgrund burns 3.5 litres of lamp oil in a night.\n"
    )
    assert plan_of(load_settings(), sources_of("docs")).plan.needs_engines
    failures: list[str] = []
    served: set[str] = set()
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                record = answerer.ask("Which shipyard built MV Rowan?", mode="fact")
                served.add(record["generation"]["id"])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failed request
                failures.append(str(error))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        run = world.refresh(instance)
        reloaded = answerer.reload()
        while len(served) < 2 and not failures:
            time.sleep(0.2)
    finally:
        stop.set()
        asking.join()
    assert failures == []
    assert reloaded["swapped"]
    assert served == {reloaded["previous_id"], reloaded["generation_id"]}
    assert "1 new, 1 changed, 1 gone" in run.summaries["source_files"]

    after = {
        row["chunk_id"]: (row["uri"], row["row_hash"])
        for row in world.store.rows("chunk_index", columns=["chunk_id", "uri", "row_hash"])
    }
    touched = {
        (after.get(key) or before[key])[0]
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    }
    assert touched == {"docs:vessels/alder.html", "docs:vessels/tern.html", "docs:new.md"}
    assert "73" in answerer.ask(EDITED)["answer"]
    oil = answerer.ask("How much lamp oil does the lighthouse on Utgrund burn in a night?")
    assert "3.5" in oil["answer"]
    gone = answerer.ask("Which company built HSC Tern?")
    assert all("tern.html" not in citation["uri"] for citation in gone["citations"])


def test_rollback_brings_the_old_answer_back_and_a_refresh_does_not_undo_it(
    world: World, instance: DagsterInstance, answerer: AnswererClient
) -> None:
    newest = generations.generation_ids(world.store)[-1]
    rolled = world.rag("rollback")
    assert rolled.returncode == 0, rolled.stderr
    assert "hot-loaded" in rolled.stdout
    assert "58" in answerer.ask(EDITED)["answer"]
    world.refresh(instance)
    pointer = generations.live(world.store)
    assert pointer is not None
    assert pointer.generation_id != newest
    assert world.rag("rollback", newest).returncode == 0
    assert "73" in answerer.ask(EDITED)["answer"]


@pytest.mark.postgres
def test_the_same_refresh_with_dagster_on_postgres(
    world: World, refreshed: JobRun, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_POSTGRES_URL", postgres_url)
    with open_instance() as on_postgres:
        run = world.refresh(on_postgres)
        recorded = on_postgres.get_run_by_id(run.run_id)
        assert recorded is not None
        assert recorded.is_success
        assert on_postgres.get_dynamic_partitions("corpus") == ["docs.0"]


def test_a_folder_can_be_ingested_ad_hoc(world: World, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("The password of the tool shed is heron 88.")
    done = world.rag("refresh", "--path", str(tmp_path / "notes"))
    assert done.returncode == 0, done.stderr + done.stdout
    uris = {row["uri"].split(":", 1)[1] for row in world.store.rows("chunk_index")}
    assert {"a.txt", "vessels/alder.html"} <= uris


def test_a_refresh_killed_in_the_middle_is_completed_by_the_next(
    world: World, instance: DagsterInstance, tmp_path: Path
) -> None:
    """Dagster's concurrency pools kept a killed run's slot, and the next run waited for ever."""
    folder = tmp_path / "killed"
    folder.mkdir()
    for n, name in enumerate(["juniper.html", "alder.html", "rowan.html"]):
        text = (SAMPLE / "vessels" / name).read_text()
        (folder / name).write_text(text.replace("MV ", f"MV New{n} "))
    command = [sys.executable, "-u", "-m", "rag_assets", "refresh", "--path", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "enrichments ..." in line:
                process.kill()
    assert process.returncode == -9
    done = world.rag("refresh", "--path", str(folder))
    assert done.returncode == 0, done.stderr + done.stdout
    found = world.store.rows("chunk_index", columns=["uri"])
    assert sum("juniper" in row["uri"] for row in found) > 0
    killed = [run for run in instance.get_runs(limit=5) if "process" in str(run.tags)]
    assert {str(run.status.value) for run in killed} == {"SUCCESS", "FAILURE"}


def test_a_missing_source_fails_the_run_and_deletes_nothing(
    world: World, instance: DagsterInstance, refreshed: JobRun
) -> None:
    before, pointer = world.versions(), generations.live(world.store)
    os.rename(world.corpus, world.home / "elsewhere")
    try:
        (run,) = run_refresh_job(instance, ["docs.0"], print)
    finally:
        os.rename(world.home / "elsewhere", world.corpus)
    assert not run.succeeded
    assert "nothing was deleted" in run.errors[0]
    assert world.versions() == before
    assert generations.live(world.store) == pointer
