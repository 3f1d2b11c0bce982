"""``rag plan refresh``, and what ``rag refresh`` leaves for it; real Dagster, faked models."""

import json
import os
import re
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from rag_assets.cli.main import app
from rag_assets.errors import CommandError
from rag_assets.lake import generations
from rag_assets.orchestration import following
from rag_assets.orchestration import in_process as running
from rag_assets.orchestration import refreshing as operations
from rag_assets.orchestration.assets import assets_of, checks_of
from rag_assets.orchestration.job_run import JobRun
from rag_assets.pipeline import run, stages
from rag_assets.pipeline.history import history
from rag_assets.settings import load_settings
from rag_assets_tests.orchestration.graph import resources_of, sources_of
from rag_assets_tests.pipeline.test_planning import given_pages
from rag_assets_tests.world import World


@pytest.fixture
def installation(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The whole line over the world's folder; engines are never started."""
    declared = tmp_path / "sources.yaml"
    entry = {"name": "docs", "kind": "folder", "where": str(world.root), "enrich": "full"}
    declared.write_text(json.dumps({"sources": [entry]}))

    def line() -> dg.Definitions:
        return dg.Definitions(
            assets_of(world.listed),
            asset_checks=checks_of(world.listed),
            jobs=[dg.define_asset_job("refresh_job", selection="*")],
            resources=resources_of(world.store, declared),
        )

    for name, value in {
        "RAG_HOME": str(tmp_path), "RAG_LAKE": world.store.uri, "DAGSTER_HOME": "",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RAG_POSTGRES_URL", raising=False)
    monkeypatch.setattr(running, "repository_of", lambda: line().get_repository_def())
    monkeypatch.setattr(operations.stack, "start_engines", lambda *_: None)
    monkeypatch.setattr(operations, "hot_load", lambda *_: None)
    monkeypatch.setattr(run, "ModelFacts", lambda *_: world.facts)
    return world


def rag(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


def test_a_refresh_is_recorded_beside_its_plan(installation: World) -> None:
    given_pages(installation)
    told: list[str] = []
    operations.refresh_and_load(load_settings(), sources_of("docs"), told.append)
    assert told[0].startswith("planned: 3 files to read")
    (first,) = history(installation.store)
    for stage in ("source_files", "documents"):
        assert first["stages"][stage]["estimated"]["new"] == 3
        assert first["stages"][stage]["actual"]["new"] == 3
    assert first["stages"]["source_files"]["estimated"]["n_bytes"] > 0
    described = first["stages"]["enrichments"]["actual"]
    assert described["calls"] >= 3  # a type each, and where the source asks a description
    assert described["tokens_in"] > described["tokens_out"] > 0
    texts = {row["embedded_hash"] for row in installation.store.rows("chunks", "docs.0")}
    assert first["stages"]["embeddings"]["actual"]["calls"] == len(texts)
    n_indexed = len(installation.store.rows("chunk_index"))
    assert first["stages"]["chunk_index"]["actual"]["changed"] == n_indexed > 0
    assert all(figures["actual"]["seconds"] > 0 for figures in first["stages"].values()
               if figures["actual"])  # fmt: skip

    assert "this installation" in rag("plan", "refresh")
    shown = rag("plan", "refresh", "--history")
    assert re.search(r"source_files +3 ", shown)  # what both say


def test_another_run_is_followed_before_engines_are_started(
    installation: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_pages(installation)
    done: list[str] = []
    monkeypatch.setattr(
        operations.stack, "start_engines", lambda *_: done.append("engines started")
    )

    def follow(*_: object) -> list[JobRun]:
        done.append("followed")
        return [JobRun("other", "docs.0")] if done == ["followed"] else []

    monkeypatch.setattr(following, "follow_others", follow)
    operations.refresh_and_load(load_settings(), sources_of("docs"), lambda _: None)
    assert done == ["followed", "followed", "engines started"]


def test_a_refresh_that_would_do_nothing_is_not_run(
    installation: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_pages(installation)
    loaded: list[object] = []
    monkeypatch.setattr(operations, "hot_load", lambda *_: loaded.append(1))

    def refreshed() -> str:
        told: list[str] = []
        operations.refresh_and_load(load_settings(), sources_of("docs"), told.append)
        return told[-1]

    def is_left_alone() -> bool:
        n_runs, said = len(history(installation.store)), refreshed()
        return len(history(installation.store)) == n_runs and said.startswith("nothing has changed")

    assert not is_left_alone()
    assert is_left_alone()
    assert len(loaded) == 2  # the answerer may not have followed yet
    store = installation.store
    built = generations.candidate(store)
    assert built is not None

    # whatever a run would find to do, it is left to a run
    installation.write("1.md", "something else")
    assert not is_left_alone()
    assert is_left_alone()
    installation.change_code("duplicates")
    monkeypatch.setattr(stages, "STAGES", installation.listed)
    assert not is_left_alone()
    assert is_left_alone()
    installation.change_code("chunk_index")
    monkeypatch.setattr(stages, "STAGES", installation.listed)
    assert not is_left_alone()
    assert is_left_alone()
    generations.rollback(store, built.id)
    assert not is_left_alone()


def test_only_partitions_with_work_are_run(installation: World, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "1.md").write_text("# Other\n\nThe mill has a cellar.")
    entries = [
        {"name": "docs", "kind": "folder", "where": str(installation.root), "buckets": 4},
        {"name": "other", "kind": "folder", "where": str(other)},
    ]
    (tmp_path / "sources.yaml").write_text(json.dumps({"sources": entries}))
    partitions = [*(f"docs.{n}" for n in range(4)), "other.0"]
    for n in range(12):
        installation.write(f"{n}.md", f"# Page {n}\n\nFerry {n} calls at pier {n}.")

    def ran() -> list[str]:
        operations.refresh_and_load(load_settings(), sources_of(), lambda _: None)
        ran: list[str] = history(installation.store)[-1]["ran"]
        return ran

    assert ran() == partitions
    (other / "1.md").write_text("# Other\n\nThe mill has two cellars.")
    assert ran() == ["other.0"]
    installation.write("1.md", "# Page 1\n\nFerry 1 calls no more.")
    (partition,) = ran()
    assert partition.startswith("docs.")
    planned = operations.plan_of(load_settings(), sources_of()).plan
    assert planned.is_empty
    assert planned.seconds == 0


def test_models_are_started_for_a_new_embedder(
    installation: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_pages(installation, 1)
    installation.stages()
    started: list[object] = []
    monkeypatch.setattr(operations.stack, "start_engines", lambda *_: started.append(1))
    installation.embedder.revision = "2"

    def stop(*_: object, **__: object) -> None:
        raise CommandError("far enough")

    monkeypatch.setattr(running, "run_refresh_job", stop)
    with pytest.raises(CommandError, match="far enough"):
        operations.refresh_and_load(load_settings(), sources_of("docs"), lambda _: None)
    assert started == [1]


def test_a_plan_for_a_person(installation: World) -> None:
    given_pages(installation)
    shown = rag("plan", "refresh")
    for words in ("source_files", "new at source 3", "~21", "engines", "2-core", "in all about",
                  "0 of 1 partitions have nothing to do"):  # fmt: skip
        assert words in shown, shown
    assert not list(Path(installation.store.uri).rglob("*.lance"))


def test_a_plan_for_a_script(installation: World) -> None:
    given_pages(installation)
    installation.stages()
    os.unlink(installation.root / "1.md")
    record = json.loads(rag("plan", "refresh", "docs", "--json"))
    totals = {one["stage"]: one for one in record["totals"]}
    assert (totals["source_files"]["gone"], totals["embeddings"]["gone"]) == (1, 4)
    assert record["partitions"][0]["partition"] == "docs.0"
    assert record["seconds"] > 0


def test_an_unknown_source_and_an_empty_history(installation: World) -> None:
    for arguments, words in [
        (["plan", "refresh", "dox"], "no source is called dox"),
        (["plan", "refresh", "--history"], "no refresh was recorded yet"),
    ]:
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, CommandError)
        assert words in str(result.exception)


def test_another_number_of_buckets_is_refused_before_anything_starts(
    installation: World, tmp_path: Path
) -> None:
    given_pages(installation)
    installation.stages()
    entry = {"name": "docs", "kind": "folder", "where": str(installation.root), "buckets": 2}
    (tmp_path / "sources.yaml").write_text(json.dumps({"sources": [entry]}))
    for arguments in (["refresh"], ["refresh", "docs"], ["plan", "refresh"]):
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, CommandError)
        assert "with `buckets: 1` and is declared with `buckets: 2` now" in str(result.exception)
    assert history(installation.store) == []


def test_a_source_that_was_taken_out_is_asked_about(
    installation: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_pages(installation)
    operations.refresh_and_load(load_settings(), sources_of("docs"), lambda _: None)
    other = tmp_path / "other"
    other.mkdir()
    (other / "1.md").write_text("# Other\n\nThe mill has a cellar.")
    entry = {"name": "other", "kind": "folder", "where": str(other)}
    (tmp_path / "sources.yaml").write_text(json.dumps({"sources": [entry]}))

    def held() -> set[str]:
        index = installation.store.rows("chunk_index", columns=["partition"])
        return {row["partition"] for row in index}

    said = rag("refresh")  # nobody is there to ask
    assert "source docs was taken out of" in said
    assert "3 files of it are stored, and nothing is answered from them" in said
    assert held() == {"docs.0", "other.0"}
    said = rag("refresh", "--yes")
    assert "source docs is taken out" in said
    assert held() == {"other.0"}
    assert "taken out" not in rag("refresh")
