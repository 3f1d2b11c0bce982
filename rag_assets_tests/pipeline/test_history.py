"""Plans beside what came true, and rates that learn from it."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from rag_assets.cli.plan_tables import history_table, partitions_table, size, totals_table
from rag_assets.orchestration.job_run import JobRun
from rag_assets.pipeline import history
from rag_assets.pipeline.history import (
    COSTS,
    ENGINES,
    FINGERPRINTS,
    HERE,
    actual_figures,
    learned,
    load_costs,
    record_refresh,
)
from rag_assets.pipeline.plan import duration
from rag_assets.pipeline.planning import plan_refresh
from rag_assets.pipeline.stage import Cost
from rag_assets.pipeline.stages import CHUNKS, STAGES
from rag_assets_tests.pipeline.test_planning import given_pages, planned_for
from rag_assets_tests.world import World


def test_the_first_measurement_replaces_the_published_one() -> None:
    cost = learned(CHUNKS.cost, 10, {"seconds": 5.0})
    assert cost.expected(1) == pytest.approx(0.5)
    assert cost.where == HERE
    assert cost.rows_per_input == CHUNKS.cost.rows_per_input


def test_newer_measurements_weigh_more() -> None:
    cost = learned(Cost(10, 10.0, where=HERE), 10, {"seconds": 30.0, "tokens_in": 100})
    assert cost.expected(1) == pytest.approx((8 + 30) / (8 + 10))
    assert cost.tokens_in == 100


def test_a_run_without_work_teaches_nothing() -> None:
    assert learned(CHUNKS.cost, 0, {"seconds": 0.6}) == CHUNKS.cost


def ran(partition: str = "docs.0") -> JobRun:
    partitioned: dict[str, dict[str, float]] = {
        name: {"new": 2, "changed": 1, "gone": 1, "unchanged": 5, "rows_written": 3}
        for name in ("source_files", "documents", "sections", "chunks", "embeddings")
    }
    partitioned["embeddings"] |= {"model_calls": 2}
    counted = {"model_calls": 3, "prompt_tokens": 300, "completion_tokens": 60}
    return JobRun(
        "r",
        partition,
        (partition,),
        figures={
            **partitioned,
            "rejected_documents": {"new": 2},
            "enrichments": {"new": 3, "changed": 0, "gone": 1, **counted},
            "duplicates": {"documents": 8},
            "chunk_index": {"rows_written": 7, "rows_deleted": 2},
            "index_evaluation": {},
            "live_index": {},
        },
        seconds={
            "source_files": 1.0, "documents": 6.0, "sections": 1.0, "chunks": 1.0,
            "embeddings": 2.0, "enrichments": 9.0, "duplicates": 0.5, "chunk_index": 1.0,
            "index_evaluation": 2.0, "live_index": 0.5,
        },
    )  # fmt: skip


def test_what_runs_tell_is_summed_by_stage() -> None:
    found = actual_figures(STAGES, [ran(), ran("docs.1")], engines_s=40.0)
    assert found["documents"]["new"] == 4
    assert found["documents"]["seconds"] == 12.0
    assert found["enrichments"]["calls"] == 6
    assert found["enrichments"]["tokens_out"] == 120
    assert (found["chunk_index"]["changed"], found["chunk_index"]["gone"]) == (14, 4)
    assert found["index_evaluation"] == {"seconds": 4.0}
    assert found["engines"]["seconds"] == 40.0
    assert found.keys() == {*(stage.name for stage in STAGES), ENGINES}


def test_a_step_that_failed_is_no_measurement() -> None:
    failed = replace(ran(), seconds={"source_files": 1.0, "unheard": 2.0})
    assert list(actual_figures(STAGES, [failed], engines_s=0.1)) == ["source_files"]


def recorded(world: World) -> dict[str, Any]:
    plan = planned_for(world)
    return record_refresh(
        world.store, plan, world.listed, [ran()], engines_s=0.0, plan_s=0.25, total_s=25.0
    )


def test_a_refresh_is_kept_beside_its_plan(world: World) -> None:
    given_pages(world)
    entry = recorded(world)
    assert history.history(world.store) == [entry]
    files = entry["stages"]["source_files"]
    assert files["estimated"]["new"] == 3
    assert files["actual"]["new"] == 2
    assert entry["stages"]["engines"]["actual"] == {}
    assert (entry["plan_seconds"], entry["actual_seconds"]) == (0.25, 25.0)
    assert load_costs(world.store, STAGES)["enrichments"].expected(1) == pytest.approx(9.0 / 3)
    after = planned_for(world)
    assert after.rates["documents"] == HERE
    assert after.rates["engines"] != HERE


def test_what_came_from_the_cache_alone_is_no_measurement(world: World) -> None:
    given_pages(world)
    run = ran()
    run.figures["enrichments"]["model_calls"] = 0
    plan = planned_for(world)
    record_refresh(world.store, plan, STAGES, [run], engines_s=0.0, plan_s=0.1, total_s=1.0)
    assert "enrichments" not in world.store.get_record(COSTS)


def test_fingerprints_and_the_newest_refreshes_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_KEPT", 2)
    given_pages(world, 1)
    entries = [recorded(world)]
    world.embedder.revision = "2"
    entries += [recorded(world), recorded(world)]
    assert history.history(world.store) == entries[1:]
    assert len(world.store.get_record(FINGERPRINTS)) == 8  # labels are of the embedder as well
    assert world.store.get_record(COSTS).keys() <= {stage.name for stage in STAGES}


def shown(table: Any) -> str:  # noqa: ANN401 - a rich Table
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    return captured.get()


@pytest.mark.parametrize("number", [3, 12_345, 1_234_567_890])
def test_nothing_of_the_tables_is_cut_at_80_columns(world: World, number: int) -> None:
    given_pages(world)
    plan = planned_for(world)
    big = dict.fromkeys(("new", "changed", "gone", "unchanged", "tokens_in"), number)
    stages = [
        replace(one, **big, calls=number if one.calls else 0) for one in plan.partitions[0].stages
    ]
    plan = replace(plan, partitions=[replace(plan.partitions[0], stages=stages)])
    for table in (totals_table(plan), partitions_table(plan)):
        text = shown(table)
        assert "…" not in text
        if number < 1_000_000:  # else digits go on in the next line
            assert f"~{number:,}" in text
            firsts = [line.split()[0] for line in text.splitlines() if line.strip()]
            assert {*map(str, table.columns[0].cells)} <= {*firsts}


def test_history_for_a_person(world: World) -> None:
    given_pages(world)
    entry = recorded(world)
    table = history_table([entry])
    rows = [list(column.cells) for column in table.columns]
    assert rows[0][1:3] == ["  source_files", "  documents"]
    assert rows[1][1] == "3"
    assert rows[1][rows[0].index("  chunk_index")] == "21 -> 7"
    assert rows[3][rows[0].index("  enrichments")] == "3"
    assert "did not end" in rows[5]  # the engines, which fakes do not need
    assert len(shown(table).rstrip().splitlines()) == 4 + table.row_count
    assert "…" not in shown(table)


def test_the_plan_in_one_line(world: World) -> None:
    given_pages(world)
    assert (
        planned_for(world)
        .sentence()
        .startswith(
            "planned: 3 files to read, 0 gone, ~21 chunks embedded, ~3 documents described; about "
        )
    )
    source = replace(world.source, where=str(world.root / "nowhere"))
    away = plan_refresh(world.store, [source], world.facts)
    assert away.sentence() == "planned: nothing, no source can be read"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (150, "2 min"), (9000, "2.5 h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_sizes() -> None:
    assert [size(n) for n in (0, 999, 1500, 2.5e12)] == ["0 B", "999 B", "1.5 kB", "2.5 TB"]
