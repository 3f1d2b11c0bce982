"""Plans beside what came true, and rates that learn from it."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from rag_assets.cli.plan_tables import duration, history_table, sentence, size
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline import history
from rag_assets.pipeline.history import RunFigures, actual_figures, record_refresh
from rag_assets.pipeline.planning import FINGERPRINTS, plan_refresh
from rag_assets.pipeline.rates import DEFAULTS, RATES, Measured, Rate, learn, load_rates
from rag_assets_tests.pipeline.test_planning import given_pages, models_of
from rag_assets_tests.world import World


def test_the_first_measurement_replaces_the_published_one() -> None:
    rate = learn(DEFAULTS["chunks"], Measured(units=10, seconds=5.1))
    assert rate.seconds_per_unit == pytest.approx(0.5)
    assert rate.where == "this installation"
    assert rate.tokens_per_row == DEFAULTS["chunks"].tokens_per_row


def test_newer_measurements_weigh_more() -> None:
    rate = Rate(10, 10.0, idle_seconds=0.0, where="this installation")
    rate = learn(rate, Measured(units=10, seconds=30.0, tokens_in=100))
    assert rate.seconds_per_unit == pytest.approx((8 + 30) / (8 + 10))
    assert rate.tokens_in == 100


def test_a_run_without_work_says_what_a_run_costs() -> None:
    rate = learn(DEFAULTS["chunks"], Measured(units=0, seconds=0.6, n_runs=3))
    assert rate.idle_seconds == pytest.approx(0.2)
    assert rate.seconds_per_unit == DEFAULTS["chunks"].seconds_per_unit
    assert learn(rate, Measured(units=1, seconds=0.1)).seconds == 0.0
    assert learn(rate, Measured(units=0, seconds=9.0, n_gone=2)) == rate
    own = Rate(10, 10.0, idle_seconds=0.1, where="this installation")
    assert learn(own, Measured(units=0, seconds=0.6)).idle_seconds == pytest.approx(0.2)


def run(partition: str = "docs.0") -> RunFigures:
    partitioned: dict[str, dict[str, float]] = {
        name: {"new": 2, "changed": 1, "gone": 1, "unchanged": 5}
        for name in ("source_files", "documents", "sections", "chunks", "embeddings")
    }
    partitioned["embeddings"] |= {"model_calls": 2}
    counted = {"model_calls": 3, "prompt_tokens": 300, "completion_tokens": 60}
    return RunFigures(
        run_id="r",
        partitions=[partition],
        metadata={
            **partitioned,
            "rejected_documents": {"new": 2},
            "enrichments": {"new": 3, "changed": 0, "gone": 1, **counted},
            "duplicates": {"documents": 8},
            "chunk_index": {"rows_written": 7, "rows_deleted": 2},
            "index_evaluation": {},
            "live_index": {},
        },
        seconds={
            "source_files": 1.0, "normalised_documents": 6.0, "sections": 1.0, "chunks": 1.0,
            "embeddings": 2.0, "enrichments": 9.0, "duplicates": 0.5, "chunk_index": 1.0,
            "index_evaluation": 2.0, "live_index": 0.5,
        },
    )  # fmt: skip


def test_what_runs_tell_is_summed_by_stage(store: LakeStore) -> None:
    found = actual_figures(store, [run(), run("docs.1")], engines_s=40.0)
    assert found["documents"]["new"] == 4
    assert found["documents"]["seconds"] == 12.0
    assert found["documents"]["n_runs"] == 2
    assert found["enrichments"]["calls"] == 6
    assert found["enrichments"]["tokens_out"] == 120
    assert found["chunk_index"]["changed"] == 14
    assert found["duplicates"]["changed"] == 16
    assert found["index_evaluation"]["seconds"] == 5.0
    assert found["engines"]["seconds"] == 40.0
    assert not {"rejected_documents", "live_index"} & found.keys()


def test_a_step_that_failed_is_no_measurement(store: LakeStore) -> None:
    whole = run()
    failed = RunFigures(
        "r", ["docs.0"], whole.metadata, {"source_files": 1.0, "index_evaluation": 2.0}
    )
    assert list(actual_figures(store, [failed], engines_s=0.1)) == ["source_files"]


def recorded(world: World) -> dict[str, Any]:
    models = models_of(world)
    plan = plan_refresh(world.store, [world.source], models)
    world.stages()
    return record_refresh(
        world.store, plan, models, [run()], engines_s=0.0, plan_s=0.25, total_s=25.0
    )


def test_a_refresh_is_kept_beside_its_plan(world: World) -> None:
    given_pages(world)
    entry = recorded(world)
    assert history.history(world.store) == [entry]
    files = entry["stages"]["source_files"]
    assert files["estimated"]["new"] == 3
    assert files["actual"]["new"] == 2
    assert files["actual"]["n_bytes"] == files["estimated"]["n_bytes"]
    assert entry["stages"]["engines"]["actual"] == {}
    assert (entry["plan_seconds"], entry["actual_seconds"]) == (0.25, 25.0)
    assert load_rates(world.store)["enrichments"].seconds_per_unit == pytest.approx(8.9 / 3)
    after = plan_refresh(world.store, [world.source], models_of(world))
    assert after.rates["documents"] == "this installation"
    assert after.rates["engines"].startswith("published")


def test_fingerprints_and_the_newest_refreshes_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_KEPT", 2)
    given_pages(world, 1)
    entries = [recorded(world)]
    world.embedder.revision = "2"
    entries += [recorded(world), recorded(world)]
    assert history.history(world.store) == entries[1:]
    assert len(world.store.get_record(FINGERPRINTS)) == 7
    assert world.store.get_record(RATES).keys() <= DEFAULTS.keys()


def test_history_for_a_person(world: World) -> None:
    given_pages(world)
    entry = recorded(world)
    table = history_table([entry])
    rows = [list(column.cells) for column in table.columns]
    assert rows[0][1:3] == ["  source_files", "  documents"]
    assert rows[1][1] == "3"
    assert rows[1][rows[0].index("  chunk_index")] == "22 -> 7"
    assert rows[3][rows[0].index("  enrichments")] == "3"
    assert "did not end" in rows[5]  # the engines, which fakes do not need
    console = Console(width=80, file=io.StringIO())
    with console.capture() as shown:
        console.print(table)
    lines = shown.get().rstrip().splitlines()
    assert len(lines) == 4 + table.row_count
    assert "…" not in shown.get()


def test_partitions_that_a_source_has_no_longer_count_as_gone(world: World) -> None:
    given_pages(world)
    world.stages()
    models = models_of(world)
    planned = plan_refresh(world.store, [world.source], models)
    (only,) = planned.partitions
    emptied = replace(
        planned, partitions=[replace(only, stages=[replace(s, gone=3) for s in only.stages])]
    )
    elsewhere = run("docs.9")
    entry = record_refresh(
        world.store, emptied, models, [elsewhere], engines_s=0.0, plan_s=0.1, total_s=1.0
    )
    assert entry["stages"]["source_files"]["actual"]["gone"] == 1  # rows stand there still
    for name in world.store.folders("tables"):
        table = world.store.table(name, only.partition)
        if table is not None:
            table.delete("true")
    entry = record_refresh(
        world.store, emptied, models, [elsewhere], engines_s=0.0, plan_s=0.1, total_s=1.0
    )
    assert entry["stages"]["source_files"]["actual"]["gone"] == 1 + 3


def test_the_plan_in_one_line(world: World) -> None:
    given_pages(world)
    plan = plan_refresh(world.store, [world.source], models_of(world))
    assert sentence(plan).startswith("planned: 3 files to read (")
    assert "~22 texts to embed, ~3 documents to describe; about" in sentence(plan)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (150, "2 min"), (9000, "2.5 h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_sizes() -> None:
    assert [size(n) for n in (0, 999, 1500, 2.5e12)] == ["0 B", "999 B", "1.5 kB", "2.5 TB"]
