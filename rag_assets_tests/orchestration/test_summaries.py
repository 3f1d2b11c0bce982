"""What Dagster's UI shows of a run over good, bad and useless files."""

import json
from pathlib import Path

import dagster as dg

from rag_assets.lake.figures import Table
from rag_assets.lake.store import LakeStore
from rag_assets.orchestration.assets import assets_of, checks_of, markdown_table
from rag_assets.pipeline.stages import DOCUMENTS, STAGES
from rag_assets_tests.duplicates.shelf import printed, put, text
from rag_assets_tests.orchestration.graph import resources_of
from rag_assets_tests.world import World, ingest


def test_a_run_shows_languages_rejects_and_flagged_pages(world: World, tmp_path: Path) -> None:
    world.write("good.md", "# Ferries\n\nThe ferry leaves the harbour at seven in the morning.")
    world.write("empty.md", "")
    world.write("junk.txt", "\ufffd" * 400 + " some text " + "\ufffd" * 400)
    ingest(world.store, world.source, world.partition)
    declared = tmp_path / "sources.yaml"
    source = {"name": "docs", "kind": "folder", "where": str(world.root)}
    declared.write_text(json.dumps({"sources": [source]}))
    checks = checks_of([DOCUMENTS])
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("corpus", [world.partition])
        result = dg.materialize(
            [*assets_of(STAGES), *checks],
            partition_key=world.partition,
            instance=instance,
            selection=dg.AssetSelection.assets("documents", "rejected_documents")
            | dg.AssetSelection.checks(*checks),
            resources=resources_of(world.store, declared),
        )
    events = result.asset_materializations_for_node("documents")
    shown = {event.asset_key.to_user_string(): event.metadata for event in events}
    assert shown["documents"]["languages"].value == "en 1, yue 1"
    assert "docs:junk.txt" in str(shown["documents"]["kept_out_of_the_index"].value)
    assert shown["rejected_documents"]["reasons"].value == "empty 1"
    assert "| docs:empty.md | empty | expected content" in str(
        shown["rejected_documents"]["rejects"].value
    )
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("every_file_accounted_for", True)


def test_a_run_shows_aliases_and_related_pairs(store: LakeStore, tmp_path: Path) -> None:
    put(store, {"s:a": text(), "s:bb": printed(text()), "s:ccc": text(changed=34)})
    result = dg.materialize(
        assets_of(STAGES),
        selection=dg.AssetSelection.assets("duplicates"),
        resources=resources_of(store, tmp_path / "sources.yaml"),
    )
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert metadata["dagster/row_count"].value == 1
    assert (metadata["n_verified"].value, metadata["related_similar"].value) == (2, 1)
    assert "| s:bb | s:a | near | 0.98 |" in str(metadata["aliases"].value)
    assert "| s:ccc | s:a | similar | 0.71 | 0.83 |" in str(metadata["related"].value)


def test_table_of_what_was_left_out() -> None:
    assert markdown_table(Table(("text", "pages"), [])) == "none"
    shown = markdown_table(Table(("text", "pages"), [("Home | Fares\nContact", "8 of 9")]))
    assert shown.splitlines()[2] == "| Home \\| Fares Contact | 8 of 9 |"
