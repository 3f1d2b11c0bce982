"""What Dagster's UI shows of a run over good, bad and useless files."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from rag_assets.documents.assets import documents, normalised_documents, rejected_documents
from rag_assets.documents.checks import every_file_accounted_for
from rag_assets.lake.resource import LakeResource
from rag_assets.sources import stage as ingest
from rag_assets_tests.world import World


@pytest.fixture
def instance(world: World) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("corpus", [world.partition])
        yield made


def test_a_run_shows_languages_rejects_and_flagged_pages(
    world: World, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    world.write("good.md", "# Ferries\n\nThe ferry leaves the harbour at seven in the morning.")
    world.write("empty.md", "")
    world.write("junk.txt", "\ufffd" * 400 + " some text " + "\ufffd" * 400)
    ingest.ingest(world.store, world.source, world.partition, run_id="r")
    result = dg.materialize(
        [normalised_documents, every_file_accounted_for],
        partition_key=world.partition,
        instance=instance,
        resources={"store": LakeResource(uri=str(tmp_path / "lake"))},
    )
    shown = {
        key: result.asset_materializations_for_node("normalised_documents")[n].metadata
        for n, key in enumerate((documents.key, rejected_documents.key))
    }
    assert shown[documents.key]["languages"].value == "en 1, yue 1"
    assert "docs:junk.txt" in shown[documents.key]["kept_out_of_the_index"].value
    assert shown[rejected_documents.key]["reasons"].value == "empty 1"
    assert "| docs:empty.md | empty | expected content" in str(
        shown[rejected_documents.key]["rejects"].value
    )
    assert all(check.passed for check in result.get_asset_check_evaluations())
