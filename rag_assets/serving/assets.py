"""Asset ``live_index``: the generation that answers."""

import dagster as dg

from rag_assets.evaluations.assets import index_evaluation
from rag_assets.index.promotion import promote
from rag_assets.lake import generations
from rag_assets.lake.resource import LakeResource
from rag_assets.lake.store import LakeError

CODE_VERSION = "1"


@dg.asset(
    deps=[index_evaluation],
    group_name="index",
    kinds={"lancedb"},
    code_version=CODE_VERSION,
)
def live_index(context: dg.AssetExecutionContext, store: LakeResource) -> dg.MaterializeResult:
    """Publishes the candidate that passed its gate; one atomic write makes it live."""
    candidate = generations.candidate(store.client)
    if candidate is None:
        raise LakeError("there is no candidate index to publish; materialise chunk_index first")
    if not candidate.evaluation.get("passed"):
        raise LakeError(
            f"candidate {candidate.id} has not passed its gate; materialise index_evaluation first "
            "(if another run built it meanwhile, that run will publish it)"
        )
    promotion = promote(store.client, candidate)
    context.log.info(promotion.reason)
    live = generations.load(store.client, promotion.live.generation_id)
    return dg.MaterializeResult(
        metadata={
            "generation": live.id,
            "promoted": promotion.promoted,
            "summary": promotion.reason,
            "chunks": live.counts["chunks"],
            "documents": live.counts["documents"],
            "sequence": promotion.live.sequence,
        },
        data_version=dg.DataVersion(f"{live.id}/{promotion.live.sequence}"),
    )
