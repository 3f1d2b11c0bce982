"""Partitions whose tables do not fit together wait, while indexes are built at any time."""

import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_assets.index import stage as build
from rag_assets.lake import generations
from rag_assets.lake.store import LakeStore
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


def run(world: World, partition: str) -> None:
    """All partitioned stages of one partition, as a run does them."""
    for step in world.steps(partition).values():
        step()


def texts(store: LakeStore) -> set[str]:
    candidate, table = generations.candidate(store), store.table("chunk_index")
    assert candidate is not None
    assert table is not None
    table.checkout(candidate.index_version)
    return {row["text"] for row in table.search().select(["text"]).to_list()}


def test_the_index_waits_for_the_last_stage(world: World) -> None:
    before = texts(world.store)
    world.write("0.md", "the compass")
    steps = world.steps("docs.0")
    steps.pop("source_files")()
    last = steps.pop("embeddings")
    for step in steps.values():
        step()
        assert world.index().waiting == ["docs.0"]
        assert texts(world.store) == before
    last()
    assert world.index().waiting == []
    assert texts(world.store) == before - {"the lighthouse 0"} | {"the compass"}


def test_other_sources_do_not_wait(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, world.store, "other")
    other.write("a.md", "the anchor")
    world.write("0.md", "the compass")
    for name in ("source_files", "documents"):
        world.steps("docs.0")[name]()
    other.stages()
    built = other.index()
    assert built.is_new
    assert built.waiting == ["docs.0"]
    assert shown(world.store).keys() == URIS | {"other:a.md"}
    assert "the compass" not in texts(world.store)


TEXT = "the keeper of the northern island wrote down every ship that passed in that long winter"


def test_a_page_that_a_waiting_one_stands_for_keeps_its_row(world: World, tmp_path: Path) -> None:
    """The waiting one has none yet: its run failed half-way."""
    other = World(tmp_path, world.store, "other")
    other.write("deep/down/b.md", TEXT)
    other.stages()
    world.index()
    world.write("c.md", TEXT)
    for name in ("source_files", "documents"):
        world.steps("docs.0")[name]()
    assert world.index().waiting
    assert shown(world.store).keys() == URIS | {"other:deep/down/b.md"}
    world.stages()
    assert world.index().waiting == []
    assert shown(world.store).keys() == URIS | {"docs:c.md"}


def in_the_loop(patch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something when the build is about to compare its first partition."""
    compared, todo = build.compared, [act]

    def first_act(*args: object) -> object:
        if todo:
            todo.pop()()
        return compared(*args)  # type: ignore[arg-type]

    patch.setattr(build, "compared", first_act)


def test_a_run_that_begins_during_a_build_is_not_shown(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other sources bring is."""
    world.write("0.md", "the compass")
    world.stages()
    other = World(tmp_path, world.store, "other")
    other.write("a.md", "the harbour")
    other.stages()

    def begin() -> None:
        world.write("0.md", "the anchor")
        for name in ("source_files", "documents"):
            world.steps("docs.0")[name]()

    in_the_loop(monkeypatch, begin)
    assert world.index().waiting == ["docs.0"]
    assert texts(world.store) == {*(f"the lighthouse {n}" for n in range(N)), "the harbour"}
    world.stages()
    assert world.index().waiting == []
    assert "the anchor" in texts(world.store)


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
    assert build.figures(after).items() <= built.generation.inputs["docs.0"].items()
    assert not built.is_new
    world.stages()
    assert world.index().waiting == []
    assert shown(world.store).keys() == URIS - {"docs:1.md"} | {"docs:new.md"}


def _die(_table: object) -> None:
    raise KeyboardInterrupt


def actions() -> st.SearchStrategy[str]:
    """An edit of a file, a stage of a partition, a whole run of one, or a build of the index."""
    partition = st.integers(0, 1).map(str)
    stage = st.tuples(partition, st.integers(0, 5).map(str)).map(" ".join)
    edit = st.integers(0, N - 1).map("={}".format)
    return st.one_of(edit, stage, partition, st.just("index"))


@settings(max_examples=8)
@given(st.lists(actions(), min_size=4, max_size=14))
def test_no_order_of_stages_and_builds_loses_a_document(acts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        read_in_process(patch)
        world = World(Path(folder), LakeStore(f"{folder}/lake"))
        world.source = replace(world.source, buckets=2)
        for n in range(N):
            world.write(f"{n}.md", f"the lighthouse {n}")
        for partition in world.source.partitions:
            run(world, partition)
        world.index()
        for position, act in enumerate([*acts, "index"]):
            if act[0] == "=":
                world.write(f"{act[1:]}.md", f"the anchor {position}")
            elif act == "index":
                world.index()
                assert shown(world.store).keys() == URIS
            else:
                bucket, *stage = map(int, re.findall(r"\d", act))
                steps = list(world.steps(f"docs.{bucket}").values())
                for step in [steps[n] for n in stage] or steps:
                    step()
        for partition in world.source.partitions:
            run(world, partition)
        assert world.index().waiting == []
        assert shown(world.store).keys() == URIS
        assert {row["text"] for row in world.store.rows("documents", "docs.0")} | {
            row["text"] for row in world.store.rows("documents", "docs.1")
        } == {path.read_text() for path in world.root.iterdir()}
