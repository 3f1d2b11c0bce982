from pathlib import Path

import pytest

from rag_assets.documents.stage import document_id
from rag_assets.lake import settled
from rag_assets.lake.delta import before
from rag_assets.pipeline.stages import CHUNK_INDEX
from rag_assets_tests.world import World


def halfway(world: World, n_stages: int) -> None:
    """The first stages of a refresh that then fails."""
    for name in ("source_files", "documents", "sections")[:n_stages]:
        world.step(name, run_id="failed")


def is_settled(world: World) -> bool:
    return settled.is_settled(world.store, world.partition, before(CHUNK_INDEX))


@pytest.mark.parametrize("n_stages", [1, 2, 3])
@pytest.mark.parametrize("after", ["# A new title\n\nThe lighthouse", None])
def test_an_unfinished_refresh_shows_nothing_of_itself(
    world: World, tmp_path: Path, n_stages: int, after: str | None
) -> None:
    """The index of another partition's run had the old text under the new title."""
    other = World(tmp_path, world.store, "other")
    path = world.write("a.md", "# An old title\n\nThe lighthouse")
    world.write("b.md", "The anchor")
    world.refresh()
    before = world.store.rows("chunk_index")
    if after is None:
        path.unlink()
    else:
        world.write("a.md", after)
    halfway(world, n_stages)
    assert not is_settled(world)
    other.write("c.md", "The compass")
    other.refresh()
    shown = [row for row in world.store.rows("chunk_index") if row["partition"] == world.partition]
    assert sorted(map(repr, shown)) == sorted(map(repr, before))
    world.refresh()
    assert is_settled(world)
    titles = {row["uri"]: row["title"] for row in world.store.rows("chunk_index")}
    assert titles.get("docs:a.md") == (None if after is None else "A new title")


def test_documents_without_labels_are_settled_only_where_none_has_any(world: World) -> None:
    world.write("a.md", "The lighthouse")
    world.write("b.md", "The anchor")
    world.refresh()
    table = world.store.table("enrichments", world.partition)
    assert table is not None
    table.delete(f"document_id = '{document_id('docs:a.md')}'")
    assert not is_settled(world)
    table.delete("true")
    assert is_settled(world)
