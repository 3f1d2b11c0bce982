"""Asset ``live_index``: the generation that answers."""

import dagster as dg

from rag_assets.evaluations.assets import index_evaluation
from rag_assets.lake import generations
from rag_assets.lake.resource import LakeResource
from rag_assets.serving.promotion import promote

CODE_VERSION = "1"


@dg.asset(
    deps=[index_evaluation],
    group_name="index",
    kinds={"lancedb"},
    code_version=CODE_VERSION,
)
def live_index(context: dg.AssetExecutionContext, store: LakeResource) -> dg.MaterializeResult:
    """Publishes the candidate that passed its gate; one atomic write makes it live."""
    promotion = promote(store.client)
    context.log.info(promotion.sentence)
    live = generations.load(store.client, promotion.live.generation_id)
    return dg.MaterializeResult(
        metadata={
            "generation": live.id,
            "summary": promotion.sentence,
            "chunks": live.counts["chunks"],
            "documents": live.counts["documents"],
            "sequence": promotion.live.sequence,
        },
        data_version=dg.DataVersion(f"{live.id}/{promotion.live.sequence}"),
    )
