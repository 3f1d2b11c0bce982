"""A source is given another number of buckets, while indexes are built at any time."""

import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_assets.documents.reading import Document
from rag_assets.documents.worker import ParsingWorker
from rag_assets.index import stage as build
from rag_assets.lake import generations
from rag_assets.lake.store import LakeStore
from rag_assets.sources import buckets
from rag_assets.sources import stage as ingest
from rag_assets.sources.buckets import retire_partitions
from rag_assets_tests.world import World, read_in_process

N = 6
URIS = {f"docs:{n}.md" for n in range(N)}


def shown(store: LakeStore) -> dict[str, str]:
    """Uri -> partition, of the rows that the candidate has."""
    candidate, table = generations.candidate(store), store.table("chunk_index")
    assert candidate is not None
    assert table is not None
    table.checkout(candidate.index_version)
    rows = table.search().select(["uri", "partition"]).to_list()
    assert len(rows) == len({row["uri"] for row in rows}) == candidate.counts["chunks"]
    return {row["uri"]: row["partition"] for row in rows}


@pytest.fixture
def world(world: World) -> World:
    for n in range(N):
        world.write(f"{n}.md", f"the lighthouse {n}")
    world.refresh()
    return world


def give(world: World, number: int) -> None:
    world.source = replace(world.source, buckets=number)


def run(world: World, partition: str) -> None:
    """All partitioned stages of one partition, as a run does them."""
    first, *later = world.steps(partition).values()
    first()
    retire_partitions(world.store, world.source)
    for step in later:
        step()


@pytest.mark.parametrize("first", ["docs.0", "docs.1"])
def test_the_index_waits_until_both_halves_are_there(world: World, first: str) -> None:
    give(world, 2)
    run(world, first)
    halfway = world.index()
    assert halfway.waiting
    assert not halfway.is_new
    assert shown(world.store) == dict.fromkeys(URIS, "docs.0")
    run(world, "docs.1" if first == "docs.0" else "docs.0")
    assert not build.is_current(world.store, halfway.generation.models)
    done = world.index()
    assert (done.waiting, done.is_new) == ([], True)
    assert set(shown(world.store).values()) == {"docs.0", "docs.1"}
    assert shown(world.store).keys() == URIS
    assert buckets.moving(world.store) == {}


def test_the_index_waits_for_the_last_stage(world: World) -> None:
    give(world, 2)
    run(world, "docs.0")
    *steps, last = [step for name, step in world.steps("docs.1").items() if name != "enrichments"]
    for step in steps:
        step()
        assert world.index().waiting
        assert shown(world.store) == dict.fromkeys(URIS, "docs.0")
    last()
    assert world.index().waiting == []
    assert shown(world.store).keys() == URIS


def test_a_killed_retirement_is_waited_for(world: World) -> None:
    give(world, 2)
    run(world, "docs.0")
    run(world, "docs.1")
    world.index()
    give(world, 1)
    for step in world.steps("docs.0").values():
        step()  # and docs.1 was not emptied
    assert world.index().waiting
    assert set(shown(world.store).values()) == {"docs.0", "docs.1"}
    retire_partitions(world.store, world.source)
    assert world.index().waiting == []
    assert shown(world.store) == dict.fromkeys(URIS, "docs.0")


def test_a_partition_to_which_nothing_happened_is_not_waited_for(world: World) -> None:
    """Sensors ask for partitions with changes only."""
    give(world, 2)
    of = {path: world.source.partition_of(f"docs:{path.name}") for path in world.root.iterdir()}
    for path in [path for path, partition in of.items() if partition == "docs.1"]:
        path.unlink()
    give(world, 1)
    world.refresh()
    give(world, 2)
    (path,) = [path for path, partition in of.items() if partition == "docs.0"][:1]
    path.write_text("the compass")
    run(world, "docs.0")
    assert world.index().waiting == []


def test_other_sources_do_not_wait(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, world.store, "other")
    other.write("a.md", "the anchor")
    give(world, 2)
    run(world, "docs.1")
    other.stages()
    built = other.index()
    assert built.is_new
    assert shown(world.store) == {**dict.fromkeys(URIS, "docs.0"), "other:a.md": "other.0"}


TEXT = "the keeper of the northern island wrote down every ship that passed in that long winter"


@pytest.mark.parametrize("moves", [True, False])
def test_a_page_that_a_waiting_one_stands_for_keeps_its_row(
    world: World, tmp_path: Path, moves: bool
) -> None:
    """The waiting one has none yet: its source moves, or its run failed half-way."""
    other = World(tmp_path, world.store, "other")
    other.write("deep/down/b.md", TEXT)
    other.stages()
    world.index()
    world.write("c.md", TEXT)
    if moves:
        give(world, 2)
        run(world, world.source.partition_of("docs:c.md"))
    else:
        for name in ("source_files", "documents"):
            world.steps("docs.0")[name]()
    assert world.index().waiting
    assert shown(world.store).keys() == URIS | {"other:deep/down/b.md"}
    for partition in world.source.partitions:
        run(world, partition)
    assert world.index().waiting == []
    assert shown(world.store).keys() == URIS | {"docs:c.md"}


def test_a_run_that_writes_to_a_retired_partition_does_not_stop_the_move(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(world, 2)
    for partition in world.source.partitions:
        run(world, partition)
    world.index()
    for n in range(N):
        world.write(f"{n}.md", f"the anchor {n}")
    steps, read, todo = world.steps("docs.1"), ParsingWorker.read, ["another run"]

    def overtaken(worker: ParsingWorker, data: bytes, name: str) -> Document:
        if todo and todo.pop():
            give(world, 1)
            run(world, "docs.0")
        return read(worker, data, name)

    steps["source_files"]()
    with monkeypatch.context() as patch:
        patch.setattr(ParsingWorker, "read", overtaken)
        steps["documents"]()
    assert world.store.rows("documents", "docs.1")
    assert world.index().waiting
    run(world, "docs.0")
    assert world.index().waiting == []
    assert shown(world.store) == dict.fromkeys(URIS, "docs.0")


def test_a_lake_without_a_record_waits_too(world: World) -> None:
    world.store.remove("records/buckets/docs.json")
    give(world, 2)
    run(world, "docs.1")
    world.index()
    assert shown(world.store) == dict.fromkeys(URIS, "docs.0")


def test_files_listed_by_another_number_are_not_taken_for_the_new_one(world: World) -> None:
    give(world, 4)
    with ingest.looked(world.store, world.source, ["docs.0"]) as look:
        four = world.source
        give(world, 2)
        run(world, "docs.1")
        ingest.ingest(world.store, four, "docs.0", run_id="r", look=look)
    for step in list(world.steps("docs.0").values())[1:]:
        step()
    assert world.index().waiting
    assert shown(world.store) == dict.fromkeys(URIS, "docs.0")


def in_the_loop(patch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something when the build is about to compare its first partition."""
    compared, todo = build._compared, [act]

    def first_act(*args: object) -> object:
        if todo:
            todo.pop()()
        return compared(*args)  # type: ignore[arg-type]

    patch.setattr(build, "_compared", first_act)


def test_a_move_that_begins_during_a_build_is_not_shown(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other sources bring is."""
    world.write("0.md", "the compass")
    world.stages()
    other = World(tmp_path, world.store, "other")
    other.write("a.md", "the harbour")
    other.stages()

    def move() -> None:
        give(world, 2)
        run(world, "docs.0")

    in_the_loop(monkeypatch, move)
    assert world.index().waiting == ["docs.0"]
    assert shown(world.store) == {**dict.fromkeys(URIS, "docs.0"), "other:a.md": "other.0"}
    titles = {row["text"] for row in world.store.rows("chunk_index")}
    assert "the compass" not in titles
    run(world, "docs.1")
    assert world.index().waiting == []
    assert shown(world.store).keys() == URIS | {"other:a.md"}


def test_a_move_that_begins_during_the_first_build_is_not_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store._stage("chunk_index").drop_table("all")
    world.store.remove("records/candidate.json")

    def move() -> None:
        give(world, 2)
        run(world, "docs.0")

    in_the_loop(monkeypatch, move)
    assert world.index().waiting == ["docs.0"]
    assert shown(world.store) == {}
    run(world, "docs.1")
    assert world.index().waiting == []
    assert shown(world.store).keys() == URIS


def test_what_a_killed_build_did_to_a_partition_that_waits_is_undone(world: World) -> None:
    world.write("0.md", "the compass")
    (world.root / "1.md").unlink()
    world.write("new.md", "the anchor")
    world.stages()
    before = world.store.rows("chunk_index")
    with pytest.MonkeyPatch.context() as patch:
        in_the_loop(patch, lambda: None)
        patch.setattr(build, "index_table", _die)
        with pytest.raises(KeyboardInterrupt):
            world.index()
    assert world.store.rows("chunk_index") != before
    for path in ("2.md", "3.md"):
        world.write(path, f"the harbour {path}")
    next(iter(world.steps("docs.0").values()))()  # its run failed after the first stage
    built = world.index()
    assert built.waiting == ["docs.0"]
    after = world.store.rows("chunk_index")
    assert sorted(map(repr, after)) == sorted(map(repr, before))
    assert build._figures(after).items() <= built.generation.inputs["docs.0"].items()
    assert not built.is_new
    world.stages()
    assert world.index().waiting == []
    assert shown(world.store).keys() == URIS - {"docs:1.md"} | {"docs:new.md"}


def _die(_table: object) -> None:
    raise KeyboardInterrupt


def actions() -> st.SearchStrategy[str]:
    """A bucket number, a stage of a partition, a whole run of one, or a build of the index."""
    partition = st.integers(0, 3).map(str)
    stage = st.tuples(partition, st.integers(0, 5).map(str)).map(" ".join)
    return st.one_of(st.sampled_from(["=1", "=2", "=4"]), stage, partition, st.just("index"))


@settings(max_examples=8, deadline=None)
@given(st.lists(actions(), min_size=4, max_size=14))
def test_no_order_of_stages_and_builds_loses_a_document(acts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        read_in_process(patch)
        world = World(Path(folder), LakeStore(f"{folder}/lake"))
        for n in range(N):
            world.write(f"{n}.md", f"the lighthouse {n}")
        world.refresh()
        for act in [*acts, "index"]:
            if act[0] == "=":
                give(world, int(act[1:]))
            elif act == "index":
                world.index()
                assert shown(world.store).keys() == URIS
            else:
                bucket, *stage = map(int, re.findall(r"\d", act))
                partition = f"docs.{bucket % world.source.buckets}"
                steps = list(world.steps(partition).values())
                if stage:
                    steps[stage[0]]()
                else:
                    run(world, partition)
        for partition in world.source.partitions:
            run(world, partition)
        assert world.index().waiting == []
        assert shown(world.store).keys() == URIS
        assert set(shown(world.store).values()) <= set(world.source.partitions)
