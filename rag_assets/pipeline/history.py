"""What refreshes did, beside what was planned at their start; rates learn from it.

The record ``plans/history`` holds the newest refreshes, each with the figures of every stage,
estimated and actual, summed over its partitions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag_assets.index import stage as build
from rag_assets.lake.generations import now_iso
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.pipeline.plan import FIGURES, RefreshPlan
from rag_assets.pipeline.planning import ENGINES, FINGERPRINTS, GATE
from rag_assets.pipeline.rates import DEFAULTS, Measured, remember
from rag_assets.pipeline.stages import Models, stages
from rag_assets.sources import stage as ingest

HISTORY = "plans/history"
MAX_KEPT = 50
ENGINES_RAN_S = 2.0  # engines that ran already are found in less; to start them takes half a minute

# Stage -> the Dagster steps that it is made of, where their names differ.
STEPS = {"documents": ["normalised_documents"], GATE: ["index_evaluation", "live_index"]}
GLOBAL_STAGES = ("duplicates", build.INDEX, GATE)  # look at all partitions at once
WITH_MODEL = ("embeddings", "enrichments")


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What one Dagster run told of itself.

    Attributes:
        run_id: its id.
        partitions: its partitions; none if it held global stages only.
        metadata: asset -> numbers of its materialisation's metadata.
        seconds: step -> how long it took, of those that succeeded.
    """

    run_id: str
    partitions: Sequence[str]
    metadata: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def actual_figures(
    store: LakeStore, runs: Sequence[RunFigures], engines_s: float
) -> dict[str, dict[str, float]]:
    """Stage -> its figures in these runs, and in how many of them it ran.

    A stage that did not come to its end in any is absent.

    Args:
        store: the lake, asked for the bytes that were read.
        runs: of one refresh.
        engines_s: seconds that the engines' start took.
    """
    found: dict[str, dict[str, float]] = {}
    moved = any(
        run.metadata.get("documents", {}).get(name, 0)
        for run in runs
        for name in ("new", "changed", "gone")
    )
    for run in runs:
        for asset, said in run.metadata.items():
            steps = STEPS.get(asset, [asset])
            if asset not in DEFAULTS or not all(step in run.seconds for step in steps):
                continue
            # A run over a range does as often as it has partitions what a stage does without work.
            n_runs = 1 if asset in GLOBAL_STAGES else len(run.partitions)
            figures = {**_translated(asset, said, run, moved), "n_runs": float(n_runs)}
            figures["seconds"] = sum(run.seconds[step] for step in steps)
            if asset == ingest.TABLE.name:
                figures["n_bytes"] = _bytes_read(store, run)
            into = found.setdefault(asset, {})
            for name, value in figures.items():
                into[name] = into.get(name, 0.0) + value
    if engines_s > ENGINES_RAN_S:
        found[ENGINES] = {"changed": 1.0, "seconds": engines_s, "n_runs": 1.0}
    return found


def _translated(
    asset: str, said: Mapping[str, float], run: RunFigures, moved: bool
) -> dict[str, float]:
    """An asset's metadata under the names of a plan's figures; documents ``moved`` in any run."""
    index = run.metadata.get(build.INDEX, {})
    index_moved = bool(index.get("rows_written", 0) or index.get("rows_deleted", 0))
    if asset == build.INDEX:
        return {"changed": index.get("rows_written", 0), "gone": index.get("rows_deleted", 0)}
    if asset == GATE:
        return {"changed": float(index_moved)}
    if asset == "duplicates":
        return {"changed": said.get("documents", 0) if moved else 0.0}
    figures = {name: said.get(name, 0) for name in ("new", "changed", "gone")}
    if asset in WITH_MODEL:
        figures["calls"] = said.get("model_calls", 0)
        for name, of in (("tokens_in", "prompt_tokens"), ("tokens_out", "completion_tokens")):
            if of in said:
                figures[name] = said[of]
    return figures


def _bytes_read(store: LakeStore, run: RunFigures) -> float:
    where = f"run_id = {quoted([run.run_id])}"
    return float(
        sum(
            row["size"]
            for partition in run.partitions
            for row in store.rows(ingest.TABLE.name, partition, columns=["size"], where=where)
        )
    )


def record_refresh(
    store: LakeStore,
    plan: RefreshPlan,
    models: Models,
    runs: Sequence[RunFigures],
    *,
    engines_s: float,
    plan_s: float,
    total_s: float,
) -> dict[str, Any]:
    """Keep what was estimated beside what came true, and let the rates learn from it.

    Args:
        store: the lake.
        plan: made at the refresh's start.
        models: that it was made with.
        runs: of the refresh.
        engines_s: seconds that the engines' start took.
        plan_s: seconds that the plan took.
        total_s: seconds of the whole refresh.

    Returns:
        the entry of the history.
    """
    actual = actual_figures(store, runs, engines_s)
    _add_retired(store, plan, runs, actual)
    remember(store, {name: _measured(name, figures) for name, figures in actual.items()})
    entry = {
        "at": now_iso(),
        "runs": [run.run_id for run in runs],
        "partitions": [partition.partition for partition in plan.partitions],
        "ran": [partition for run in runs for partition in run.partitions],
        "plan_seconds": round(plan_s, 3),
        "estimated_seconds": round(plan.seconds, 1),
        "actual_seconds": round(total_s, 1),
        "stages": {
            stage.stage: {
                "estimated": {name: round(getattr(stage, name), 3) for name in FIGURES},
                "not_exact": list(stage.estimated),
                "actual": {k: round(v, 3) for k, v in actual.get(stage.stage, {}).items()},
            }
            for stage in plan.totals
        },
    }
    with store.locked("plans"):
        _remember_fingerprints(store, models)
        store.put_record(HISTORY, [*history(store), entry][-MAX_KEPT:])
    return entry


def _add_retired(
    store: LakeStore,
    plan: RefreshPlan,
    runs: Sequence[RunFigures],
    actual: dict[str, dict[str, float]],
) -> None:
    """Count as gone what partitions held that their source has no longer: no run names them."""
    ran = {partition for run in runs for partition in run.partitions}
    for partition in plan.partitions:
        for stage in partition.stages:
            if partition.partition in ran or not stage.gone or stage.stage not in actual:
                continue
            table = store.table(stage.stage, partition.partition)
            if table is None or not table.count_rows():
                actual[stage.stage]["gone"] = actual[stage.stage].get("gone", 0.0) + stage.gone


def _measured(name: str, figures: Mapping[str, float]) -> Measured:
    units = figures["calls"] if name in WITH_MODEL else figures.get("new", 0) + figures["changed"]
    return Measured(
        units=int(units),
        seconds=figures["seconds"],
        n_runs=int(figures["n_runs"]),
        n_gone=int(figures.get("gone", 0)),
        tokens_in=int(figures.get("tokens_in", 0)),
        tokens_out=int(figures.get("tokens_out", 0)),
    )


def _remember_fingerprints(store: LakeStore, models: Models) -> None:
    """So that a later plan can say which part of a fingerprint differs."""
    known = store.get_record(FINGERPRINTS) or {}
    now = {stage.fingerprint: dict(stage.parts) for stage in stages(models)}
    if any(known.get(key) != parts for key, parts in now.items()):
        store.put_record(FINGERPRINTS, {**known, **now})


def history(store: LakeStore) -> list[dict[str, Any]]:
    """The newest refreshes, oldest first: estimated and actual figures by stage."""
    return list(store.get_record(HISTORY) or [])
