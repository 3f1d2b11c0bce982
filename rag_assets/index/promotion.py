"""Promotion: make a candidate live, unless somebody took just that content out of service.

A rollback would otherwise last until the next refresh: one that finds nothing changed builds the
newest generation's content again and would publish what was rolled back. Only the newest one is
compared: where the sources themselves went back to an older state (a wrong document was added and
taken away), the old content is the right one and is published under a new id.
"""

from dataclasses import dataclass

from rag_assets.lake.generations import (
    LIVE,
    Generation,
    Live,
    generation_ids,
    is_there,
    live,
    load,
    publish,
)
from rag_assets.lake.store import LakeStore


@dataclass(frozen=True, slots=True)
class Promotion:
    """What promoting did: the live pointer now, whether it moved, and why (a sentence)."""

    live: Live
    promoted: bool
    reason: str


def promote(store: LakeStore, candidate: Generation) -> Promotion:
    """Publish the candidate unless its content is live, or newest and rolled back.

    Content is the index's rows (``data_version``) and the models that made them: the same rows
    under another embedder are another generation. A publication that was killed before the pointer
    moved is finished. A candidate that another run has built and published over is left alone.

    Raises:
        LakeError: the candidate cannot be published.
    """
    with store.locked(LIVE):
        return _promote(store, candidate)


def _promote(store: LakeStore, candidate: Generation) -> Promotion:
    pointer = live(store)
    published = generation_ids(store)
    if pointer is not None:
        current = load(store, pointer.generation_id)
        if _stands_for(store, current, candidate):
            reason = f"Nothing changed: {current.id} is live and has this content."
            return Promotion(pointer, False, reason)
        newest = load(store, published[-1])
        if candidate.id < newest.id:
            reason = f"{candidate.id} was built over: {newest.id} is newer and was published."
            return Promotion(pointer, False, reason)
        if newest.id <= pointer.newest and _stands_for(store, newest, candidate):
            reason = (
                f"Nothing changed since {newest.id}, which was taken out of service in favour of "
                f"{pointer.generation_id}. Run `rag rollback {newest.id}` to make it live again."
            )
            return Promotion(pointer, False, reason)
    pointer = publish(store, candidate)
    return Promotion(pointer, True, f"{candidate.id} is new and is live now.")


def _stands_for(store: LakeStore, published: Generation, candidate: Generation) -> bool:
    """Whether the published generation has the candidate's content, and can be read."""
    same_rows = published.data_version == candidate.data_version
    same = published.id == candidate.id or (same_rows and published.models == candidate.models)
    return same and is_there(store, published)
