"""Promotion: make a candidate live, unless somebody rolled back exactly this content.

Without this rule a rollback would last only until the next refresh: a refresh that finds nothing
changed builds the newest generation's content again, and would publish what was rolled back. Only
the newest generation is compared. If the sources themselves returned to an older state (a wrong
document was added and removed), the old content is right and is published under a new id.
"""

from dataclasses import dataclass

from rag_assets.lake.figures import Outcome, Value
from rag_assets.lake.generations import (
    LIVE,
    Generation,
    Live,
    candidate,
    generation_ids,
    is_there,
    live,
    load,
    publish,
)
from rag_assets.lake.store import LakeError, LakeStore

VERSION = "1"


@dataclass(frozen=True, slots=True)
class Promotion:
    """What promoting did: the live pointer now, whether it moved, and why (a sentence)."""

    live: Live
    promoted: bool
    reason: str


def publish_candidate(store: LakeStore) -> Outcome:
    """Make the candidate that passed its gate live.

    Raises:
        LakeError: there is none, or it did not pass.
    """
    newest = candidate(store)
    if newest is None:
        raise LakeError("there is no candidate index to publish; materialise chunk_index first")
    if not newest.evaluation.get("passed"):
        raise LakeError(
            f"candidate {newest.id} has not passed its gate; materialise index_evaluation first "
            "(if another run built it meanwhile, that run will publish it)"
        )
    promotion = promote(store, newest)
    now = load(store, promotion.live.generation_id)
    figures: dict[str, Value] = {
        "generation": now.id,
        "promoted": promotion.promoted,
        "summary": promotion.reason,
        "chunks": now.counts["chunks"],
        "documents": now.counts["documents"],
        "sequence": promotion.live.sequence,
    }
    return Outcome(f"{now.id}/{promotion.live.sequence}", figures, [promotion.reason])


def promote(store: LakeStore, built: Generation) -> Promotion:
    """Publish the candidate unless its content is live, or newest and rolled back.

    Content is the index's rows (``data_version``) and the models that made them: the same rows
    under another embedder are another generation. A publication that was killed before the pointer
    moved is finished. A candidate that another run has built and published over is left alone.

    Raises:
        LakeError: the candidate cannot be published.
    """
    with store.locked(LIVE):
        pointer = live(store)
        if pointer is not None and (reason := _why_not(store, pointer, built)):
            return Promotion(pointer, False, reason)
        return Promotion(publish(store, built), True, f"{built.id} is new and is live now.")


def _why_not(store: LakeStore, pointer: Live, built: Generation) -> str | None:
    current = load(store, pointer.generation_id)
    if _stands_for(store, current, built):
        return f"Nothing changed: {current.id} is live and has this content."
    newest = load(store, generation_ids(store)[-1])
    if built.id < newest.id:
        return f"{built.id} was built over: {newest.id} is newer and was published."
    if newest.id <= pointer.newest and _stands_for(store, newest, built):
        return (
            f"Nothing changed since {newest.id}, which was taken out of service in favour of "
            f"{pointer.generation_id}. Run `rag rollback {newest.id}` to make it live again."
        )
    return None


def _stands_for(store: LakeStore, published: Generation, built: Generation) -> bool:
    """Whether the published generation has the candidate's content, and can be read."""
    same_rows = published.data_version == built.data_version
    same = published.id == built.id or (same_rows and published.models == built.models)
    return same and is_there(store, published)
