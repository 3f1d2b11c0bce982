import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.lake.store import LakeStore
from rag_assets.sources.declaration import Source, SourceShrunkError, WebOptions
from rag_assets.sources.stage import has_shrunk, n_stored
from rag_assets_tests.sources.site import Site
from rag_assets_tests.world import World, ingest


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
