import json
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rag_assets.cli.main import app
from rag_assets.errors import CommandError
from rag_assets.lake import generations
from rag_assets.lake.resource import LakeResource
from rag_assets.lake.store import LakeStore
from rag_assets.orchestration import in_process as running
from rag_assets.orchestration import refreshing as operations
from rag_assets.pipeline import stages
from rag_assets.settings import load_settings
from rag_assets.sources.assets import HELD, source_files
from rag_assets.sources.declaration import Source, SourceShrunkError, WebOptions
from rag_assets.sources.resource import SourcesResource, corpus_backfills, corpus_partitions
from rag_assets.sources.stage import has_shrunk, ingest, n_stored
from rag_assets_tests.pipeline.test_planning import models_of
from rag_assets_tests.sources.site import Site
from rag_assets_tests.world import World


def leave(world: World, n: int) -> None:
    for path in sorted(world.root.glob("*.md"))[n:]:
        path.unlink()


def refresh(world: World, **more: bool) -> tuple[int, int, int]:
    delta = ingest(world.store, world.source, world.partition, run_id="r", **more).delta
    return len(delta.new), len(delta.changed), len(delta.gone)


@pytest.mark.parametrize(
    ("stood", "listed", "shrunk"),
    [(10, 2, True), (10, 3, False), (5, 1, True), (5, 0, True), (4, 0, False), (120, 24, True),
     (120, 25, False), (0, 0, False)],
)  # fmt: skip
def test_rule(stood: int, listed: int, shrunk: bool) -> None:
    assert has_shrunk(stood, listed) == shrunk


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_more_files_are_never_worse(stood: int, listed: int, more: int) -> None:
    assert has_shrunk(stood, listed + more) <= has_shrunk(stood, listed)


def test_a_source_that_shrank_changes_nothing_until_accepted(world: World) -> None:
    for n in range(10):
        world.write(f"{n}.md", f"text {n}")
    refresh(world)
    leave(world, 2)
    world.write("0.md", "changed as well")
    with pytest.raises(SourceShrunkError, match="lists 2 readable files where 10 stood") as said:
        refresh(world)
    assert "`rag refresh docs --accept-deletions`" in str(said.value)
    assert len(world.store.rows("source_files", world.partition)) == 10
    assert refresh(world, accept_deletions=True) == (0, 1, 8)
    assert refresh(world) == (0, 0, 0)


def test_an_empty_mount_deletes_nothing(world: World) -> None:
    for n in range(5):
        world.write(f"{n}.md", f"text {n}")
    refresh(world)
    leave(world, 0)
    with pytest.raises(SourceShrunkError, match="nothing was deleted"):
        refresh(world)
    assert len(world.store.rows("source_files", world.partition)) == 5


def test_files_that_can_no_longer_be_read_count_as_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        world.write(f"{n}.md", f"text {n}")
    refresh(world)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(SourceShrunkError, match="lists 0 readable files where 6 stood"):
        refresh(world)


def test_moved_files_are_not_missing(world: World) -> None:
    for n in range(10):
        world.write(f"{n}.md", f"text {n}")
    refresh(world)
    for path in world.root.glob("*.md"):
        path.rename(path.with_suffix(".txt"))
    assert refresh(world) == (10, 0, 10)


def test_all_partitions_count_together(world: World) -> None:
    # A small bucket may lose its files when the source as a whole does not.
    for n in range(40):
        world.write(f"{n}.md", f"text {n}")
    source = Source("docs", "folder", str(world.root), buckets=4)
    for partition in source.partitions:
        ingest(world.store, source, partition, run_id="r")
    assert n_stored(world.store, source) == 40
    for uri in [f"docs:{n}.md" for n in range(40)]:
        if source.partition_of(uri) == "docs.1":
            (world.root / uri.removeprefix("docs:")).unlink()
    assert ingest(world.store, source, "docs.1", run_id="r").delta.gone
    leave(world, 3)
    for partition in source.partitions:
        with pytest.raises(SourceShrunkError):
            ingest(world.store, source, partition, run_id="r")


def test_a_site_that_answers_404_everywhere(site: Site, store: LakeStore) -> None:
    source = Source(
        "web", "web", f"{site.url}/sitemap.xml", web=WebOptions(allow_private=True, delay_s=0)
    )
    paths = site.documents(10)
    ingest(store, source, "web.0", run_id="r")
    for path in paths[2:]:
        site.page(path, status=404)
    with pytest.raises(SourceShrunkError, match="lists 2 readable files where 10 stood"):
        ingest(store, source, "web.0", run_id="r")
    site.page("/robots.txt", "User-agent: *\nDisallow: /")
    with pytest.raises(SourceShrunkError, match="lists 0 readable files"):
        ingest(store, source, "web.0", run_id="r")
    assert len(store.rows("source_files", "web.0")) == 10
    site.pages.pop("/robots.txt")
    delta = ingest(store, source, "web.0", run_id="r", accept_deletions=True).delta
    assert len(delta.gone) == 8


def test_a_shorter_sitemap_asks_for_no_page(site: Site, store: LakeStore) -> None:
    source = Source(
        "web", "web", f"{site.url}/sitemap.xml", web=WebOptions(allow_private=True, delay_s=0)
    )
    site.documents(10)
    ingest(store, source, "web.0", run_id="r")
    site.sitemap("/docs/0.html")
    site.asked.clear()
    with pytest.raises(SourceShrunkError):
        ingest(store, source, "web.0", run_id="r")
    assert site.asked == ["/sitemap.xml"]


# In Dagster


@pytest.fixture
def declared(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "sources.yaml"
    path.write_text(
        json.dumps({"sources": [{"name": "docs", "kind": "folder", "where": str(world.root)}]})
    )
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("RAG_LAKE", world.store.uri)
    return path


def materialise(
    world: World, declared: Path, accept_deletions: bool = False
) -> dg.ExecuteInProcessResult:
    @dg.asset(
        deps=[source_files], partitions_def=corpus_partitions, backfill_policy=corpus_backfills
    )
    def downstream() -> None:
        pass

    config = {"ops": {"source_files": {"config": {"accept_deletions": accept_deletions}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("corpus", ["docs.0"])
        return dg.materialize(
            [source_files, downstream],
            partition_key="docs.0",
            instance=instance,
            resources={
                "store": LakeResource(uri=world.store.uri),
                "sources": SourcesResource(file=str(declared)),
            },
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
    assert "accept_deletions: true" in str(failed.description)
    assert stopped.get_asset_materialization_events() == []
    assert len(world.store.rows("source_files", world.partition)) == 6
    agreed = materialise(world, declared, accept_deletions=True)
    assert agreed.success
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
    world.stages()
    settings = load_settings()
    monkeypatch.setattr(stages, "models_of", lambda *_: models_of(world))
    assert not operations.plan_of(settings, ["docs.0"]).plan.needs_engines
    leave(world, 1)
    assert not operations.plan_of(settings, ["docs.0"]).plan.needs_engines
    accepted = operations.plan_of(settings, ["docs.0"], accept_deletions=True)
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
    monkeypatch.setattr(operations.stack, "hot_load", lambda settings, tell: loaded.append(1))
    with pytest.raises(CommandError, match="--accept-deletions") as said:
        operations.refresh_and_load(load_settings(), ["docs.0"], told.append)
    assert said.value.code == 1
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
    for options in ([], ["--accept-deletions"]):
        assert CliRunner().invoke(app, ["refresh", "docs", *options]).exit_code == 0
    assert asked == [False, True]


def test_acceptance_is_given_by_name(declared: Path) -> None:
    for arguments, said in [
        (["--accept-deletions"], "rag refresh NAME --accept-deletions"),
        (["docs", "--path", str(declared.parent)], "sources or --path, got both"),
    ]:
        result = CliRunner().invoke(app, ["refresh", *arguments])
        assert isinstance(result.exception, CommandError)
        assert result.exception.code == 2
        assert said in str(result.exception)


# Several sources at once


@pytest.fixture
def small_line(monkeypatch: pytest.MonkeyPatch, declared: Path, world: World) -> list[str]:
    """The job with two assets; sources a, b and docs. What was built of which is in the list."""
    built: list[str] = []

    @dg.asset(
        deps=[source_files], partitions_def=corpus_partitions, backfill_policy=corpus_backfills
    )
    def documents(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        if (declared.parent / "broken").exists():
            raise RuntimeError("the model is down")
        built.append(context.partition_key)
        return dg.MaterializeResult(metadata={"summary": ""})

    @dg.asset(deps=[documents])
    def chunk_index() -> None:
        built.append("index")

    def small() -> dg.Definitions:
        return dg.Definitions(
            [source_files, documents, chunk_index],
            jobs=[dg.define_asset_job("refresh_job", selection="*")],
            resources={
                "store": LakeResource(uri=world.store.uri),
                "sources": SourcesResource(file=str(declared)),
            },
        )

    entries = [{"name": "docs", "kind": "folder", "where": str(world.root)}]
    for name in "ab":
        (declared.parent / name).mkdir()
        (declared.parent / name / "a.md").write_text("text")
        entries.append({"name": name, "kind": "folder", "where": name})
    declared.write_text(json.dumps({"sources": entries}))
    monkeypatch.setattr(running, "defs", small)
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
        runs = running.refresh_partitions(instance, order, lambda text: None)
    assert small_line == expected
    (failed,) = [run for run in runs if not run.succeeded]
    assert failed.what == "docs.0"
    assert "nothing was deleted" in failed.errors[0]
    assert runs[-1].succeeded == bool(expected)
    assert len(world.store.rows("source_files", world.partition)) == 6


def test_any_other_failure_ends_it(world: World, small_line: list[str], declared: Path) -> None:
    (declared.parent / "broken").touch()
    with dg.DagsterInstance.ephemeral() as instance:
        runs = running.refresh_partitions(instance, ["a.0", "b.0"], lambda text: None)
    assert [run.what for run in runs] == ["a.0"]
    assert small_line == []


def test_the_command_publishes_the_others_and_fails(
    world: World, small_line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.root.rmdir()
    monkeypatch.setattr(generations, "live", lambda store: "some generation")
    ingest(world.store, Source("a", "folder", str(world.root.parent / "a")), "a.0", run_id="r")
    loaded: list[object] = []
    monkeypatch.setattr(operations.stack, "hot_load", lambda settings, tell: loaded.append(1))
    monkeypatch.setattr(operations.stack, "start_engines", lambda *_: None)
    with pytest.raises(CommandError, match=r"(?s)docs\.0 failed, the other sources are up .*none"):
        operations.refresh_and_load(load_settings(), ["a.0", "docs.0"], lambda text: None)
    assert small_line == ["a.0", "index"]
    assert loaded == [1]


def test_an_unreachable_source_does_not_hide_the_work_of_the_others(
    world: World, small_line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "models_of", lambda *_: models_of(world))
    world.root.rmdir()
    assert not operations.plan_of(load_settings(), ["docs.0"]).plan.needs_engines
    assert operations.plan_of(load_settings(), ["docs.0", "a.0"]).plan.needs_engines


# Counts that are kept


def test_kept_counts_are_as_good_as_counting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_assets.sources.stage.MIN_KEPT", 2)
    for n in range(12):
        world.write(f"{n}.md", f"text {n}")
    source = Source("docs", "folder", str(world.root), buckets=4)
    others = Source("other", "folder", str(world.root), buckets=4)
    assert n_stored(world.store, source) == 0
    for partition in source.partitions:
        ingest(world.store, source, partition, run_id="r")
    assert n_stored(world.store, source) == 12
    asked = world.store.table
    monkeypatch.setattr(world.store, "table", lambda *_: pytest.fail("counted anew"))
    assert n_stored(world.store, source) == 12
    monkeypatch.setattr(world.store, "table", asked)
    table = asked("source_files", source.partition_of("docs:3.md"))
    assert table is not None
    table.delete("uri = 'docs:3.md'")
    assert n_stored(world.store, source) == 11
    assert n_stored(world.store, others) == 0
