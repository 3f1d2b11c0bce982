import os
from pathlib import Path

import pytest

from rag_assets.lake.identity import bytes_hash
from rag_assets.sources import folder, found
from rag_assets.sources.catalog import Source, SourceError
from rag_assets_tests.world import World, ingest


def row(world: World, path: str) -> dict[str, object]:
    (found,) = world.store.rows("source_files", world.partition, where=f"uri = 'docs:{path}'")
    return found


def run(world: World) -> tuple[int, int, int]:
    delta = ingest(world.store, world.source, world.partition, run_id="r").delta
    return len(delta.new), len(delta.changed), len(delta.gone)


def touch(path: Path, mtime_ns: int) -> None:
    os.utime(path, ns=(mtime_ns, mtime_ns))


def test_adds_changes_and_deletes(world: World) -> None:
    first = world.write("a.md", "one")
    world.write("sub/b.md", "two")
    assert run(world) == (2, 0, 0)
    assert world.store.get_blob(bytes_hash(b"one")) == b"one"
    assert row(world, "a.md")["raw_hash"] == bytes_hash(b"one")
    assert run(world) == (0, 0, 0)
    world.write("a.md", "other")
    world.write("c.md", "three")
    (world.root / "sub" / "b.md").unlink()
    assert run(world) == (1, 1, 1)
    first.unlink()
    assert run(world) == (0, 0, 1)
    assert world.store.has_blob(bytes_hash(b"two"))  # kept, so that history can be recomputed


def test_touched_is_not_changed(world: World) -> None:
    path = world.write("a.md", "# One\n\nsome text of the document")
    before = world.refresh()
    version = world.store.table("documents", world.partition)
    touch(path, 2_000_000_000 * 10**9)
    reports = world.stages()
    assert len(reports["source_files"].delta.changed) == 1
    assert all(reports[name].is_noop for name in reports if name != "source_files")
    after = world.store.table("documents", world.partition)
    assert version is not None
    assert after is not None
    assert after.version == version.version
    assert not world.index().is_new
    assert world.index().generation == before.generation


def test_going_back_to_an_older_state(world: World) -> None:
    versions: list[dict[str, str]] = []
    for text in ("state A of the text", "state B of the text", "state A of the text"):
        touch(world.write("a.md", text), (len(versions) + 1) * 10**9)
        versions.append({n: r.data_version for n, r in world.stages().items()})
    assert versions[0] == versions[2]
    assert all(versions[0][name] != versions[1][name] for name in ("source_files", "chunks"))


def test_missing_folder_deletes_nothing(world: World) -> None:
    world.write("a.md", "one")
    run(world)
    world.root.rename(world.root.with_name("away"))
    with pytest.raises(SourceError, match="nothing was deleted"):
        run(world)
    assert row(world, "a.md")
    world.root.with_name("away").rename(world.root)
    assert run(world) == (0, 0, 0)


def test_huge_file_is_kept_as_a_problem(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("a.md", "x" * 50)
    monkeypatch.setattr(found, "MAX_FILE_BYTES", 10)
    run(world)
    assert row(world, "a.md")["problem"] == "has 50 bytes; at most 10 are read"
    assert row(world, "a.md")["raw_hash"] == ""
    monkeypatch.undo()
    assert run(world) == (0, 1, 0)
    assert row(world, "a.md")["problem"] is None


def test_read_error_is_a_problem_until_it_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("a.md", "one")

    def refuse(stream: object) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(folder, "read_capped", refuse)
        run(world)
    assert row(world, "a.md")["problem"] == "cannot be read: Input/output error"
    run(world)
    assert row(world, "a.md")["problem"] is None
    assert run(world) == (0, 0, 0)  # it was read once more than it had to be


def test_name_that_is_not_utf8(world: World) -> None:
    (world.root / os.fsdecode(b"\xff.txt")).write_text("some text")
    assert run(world) == (1, 0, 0)
    (found,) = world.store.rows("source_files", world.partition)
    assert found["uri"] == "docs:\\udcff.txt"
    assert world.stages()["documents"].n_rows["documents"] == 1


def test_buckets_share_the_files(world: World) -> None:
    for n in range(20):
        world.write(f"{n}.md", "text")
    split = Source("docs", "folder", str(world.root), buckets=4)
    for partition in split.partitions:
        ingest(world.store, split, partition, run_id="r")
    found = [row["uri"] for p in split.partitions for row in world.store.rows("source_files", p)]
    assert sorted(found) == sorted(f"docs:{n}.md" for n in range(20))
    assert all(world.store.rows("source_files", p) for p in split.partitions)
