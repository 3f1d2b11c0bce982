"""What stops the first stage stops it in Dagster and on the command line, and says what to do."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from rag_assets.cli import corpus
from rag_assets.cli.main import app
from rag_assets.errors import CommandError
from rag_assets.lake import generations
from rag_assets.orchestration import in_process as running
from rag_assets.orchestration import refreshing as operations
from rag_assets.orchestration.assets import HELD, assets_of
from rag_assets.orchestration.partitions import corpus_backfills, corpus_partitions
from rag_assets.pipeline import run
from rag_assets.pipeline.stages import SOURCE_FILES
from rag_assets.settings import load_settings
from rag_assets.sources import catalog
from rag_assets.sources.acceptance import offer, take
from rag_assets.sources.buckets import BucketsError
from rag_assets.sources.declaration import Source
from rag_assets_tests.orchestration.graph import resources_of, sources_of
from rag_assets_tests.sources import site as sites
from rag_assets_tests.sources.site import Site
from rag_assets_tests.sources.test_buckets import contents
from rag_assets_tests.sources.test_shrinkage import leave, refresh
from rag_assets_tests.world import TYPES, World, ingest


@pytest.fixture
def site() -> Iterator[Site]:
    with sites.running() as made:
        yield made


@pytest.fixture
def declared(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "sources.yaml"
    entry: dict[str, object] = {"name": "docs", "kind": "folder", "where": str(world.root)}
    entry |= {"enrich": "full", "document_types": TYPES}  # as the world's source says
    path.write_text(json.dumps({"sources": [entry]}))
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("RAG_LAKE", world.store.uri)
    return path


def materialise(
    world: World, declared: Path, accept_deletions: str = ""
) -> dg.ExecuteInProcessResult:
    @dg.asset(
        deps=[SOURCE_FILES.name], partitions_def=corpus_partitions, backfill_policy=corpus_backfills
    )
    def downstream() -> None:
        pass

    config = {"ops": {"source_files": {"config": {"accept_deletions": accept_deletions}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("corpus", ["docs.0"])
        return dg.materialize(
            [*assets_of([SOURCE_FILES]), downstream],
            partition_key="docs.0",
            instance=instance,
            resources=resources_of(world.store, declared),
            run_config=config if accept_deletions else None,
            raise_on_error=False,
        )


def test_refresh_stops_at_the_check_and_asks(world: World, declared: Path) -> None:
    for n in range(6):
        world.write(f"{n}.md", f"text {n}")
    first = materialise(world, declared)
    assert first.success
    (passed,) = first.get_asset_check_evaluations()
    assert (passed.check_name, passed.passed) == (HELD, True)
    leave(world, 1)
    stopped = materialise(world, declared)
    assert not stopped.success
    (failed,) = stopped.get_asset_check_evaluations()
    assert not failed.passed
    assert "lists 1 readable files where 6 stood" in str(failed.description)
    assert "`rag sources accept docs` prints" in str(failed.description)
    assert stopped.get_asset_materialization_events() == []
    assert len(world.store.rows("source_files", world.partition)) == 6
    for guessed in ("true", offer(world.store, ["mail"])):
        (failed,) = materialise(world, declared, guessed).get_asset_check_evaluations()
        assert not failed.passed
        assert "nothing was deleted" in str(failed.description)
    assert len(world.store.rows("source_files", world.partition)) == 6
    token = offer(world.store, ["docs"])
    agreed = materialise(world, declared, token)
    assert agreed.success
    assert not materialise(world, declared, token).success  # it was for that run
    assert len(agreed.get_asset_materialization_events()) == 2
    assert len(world.store.rows("source_files", world.partition)) == 1


def test_pages_kept_are_in_the_metadata(site: Site, world: World, tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    entry = {"name": "docs", "kind": "web", "where": f"{site.url}/sitemap.xml",
             "web": {"allow_private": True, "delay_s": 0}}  # fmt: skip
    path.write_text(json.dumps({"sources": [entry]}))
    site.documents(3)
    materialise(world, path)
    site.page("/docs/1.html", status=500)
    result = materialise(world, path)
    metadata = result.asset_materializations_for_node("source_files")[0].metadata
    assert metadata["n_kept_unread"].value == 1
    assert "/docs/1.html stays as it was: the server answered 500" in str(
        metadata["kept_unread"].value
    )


# On the command line


def test_no_engine_is_started_for_a_refresh_that_will_stop(
    world: World, declared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        world.write(f"{n}.md", f"text {n}")
    refresh(world)
    world.refresh()
    settings = load_settings()
    monkeypatch.setattr(run, "ModelFacts", lambda *_: world.facts)
    assert not operations.plan_of(settings, sources_of("docs")).plan.needs_engines
    leave(world, 1)
    assert not operations.plan_of(settings, sources_of("docs")).plan.needs_engines
    accepted = operations.plan_of(settings, sources_of("docs"), accept_deletions=True)
    assert accepted.plan.needs_engines


def test_command_says_what_the_check_says_and_passes_the_answer_on(
    world: World, declared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        world.write(f"{n}.md", f"text {n}")
    refresh(world)
    leave(world, 1)
    monkeypatch.setattr(generations, "live", lambda store: "some generation")
    told: list[str] = []
    loaded: list[object] = []
    monkeypatch.setattr(operations, "hot_load", lambda settings, tell: loaded.append(1))
    with pytest.raises(CommandError, match="--accept-deletions") as said:
        operations.refresh_and_load(load_settings(), sources_of("docs"), told.append)
    assert said.value.exit_code == 1
    assert loaded == []
    assert f"  check {HELD}: FAILED" in told
    assert len(world.store.rows("source_files", world.partition)) == 6


def test_option_of_the_command(
    world: World, declared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(
        operations,
        "refresh_and_load",
        lambda settings, partitions, tell, *, accept_deletions: asked.append(accept_deletions),
    )
    for options in ([], ["--accept-deletions", "--yes"]):
        assert CliRunner().invoke(app, ["refresh", "docs", *options]).exit_code == 0
    assert asked == [False, True]


def test_a_person_is_asked_before_a_deletion_is_accepted(
    world: World, declared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def invoke(said: str, *arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), input=said)

    ran: list[str] = []
    monkeypatch.setattr(operations, "refresh_and_load", lambda *_, **__: ran.append("refresh"))
    world.write("a.md", "text")
    refresh(world)
    commands = [("refresh", "docs", "--accept-deletions"), ("sources", "accept", "docs")]
    for command in commands:
        assert "a script says --yes" in str(invoke("y\n", *command).exception)  # a pipe is nobody
    monkeypatch.setattr(corpus, "is_watched", lambda: True)
    for command in commands:
        refused = invoke("n\n", *command)
        assert "1 files of docs are stored" in refused.output
        assert str(refused.exception) == "nothing was deleted"
    assert (ran, world.store.records("accepted")) == ([], [])
    token = invoke("y\n", "sources", "accept", "docs").output.split()[-1]
    take(world.store, token, ["docs"], "run")
    assert invoke("y\n", "refresh", "docs", "--accept-deletions").exit_code == 0
    assert ran == ["refresh"]
    declared.write_text("sources: []")
    assert str(invoke("n\n", "sources", "remove", "docs").exception) == "nothing was deleted"
    assert world.store.records(catalog.ADDED) == []  # it is no source that lists nothing


def test_a_command_brings_a_token_of_its_own_to_each_run(
    world: World, small_line: list[str]
) -> None:
    for n in range(6):
        world.write(f"{n}.md", f"text {n}")
    refresh(world)
    leave(world, 1)
    with dg.DagsterInstance.ephemeral() as instance:
        (run,) = running.run_refresh_job(
            instance, ["docs.0"], lambda text: None, accept_deletions=True
        )
    assert run.succeeded
    assert len(world.store.rows("source_files", world.partition)) == 1


def test_acceptance_is_given_by_name(declared: Path) -> None:
    for arguments, said in [
        (["--accept-deletions"], "rag refresh NAME --accept-deletions"),
        (["docs", "--path", str(declared.parent)], "sources or --path, got both"),
    ]:
        result = CliRunner().invoke(app, ["refresh", *arguments])
        assert isinstance(result.exception, CommandError)
        assert result.exception.exit_code == 2
        assert said in str(result.exception)


# Several sources at once


@pytest.fixture
def small_line(monkeypatch: pytest.MonkeyPatch, declared: Path, world: World) -> list[str]:
    """The job with two assets; sources a, b and docs. What was built of which is in the list."""
    built: list[str] = []

    @dg.asset(
        deps=[SOURCE_FILES.name], partitions_def=corpus_partitions, backfill_policy=corpus_backfills
    )
    def documents(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        if (declared.parent / "broken").exists():
            raise RuntimeError("the model is down")
        built.append(context.partition_key)
        return dg.MaterializeResult(metadata={"summary": ""})

    @dg.asset(deps=[documents])
    def chunk_index() -> None:
        built.append("index")

    small = dg.Definitions(
        [*assets_of([SOURCE_FILES]), documents, chunk_index],
        jobs=[dg.define_asset_job("refresh_job", selection="*")],
        resources=resources_of(world.store, declared),
    )
    entries = [{"name": "docs", "kind": "folder", "where": str(world.root)}]
    for name in "ab":
        (declared.parent / name).mkdir()
        (declared.parent / name / "a.md").write_text("text")
        entries.append({"name": name, "kind": "folder", "where": name})
    declared.write_text(json.dumps({"sources": entries}))
    monkeypatch.setattr(running, "repository_of", small.get_repository_def)
    return built


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (["a.0", "docs.0", "b.0"], ["a.0", "b.0", "index"]),
        (["docs.0", "a.0", "b.0"], ["a.0", "b.0", "index"]),
        (["a.0", "b.0", "docs.0"], ["a.0", "b.0", "index"]),
        (["docs.0"], []),
    ],
)
@pytest.mark.parametrize("trouble", ["shrunk", "unreachable"])
def test_a_source_that_stops_does_not_stop_the_others(
    world: World, small_line: list[str], order: list[str], expected: list[str], trouble: str
) -> None:
    for n in range(6):
        world.write(f"{n}.md", f"text {n}")
    refresh(world)
    leave(world, 1)
    if trouble == "unreachable":
        world.root.rename(world.root.with_name("away"))
    with dg.DagsterInstance.ephemeral() as instance:
        runs = running.run_refresh_job(instance, order, lambda text: None)
    assert small_line == expected
    (failed,) = [run for run in runs if not run.succeeded]
    assert failed.what == "docs.0"
    assert "nothing was deleted" in failed.errors[0]
    assert runs[-1].succeeded == bool(expected)
    assert len(world.store.rows("source_files", world.partition)) == 6


def test_any_other_failure_ends_it(world: World, small_line: list[str], declared: Path) -> None:
    (declared.parent / "broken").touch()
    with dg.DagsterInstance.ephemeral() as instance:
        runs = running.run_refresh_job(instance, ["a.0", "b.0"], lambda text: None)
    assert [run.what for run in runs] == ["a.0"]
    assert small_line == []


def test_the_command_publishes_the_others_and_fails(
    world: World, small_line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.root.rmdir()
    monkeypatch.setattr(generations, "live", lambda store: "some generation")
    ingest(world.store, Source("a", "folder", str(world.root.parent / "a")), "a.0", run_id="r")
    loaded: list[object] = []
    monkeypatch.setattr(operations, "hot_load", lambda settings, tell: loaded.append(1))
    monkeypatch.setattr(operations.stack, "start_engines", lambda *_: None)
    with pytest.raises(CommandError, match=r"(?s)docs\.0 failed, the other sources are up .*none"):
        operations.refresh_and_load(load_settings(), sources_of("a", "docs"), lambda text: None)
    assert small_line == ["a.0", "index"]
    assert loaded == [1]


def test_an_unreachable_source_does_not_hide_the_work_of_the_others(
    world: World, small_line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "ModelFacts", lambda *_: world.facts)
    world.root.rmdir()
    assert not operations.plan_of(load_settings(), sources_of("docs")).plan.needs_engines
    assert operations.plan_of(load_settings(), sources_of("docs", "a")).plan.needs_engines


def test_another_number_of_buckets_changes_nothing(world: World, declared: Path) -> None:
    world.write("a.md", "text")
    world.source = replace(world.source, buckets=4)
    for partition in world.source.partitions:
        ingest(world.store, world.source, partition)
    before = contents(world)
    one = {"name": "docs", "kind": "folder", "where": str(world.root), "buckets": 2}
    declared.write_text(json.dumps({"sources": [one]}))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("corpus", ["docs.0"])
        with pytest.raises(BucketsError, match=r"Declare `buckets: 4` again"):
            dg.materialize(
                assets_of([SOURCE_FILES]),
                partition_key="docs.0",
                instance=instance,
                resources=resources_of(world.store, declared),
            )
    assert contents(world) == before
