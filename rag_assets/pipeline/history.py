"""What refreshes did beside what was planned; costs learn from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

from rag_assets.lake.generations import now_iso
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline.plan import DELTA, FIGURES, RefreshPlan
from rag_assets.pipeline.stage import Cost, Stage

COSTS = "plans/costs"  # record: stage -> what it cost here
FINGERPRINTS = "plans/fingerprints"  # record: fingerprint -> its parts
HISTORY = "plans/history"  # record: the newest refreshes, oldest first
MAX_KEPT = 50
KEPT = 0.8  # of what earlier refreshes weigh; the last ten then make up nine tenths
HERE, ENGINES = "this installation", "engines"
ENGINES_RAN_S = 2.0  # engines that ran already are found in less
ENGINES_START = Cost(1, 37.0, where="first refresh of the sample, 2-core AMD EPYC with AVX-512")
# A plan's figure -> what a run calls it, of a stage over partitions and of one over the corpus.
ASKED = {"calls": "model_calls", "tokens_in": "prompt_tokens", "tokens_out": "completion_tokens"}
SAID = {
    "partition": {**ASKED, **{name: name for name in DELTA}},
    "corpus": {"changed": "rows_written", "gone": "rows_deleted"},
}


class JobFigures(Protocol):
    """What a run told of itself: assets' numbers, and the time of each step that succeeded."""

    run_id: str
    partitions: tuple[str, ...]
    figures: dict[str, dict[str, float]]
    seconds: dict[str, float]


def history(store: LakeStore) -> list[dict[str, Any]]:
    """The newest refreshes, oldest first: estimated and actual figures by stage."""
    return list(store.get_record(HISTORY) or [])


def load_costs(store: LakeStore, stages: Sequence[Stage]) -> dict[str, Cost]:
    """Stage -> its cost: as measured here, or as published; also of the engines' start."""
    published = {stage.name: stage.cost for stage in stages} | {ENGINES: ENGINES_START}
    kept = store.get_record(COSTS) or {}
    return {name: Cost(**kept[name]) if name in kept else of for name, of in published.items()}


def learned(cost: Cost, units: float, figures: Mapping[str, float]) -> Cost:
    """The cost with one more refresh; the first one here replaces what was published."""
    kept = KEPT if cost.where == HERE else 0.0
    sums = {
        name: getattr(cost, name) * kept + figures.get(name, 0.0)
        for name in ("seconds", "tokens_in", "tokens_out")
    }
    return replace(cost, units=cost.units * kept + units, where=HERE, **sums) if units else cost


def actual_figures(
    stages: Sequence[Stage], runs: Sequence[JobFigures], engines_s: float
) -> dict[str, dict[str, float]]:
    """Stage -> its figures in these runs; one that did not come to its end in any is absent."""
    found: dict[str, dict[str, float]] = {}
    for run in runs:
        for stage in stages:
            said = run.figures.get(stage.name)
            if said is not None and stage.name in run.seconds:
                did = {name: said[of] for name, of in SAID[stage.scope].items() if of in said}
                did["seconds"], into = run.seconds[stage.name], found.setdefault(stage.name, {})
                into |= {name: into.get(name, 0.0) + value for name, value in did.items()}
    if engines_s > ENGINES_RAN_S:
        found[ENGINES] = {"changed": 1.0, "seconds": engines_s}
    return found


def record_refresh(
    store: LakeStore,
    plan: RefreshPlan,
    stages: Sequence[Stage],
    runs: Sequence[JobFigures],
    *,
    engines_s: float,
    plan_s: float,
    total_s: float,
) -> dict[str, Any]:
    """Keep a refresh beside its plan, and let costs learn from it; returns its entry."""
    actual = actual_figures(stages, runs, engines_s)
    planned = {one.stage: one for one in plan.totals}
    entry = {
        "at": now_iso(),
        "runs": [run.run_id for run in runs],
        "partitions": [partition.partition for partition in plan.partitions],
        "ran": [partition for run in runs for partition in run.partitions],
        "plan_seconds": round(plan_s, 3),
        "estimated_seconds": round(plan.seconds, 1),
        "actual_seconds": round(total_s, 1),
        "stages": {
            name: {
                "estimated": {figure: round(getattr(one, figure), 3) for figure in FIGURES},
                "not_exact": list(one.estimated),
                "actual": {k: round(v, 3) for k, v in actual.get(name, {}).items()},
            }
            for name, one in planned.items()
        },
    }
    with store.locked("plans"):
        costs = load_costs(store, stages)
        for name, did in actual.items():
            expected = planned[name].to_compute if name in planned else 0
            moved = did.get("new", 0) + did.get("changed", expected)
            moved = moved if did.get("calls", 1) else 0  # a cache does not say what it costs
            costs[name] = learned(costs[name], moved, did)
        store.put_record(COSTS, {k: asdict(of) for k, of in costs.items() if of.where == HERE})
        known = store.get_record(FINGERPRINTS) or {}
        store.put_record(FINGERPRINTS, {**known, **plan.fingerprints})
        store.put_record(HISTORY, [*history(store), entry][-MAX_KEPT:])
    return entry
