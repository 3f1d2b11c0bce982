from dataclasses import replace
from pathlib import Path

from rag_assets.duplicates.collapse import collapse_duplicates
from rag_assets.lake.identity import bucket_of
from rag_assets.lake.store import LakeStore
from rag_assets_tests.world import World

TEXT = " ".join(f"word{n}" for n in range(100))


def aliases(store: LakeStore) -> dict[str, str]:
    return {row["uri"]: row["canonical_uri"] for row in store.rows("duplicates")}


def version(store: LakeStore) -> int:
    table = store.table("duplicates")
    assert table is not None
    return int(table.version)


def test_lake_without_documents(store: LakeStore) -> None:
    report = collapse_duplicates(store)
    assert (report.n_documents, report.by_kind, report.changed) == (0, {}, 0)
    assert store.rows("duplicates") == []


def test_across_partitions(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, world.store, "other")
    world.write("a.md", TEXT)
    other.write("deep/a.md", TEXT)
    other.write("deep/near.md", TEXT + " and more")
    world.stages()
    other.stages()
    report = collapse_duplicates(world.store)
    assert report.by_kind == {"exact": 1, "near": 1}
    assert set(aliases(world.store).values()) == {"docs:a.md"}


def test_nothing_is_written_when_nothing_changed(world: World) -> None:
    for name in ("a.md", "deep/a.md"):
        world.write(name, TEXT)
    world.stages()
    first = collapse_duplicates(world.store)
    before = version(world.store)
    again = collapse_duplicates(world.store)
    assert (first.changed, again.changed) == (1, 0)
    assert again.data_version == first.data_version
    assert version(world.store) == before


def test_deleted_canonical_promotes_an_alias(world: World) -> None:
    path = world.write("a.md", TEXT)
    world.write("deep/b.md", TEXT)
    world.write("deep/er/c.md", TEXT)
    world.stages()
    collapse_duplicates(world.store)
    assert set(aliases(world.store).values()) == {"docs:a.md"}
    path.unlink()
    world.stages()
    collapse_duplicates(world.store)
    assert aliases(world.store) == {"docs:deep/er/c.md": "docs:deep/b.md"}


def test_document_in_two_partitions_is_no_alias_of_itself(world: World) -> None:
    name = next(f"{n}.md" for n in range(99) if bucket_of(f"docs:{n}.md", 2) == 1)
    world.write(name, TEXT)
    world.stages()
    world.source = replace(world.source, buckets=2)  # being split: docs.0 is not refreshed yet
    world.partition = "docs.1"
    world.stages()
    collapse_duplicates(world.store)
    assert len(world.store.rows("documents", "docs.0")) == 1
    assert len(world.store.rows("documents", "docs.1")) == 1
    assert aliases(world.store) == {}
