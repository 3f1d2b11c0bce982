from types import ModuleType

import pytest

from rag_assets.chunks import stage as cut
from rag_assets.documents import stage as normalise
from rag_assets.embeddings import stage as embed
from rag_assets.enrichments import stage as enrich
from rag_assets.lake.delta import StageTable
from rag_assets.lake.store import LakeStore
from rag_assets.sections import stage as structure
from rag_assets.sources import stage as ingest
from rag_assets_tests.laws.histories import live_through
from rag_assets_tests.world import World, in_process, store, world

__all__ = ["in_process", "store", "world"]


@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_history_incremental_equals_rebuilt_and_costs_what_changed(seed: int) -> None:
    """More histories: ``python -m rag_assets_tests.laws.histories --histories 100``."""
    assert live_through(seed, n_steps=3) > 3


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("stage", "module", "before"),
    [
        ("documents", normalise, ingest.TABLE),
        ("sections", structure, normalise.TABLE),
        ("chunks", cut, structure.TABLE),
        ("embeddings", embed, cut.TABLE),
        ("enrichments", enrich, normalise.TABLE),
    ],
)
def test_what_another_run_wrote_after_the_listing_is_labelled_as_that(
    stage: str,
    module: ModuleType,
    before: StageTable,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = world.steps(world.partition)

    def bring(title: str) -> dict[str, str]:
        """The stages before this one, over another text; how this one would list them."""
        world.write("a.html", f"<title>{title}</title><p>Ferries leave at nine.</p>")
        for name, run in steps.items():
            if name == stage:
                break
            run()
        listed: dict[str, str] = module.upstream_hashes(world.store, before, world.partition)
        return listed

    listed, read = bring("One"), bring("Another")
    assert listed.keys() == read.keys()
    assert listed != read

    def listing(store: LakeStore, table: StageTable, partition: str) -> dict[str, str]:
        return listed

    with monkeypatch.context() as patch:
        patch.setattr(module, "upstream_hashes", listing)
        steps[stage]()
    rows = world.store.rows(stage, world.partition, columns=["input_id", "input_hash"])
    assert {row["input_id"]: row["input_hash"] for row in rows} == read
