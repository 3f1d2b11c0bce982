from dataclasses import replace

import pytest

from rag_assets.pipeline.stage import Stage, refresh_stage
from rag_assets_tests.laws.estate import PARTITIONED
from rag_assets_tests.laws.histories import live_through
from rag_assets_tests.world import World, in_process, store, world

__all__ = ["in_process", "store", "world"]


@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_history_incremental_equals_rebuilt_and_costs_what_changed(seed: int) -> None:
    """More histories: ``python -m rag_assets_tests.laws.histories --histories 100``."""
    assert live_through(seed, n_steps=3) > 3


@pytest.mark.parametrize(
    "stage", [stage for stage in PARTITIONED if stage.upstream], ids=lambda stage: str(stage.name)
)
def test_what_another_run_wrote_after_the_listing_is_labelled_as_that(
    stage: Stage, world: World
) -> None:
    def bring(title: str) -> dict[str, str]:
        """The stages before this one, over another text; how this one would list them."""
        world.write("a.html", f"<title>{title}</title><p>Ferries leave at nine.</p>")
        for name, step in world.steps(world.partition).items():
            if name == stage.name:
                break
            step()
        return dict(stage.recorded_inputs(world.store, world.partition))

    listed, read = bring("One"), bring("Another")
    assert listed.keys() == read.keys()
    assert listed != read
    with world.run() as run:
        refresh_stage(run, replace(stage, inputs=lambda *_: listed), world.partition)
    rows = world.store.rows(stage.name, world.partition, columns=["input_id", "input_hash"])
    assert {row["input_id"]: row["input_hash"] for row in rows} == read
