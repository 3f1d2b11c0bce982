"""Checks on ``index_evaluation``: the gate that keeps a worse index from going live."""

import dagster as dg

from rag_assets.evaluations.assets import index_evaluation
from rag_assets.lake import generations
from rag_assets.lake.resource import LakeResource


@dg.asset_check(asset=index_evaluation, blocking=True)
def candidate_may_go_live(store: LakeResource) -> dg.AssetCheckResult:
    """The candidate is complete and not worse than the live generation beyond the tolerance."""
    candidate = generations.candidate(store.client)
    if candidate is None or not candidate.evaluation:
        return dg.AssetCheckResult(passed=False, description="the candidate was never evaluated")
    pointer = generations.live(store.client)
    serving = "nothing" if pointer is None else pointer.generation_id
    return dg.AssetCheckResult(
        passed=bool(candidate.evaluation["passed"]),
        description="; ".join(candidate.evaluation["reasons"]),
        metadata={"candidate": candidate.id, "live": serving},
    )
