"""Whether a refresh would end where it began, so that none has to run."""

from collections.abc import Sequence

from rag_assets.duplicates import stage as collapse
from rag_assets.index import stage as build
from rag_assets.lake import generations
from rag_assets.lake.generations import Generation
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline.plan import RefreshPlan
from rag_assets.pipeline.stages import Models
from rag_assets.sources.buckets import partitions_to_retire
from rag_assets.sources.declaration import Source


def standing(
    store: LakeStore, sources: Sequence[Source], plan: RefreshPlan, models: Models
) -> Generation | None:
    """The live generation, if every stage of a refresh would find it up to date.

    Each stage is asked as it asks itself; a candidate that is not live, because its gate refused it
    or somebody went back behind it, is left for a run to report.

    Args:
        store: the lake; only read.
        sources: that the plan is for.
        plan: made just now.
        models: of the profile.
    """
    candidate, pointer = generations.candidate(store), generations.live(store)
    if not plan.is_empty or candidate is None or pointer is None:
        return None
    is_up_to_date = (
        pointer.generation_id == candidate.id
        and not any(partitions_to_retire(store, source) for source in sources)
        and collapse.is_current(store)
        and build.is_current(store, models.identities)
    )
    return candidate if is_up_to_date else None
