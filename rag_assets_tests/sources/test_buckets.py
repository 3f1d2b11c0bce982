from dataclasses import replace

import pytest

from rag_assets.pipeline.stage import refresh_stage
from rag_assets.pipeline.stages import SOURCE_FILES
from rag_assets.sources import buckets
from rag_assets.sources.buckets import BucketsError
from rag_assets_tests.world import World, ingest, run_of


@pytest.fixture
def split(world: World) -> World:
    """Twelve files in four partitions, and a later table of each."""
    for n in range(12):
        world.write(f"{n}.md", f"text {n}")
    world.source = replace(world.source, buckets=4)
    for partition in world.source.partitions:
        ingest(world.store, world.source, partition, run_id="r")
        rows = world.store.read("source_files", partition)
        assert rows is not None
        world.store.open_or_create("documents", partition, rows.schema).add(rows)
    return world


def contents(world: World) -> dict[str, list[dict[str, object]]]:
    store = world.store
    return {
        f"{stage}/{key}": store.rows(stage, key)
        for stage in store.folders("tables")
        for key in store.partitions(stage)
    }


@pytest.mark.parametrize("number", [1, 2, 8])
def test_another_number_is_refused_and_changes_nothing(split: World, number: int) -> None:
    before, source = contents(split), replace(split.source, buckets=number)
    for partition in source.partitions:
        with pytest.raises(BucketsError) as refused:
            ingest(split.store, source, partition, run_id="r", accept_deletions=True)
    assert str(refused.value) == (
        "source docs was first refreshed with `buckets: 4` and is declared with "
        f"`buckets: {number}` now; nothing was changed. Declare `buckets: 4` again. "
        "To change it, empty the source first: with `buckets: 4` and `exclude: ['**/*']` run "
        "`rag refresh docs --accept-deletions`. "
        "Then declare its files with the number that you want, under this name or a new one, and "
        "refresh it"
    )
    assert contents(split) == before
    buckets.check(split.store, split.source)


def test_a_look_that_is_older_than_another_number_is_refused(world: World) -> None:
    world.write("1.md", "text")
    old, new = replace(world.source, buckets=2), replace(world.source, buckets=4)
    with run_of(world.store, [old]) as run:
        run.files.inputs("docs.0")  # looks at the source for both partitions
        for partition in new.partitions:  # nothing was stored yet, so that it may start anew
            ingest(world.store, new, partition, run_id="r")
        for partition in old.partitions:
            with pytest.raises(BucketsError, match="is declared with `buckets: 2` now"):
                refresh_stage(run, SOURCE_FILES, partition)


def test_an_emptied_source_starts_anew_with_another_number(world: World) -> None:
    for n in range(8):
        world.write(f"{n}.md", f"the lighthouse {n}")
    world.refresh()
    world.source = replace(world.source, buckets=2)
    with pytest.raises(BucketsError):
        world.refresh()
    world.source = replace(world.source, buckets=1, exclude=("**/*",))
    steps = world.steps("docs.0")
    ingest(world.store, world.source, "docs.0", run_id="r", accept_deletions=True)
    with pytest.raises(BucketsError):  # later stages still hold its documents
        buckets.check(world.store, replace(world.source, buckets=2))
    for step in list(steps.values())[1:]:
        step()
    world.index()
    asked = len(world.embedder.asked)
    world.source = replace(world.source, buckets=2, exclude=())
    for partition in world.source.partitions:
        world.partition = partition
        world.stages()
    built = world.index()
    assert built.waiting == []
    assert built.generation.counts["documents"] == 8
    assert {row["partition"] for row in world.store.rows("chunk_index")} == {"docs.0", "docs.1"}
    assert len(world.embedder.asked) == asked  # the vectors were kept


def test_a_lake_without_the_record_keeps_the_number_that_fits(split: World) -> None:
    split.store.remove("records/buckets/docs.json")
    with pytest.raises(BucketsError, match="was first refreshed with another number of buckets"):
        buckets.check(split.store, replace(split.source, buckets=2))
    buckets.fix(split.store, split.source)
    assert split.store.get_record("buckets/docs") == {"number": 4}


def test_other_sources_have_numbers_of_their_own(split: World) -> None:
    buckets.check(split.store, replace(split.source, name="doc", buckets=2))
