"""Which partitions one run takes, and that a run over a range does what single runs do."""

from functools import partial
from pathlib import Path

import dagster as dg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.lake.store import LakeStore
from rag_assets.orchestration import in_process as running
from rag_assets.orchestration.assets import assets_of, checks_of
from rag_assets.orchestration.on_cluster import partitions_per_run
from rag_assets.orchestration.partitions import (
    corpus_partitions,
    forget_partitions,
    partition_ranges,
    range_name,
    range_tags,
    ranges,
)
from rag_assets.pipeline.stages import SOURCE_FILES, STAGES
from rag_assets.sources.catalog import Catalog, Source, source_name
from rag_assets.sources.removal import emptied
from rag_assets_tests.orchestration.graph import resources_of
from rag_assets_tests.tables import assert_equal_lakes
from rag_assets_tests.world import World, ingest

keys = st.builds("{}.{}".format, st.sampled_from("ab"), st.integers(0, 6))


@given(st.lists(keys, unique=True, min_size=1), st.data(), st.integers(1, 4))
def test_ranges_hold_what_was_asked_and_nothing_else(
    registered: list[str], data: st.DataObject, at_most: int
) -> None:
    asked = data.draw(st.lists(st.sampled_from(registered), unique=True))
    found = ranges(asked, registered, at_most)
    assert sorted(key for one in found for key in one) == sorted(asked)
    for one in found:
        assert len(one) <= at_most
        assert len(set(map(source_name, one))) == 1
        # What Dagster makes of the range's two ends.
        assert list(one) == registered[registered.index(one[0]) : registered.index(one[-1]) + 1]
    named = list(dict.fromkeys(map(source_name, asked)))
    assert list(dict.fromkeys(source_name(one[0]) for one in found)) == named


def test_a_key_registered_later_is_a_range_of_its_own() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(corpus_partitions.name), ["a.0", "a.1", "a.3", "b.0"])
        found = partition_ranges(instance, ["a.0", "a.1", "a.2", "a.3"])
    assert found == [("a.0", "a.1", "a.3"), ("a.2",)]
    assert [range_name(one) for one in found] == ["a.0 to a.3", "a.2"]
    assert range_tags(found[1]).keys() == {"source"}


def test_ranges_end_where_the_work_does() -> None:
    keys = [f"a.{n}" for n in range(8)]
    with dg.DagsterInstance.ephemeral() as instance:

        def needing(*needed: str) -> list[tuple[str, ...]]:
            return partition_ranges(instance, keys, 4, needed=set(needed))

        assert needing() == []
        assert needing("a.1", "a.3") == [("a.1", "a.2", "a.3")]
        assert needing("a.7", "a.0") == [("a.0",), ("a.7",)]
        registered = instance.get_dynamic_partitions(str(corpus_partitions.name))
    assert list(registered) == keys


@pytest.mark.parametrize(
    ("n_partitions", "runs_at_once", "expected"),
    [(1, 4, 1), (32, 4, 1), (63, 4, 1), (128, 4, 4), (4096, 4, 64), (4096, 32, 16)],
)
def test_on_a_cluster_few_partitions_are_spread_and_many_grouped(
    n_partitions: int, runs_at_once: int, expected: int
) -> None:
    assert partitions_per_run(n_partitions, runs_at_once) == expected


def test_partitions_that_nobody_declares_and_that_hold_nothing_leave_the_list(
    world: World, tmp_path: Path
) -> None:
    world.write("a.md", "text")
    ingest(world.store, world.source, world.partition)
    known = Catalog([Source("new", "folder", str(tmp_path), buckets=2)])
    with dg.DagsterInstance.ephemeral() as instance:
        listed = ["docs.0", "new.0", "new.1", "new.2", "old.0"]
        instance.add_dynamic_partitions("corpus", listed)
        assert forget_partitions(instance, world.store, lambda: known) == ["new.2", "old.0"]
        assert instance.get_dynamic_partitions("corpus") == ["docs.0", "new.0", "new.1"]
        source = emptied(world.store, "docs")
        ingest(world.store, source, "docs.0", accept_deletions=True)
        assert forget_partitions(instance, world.store, lambda: known) == ["docs.0"]


# The whole line over ranges


@pytest.fixture
def declared(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Source ``docs`` in 4 partitions, ``other`` in one; returns the file that says so."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    entries = []
    for name, n_files, n_buckets in (("docs", 16, 4), ("other", 1, 1)):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for n in range(n_files):  # some say what another says
            (folder / f"{n}.md").write_text(f"# Page\n\nFerry {n % 12} calls at pier {n % 7}.")
        entries.append({"name": name, "kind": "folder", "where": str(folder), "enrich": False,
                        "buckets": n_buckets})  # fmt: skip
    path = tmp_path / "sources.yaml"
    path.write_text(yaml.safe_dump({"sources": entries}))
    return path


PARTITIONS = [*(f"docs.{n}" for n in range(4)), "other.0"]


def refresh(
    lake: LakeStore, declared: Path, at_most: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[running.JobRun], list[str], dict[str, int]]:
    """What was run and told, and the rows that each partition's event shows."""
    told: list[str] = []
    made = dg.Definitions(
        assets_of(STAGES),
        asset_checks=checks_of(STAGES),
        jobs=[dg.define_asset_job("refresh_job", selection="*")],
        resources=resources_of(lake, declared),
    )
    monkeypatch.setattr(running, "repository_of", made.get_repository_def)
    monkeypatch.setattr(running, "partition_ranges", partial(partition_ranges, at_most=at_most))
    with dg.DagsterInstance.ephemeral() as instance:
        runs = running.run_refresh_job(instance, PARTITIONS, told.append)
        page = instance.fetch_materializations(dg.AssetKey("source_files"), limit=100)
    assert [run.errors for run in runs] == [[]] * len(runs)
    shown = {}
    for record in page.records:
        materialization = record.asset_materialization
        assert materialization is not None
        n_rows = materialization.metadata["dagster/row_count"].value
        shown[str(materialization.partition)] = int(str(n_rows))
    return runs, told, shown


def test_a_run_over_a_range_makes_what_single_runs_make(
    declared: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, told, shown = refresh(world.store, declared, 3, monkeypatch)
    assert [run.what for run in runs] == ["docs.0 to docs.2", "docs.3", "other.0"]
    assert told[0] == "run 1 of 3: docs.0 to docs.2"
    figures = [run.figures["source_files"] for run in runs]
    assert sum(one["new"] for one in figures) == 17
    assert [text for text in told if "source_files has" in text] == [
        f"  source_files has {int(one['dagster/row_count'])} rows" for one in figures
    ]

    single = LakeStore(str(tmp_path / "single"))
    alone, _, shown_alone = refresh(single, declared, 1, monkeypatch)
    assert [run.what for run in alone] == PARTITIONS
    assert shown == shown_alone
    assert shown.keys() == set(PARTITIONS)
    assert_equal_lakes(world.store, single)


def test_a_range_names_the_partitions_of_a_removed_source_and_goes_on(
    declared: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = yaml.safe_load(declared.read_text())["sources"]
    third = declared.parent / "third"
    third.mkdir()
    (third / "a.md").write_text("The third pier is closed.")
    named = ["other", "removed", "third"]
    entries = [{**entries[1], "name": name, "where": str(third)} for name in named]
    declared.write_text(yaml.safe_dump({"sources": [entries[0], entries[2]]}))
    keys = [f"{name}.0" for name in named]

    def ran(*partitions: str) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("corpus", keys)
            single = {"dagster/partition": partitions[0]}
            ends = zip(("start", "end"), partitions, strict=False)
            many = {f"dagster/asset_partition_range_{end}": key for end, key in ends}
            return dg.materialize(
                assets_of([SOURCE_FILES]),
                instance=instance,
                resources=resources_of(world.store, declared),
                tags=many if len(partitions) > 1 else single,
                raise_on_error=False,
            )

    assert ran("other.0", "third.0").success
    assert world.store.partitions("source_files") == ["other.0", "third.0"]
    alone = ran("removed.0")
    assert not alone.success
    (event,) = alone.get_step_failure_events()
    said = str(event.step_failure_data.error)
    assert "removed.0 belong to no declared source and stay as they are" in said
    assert "`rag sources remove removed`" in said
