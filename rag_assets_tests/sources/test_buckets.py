from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
import yaml

from rag_assets.lake.resource import LakeResource
from rag_assets.sources.assets import source_files
from rag_assets.sources.buckets import retire_partitions
from rag_assets.sources.resource import SourcesResource
from rag_assets.sources.stage import ingest
from rag_assets_tests.world import World


@pytest.fixture
def split(world: World) -> World:
    """Twelve files in four partitions, and a later table of each."""
    for n in range(12):
        world.write(f"{n}.md", f"text {n}")
    source = replace(world.source, buckets=4)
    for partition in source.partitions:
        ingest(world.store, source, partition, run_id="r")
        rows = world.store.read("source_files", partition)
        assert rows is not None
        world.store.open_or_create("documents", partition, rows.schema).add(rows)
    return world


def n_rows(world: World, stage: str) -> dict[str, int]:
    return {key: len(world.store.rows(stage, key)) for key in world.store.partitions(stage)}


def test_fewer_buckets_leave_nothing_behind(split: World) -> None:
    assert all(n_rows(split, "source_files").values())
    source = replace(split.source, buckets=2)
    gone = ["docs.2", "docs.3"]
    assert retire_partitions(split.store, source) == gone
    for stage in ("source_files", "documents"):
        assert [key for key, n in n_rows(split, stage).items() if n == 0] == gone
    versions = {key: split.store.table("documents", key).version for key in gone}  # type: ignore[union-attr]
    assert retire_partitions(split.store, source) == []
    assert versions == {key: split.store.table("documents", key).version for key in gone}  # type: ignore[union-attr]


def test_a_killed_retirement_is_finished(split: World) -> None:
    for key in ("docs.2", "docs.3"):
        table = split.store.table("documents", key)
        assert table is not None
        table.delete("true")
    assert retire_partitions(split.store, replace(split.source, buckets=2)) == ["docs.2", "docs.3"]


def test_partitions_of_other_sources_stay(split: World) -> None:
    before = n_rows(split, "source_files")
    assert retire_partitions(split.store, replace(split.source, name="doc")) == []
    assert n_rows(split, "source_files") == before


def test_a_refresh_retires_and_forgets_the_key(split: World, tmp_path: Path) -> None:
    declared = tmp_path / "sources.yaml"
    one = {"name": "docs", "kind": "folder", "where": str(split.root), "buckets": 2}
    declared.write_text(yaml.safe_dump({"sources": [one]}))
    keys = [f"docs.{n}" for n in range(4)]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("corpus", keys)
        resources = {
            "store": LakeResource(uri=split.store.uri),
            "sources": SourcesResource(file=str(declared)),
        }
        for key in keys[:2]:
            done = dg.materialize(
                [source_files], partition_key=key, instance=instance, resources=resources
            )
            assert done.success
        assert sorted(instance.get_dynamic_partitions("corpus")) == keys[:2]
    held = n_rows(split, "source_files")
    assert (held["docs.0"] + held["docs.1"], held["docs.2"], held["docs.3"]) == (12, 0, 0)
