"""A stage is its room and one entry in the list: all that derives from the list picks it up.

The room is a table and a function; the entry is ``WORD_COUNTS``.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import pyarrow as pa

from rag_assets.definitions import build_defs
from rag_assets.documents.stage import TABLE as DOCUMENT_TABLE
from rag_assets.lake import cache
from rag_assets.lake.delta import Cache, StageTable, before
from rag_assets.lake.schemas import TEXT, required, stage_rows, stage_schema
from rag_assets.lake.settled import is_settled
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.lake.upkeep import tend
from rag_assets.pipeline.planning import plan_refresh
from rag_assets.pipeline.stage import Cost, Stage, changed
from rag_assets.pipeline.stages import CHUNK_INDEX, DOCUMENTS, STAGES
from rag_assets_tests.world import World

# The room.

TABLE = StageTable(
    "word_counts",
    stage_schema(required("document_id", TEXT), required("n_words", pa.int64())),
    "document_id",
)


def count_words(store: LakeStore, partition: str, ids: Sequence[str]) -> Mapping[str, pa.Table]:
    documents = store.rows(
        DOCUMENT_TABLE.name,
        partition,
        columns=["document_id", "text", DOCUMENT_TABLE.passes],
        where=f"document_id IN ({quoted(ids)})",
    )
    rows = [
        {
            "input_id": document["document_id"],
            "input_hash": document[DOCUMENT_TABLE.passes],
            "document_id": document["document_id"],
            "n_words": len(document["text"].split()),
        }
        for document in documents
    ]
    return {TABLE.name: stage_rows(TABLE.schema, rows)}


# The entry.

WORD_COUNTS = Stage(
    name=TABLE.name,
    description="How many words each document has.",
    version="1",
    upstream=(DOCUMENTS,),
    tables=(TABLE,),
    compute=lambda run, batch: count_words(run.store, batch.partition, batch.ids),
    counts="documents counted",
    cost=Cost(1000, 1.0),
)
# If answers are to see its rows, the index follows from it, too.
LISTED = changed(
    (*STAGES[:2], WORD_COUNTS, *STAGES[2:]),
    CHUNK_INDEX.name,
    upstream=(*CHUNK_INDEX.upstream, WORD_COUNTS),
)


def counts_of(world: World) -> list[int]:
    return [row["n_words"] for row in world.store.rows(TABLE.name, world.partition)]


def test_a_refresh_runs_it_and_runs_it_again_only_for_what_changed(world: World) -> None:
    world.listed = LISTED
    world.write("a.md", "One two three four.")
    world.refresh()
    assert counts_of(world) == [4]
    assert world.stages()[TABLE.name].is_noop
    world.write("a.md", "One two three four five.")
    assert len(world.stages()[TABLE.name].delta.changed) == 1
    assert counts_of(world) == [5]
    world.change_code(TABLE.name)
    assert len(world.stages()[TABLE.name].delta.changed) == 1


def test_a_plan_tells_what_it_would_do(world: World) -> None:
    world.write("a.md", "One two three four.")
    world.refresh()
    plan = plan_refresh(world.store, [world.source], world.facts, LISTED)
    (told,) = [one for one in plan.totals if one.stage == TABLE.name]
    assert told.to_compute == 1
    assert not plan.is_empty
    world.listed = LISTED
    world.refresh()
    assert plan_refresh(world.store, [world.source], world.facts, LISTED).is_empty


def test_a_partition_is_settled_when_it_has_its_rows(world: World) -> None:
    world.listed = LISTED
    world.write("a.md", "One two three four.")
    stages = before(world.named(CHUNK_INDEX.name))
    for name, step in world.steps(world.partition).items():
        if name != TABLE.name:
            step()
    assert not is_settled(world.store, world.partition, stages)
    world.step(TABLE.name)
    assert is_settled(world.store, world.partition, stages)


def test_upkeep_sweeps_its_cache(world: World) -> None:
    kept = Cache("word_cache", "row_hash")
    world.listed = changed(LISTED, TABLE.name, cache=kept)
    world.write("a.md", "One two three four.")
    world.refresh()
    cache.remember(world.store, kept.name, {"key of a row that is gone": b"7"})
    later = {"now": datetime.now(UTC) + timedelta(days=2), "dry_run": True}
    assert tend(world.store, LISTED, **later).swept.n_cached == 0
    assert tend(world.store, world.listed, **later).swept.n_cached == 1


def test_dagster_has_an_asset_of_it() -> None:
    graph = build_defs(stages=LISTED).get_repository_def().asset_graph
    asset = graph.get(dg.AssetKey(TABLE.name))
    assert asset.parent_keys == {dg.AssetKey(DOCUMENTS.name)}
    assert asset.partitions_def is not None
    assert asset.key in graph.get(dg.AssetKey(CHUNK_INDEX.name)).parent_keys
