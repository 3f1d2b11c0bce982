"""Index generations: immutable manifests, one of which is live.

A generation pins a Lance version of ``chunk_index``; a Lance tag of the same name keeps that
version's files from being cleaned up. ``records/live.json`` names the live one. It is replaced in a
single atomic write, so a reader sees one generation or the next, never a mixture.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from rag_assets.lake.identity import value_hash
from rag_assets.lake.store import REMEDY, LakeError, LakeStore

INDEX = "chunk_index"  # the table that a generation is a version of
LIVE = "live"
CANDIDATE = "candidate"
FOLDER = "generations"


@dataclass(frozen=True, slots=True)
class Generation:
    """The manifest of one published (or candidate) state of the index."""

    id: str  # ``g<counter>-<8 hex digits of the content>``
    created_at: str  # ISO 8601, UTC
    index_version: int  # Lance version of ``chunk_index``
    data_version: str  # hash of the index's rows; equal content, equal version
    # role -> {"model_id", "revision"} that the rows were made with
    models: dict[str, dict[str, str]]
    counts: dict[str, int]  # rows and documents
    # partition -> what was read from it (table versions), for the next delta
    inputs: dict[str, dict[str, str]]
    run_id: str  # the Dagster run that built it
    evaluation: dict[str, Any] = field(default_factory=dict)  # the gate's; empty until then
    dimension: int = 0  # floats in a vector; 0: of a generation from before it was recorded


@dataclass(frozen=True, slots=True)
class Live:
    """The pointer to the live generation.

    ``sequence`` counts every change of the pointer, so that going back to an older generation is
    a new state too (a sensor that remembered only ids would miss A -> B -> A). ``newest`` is the
    newest generation at that time: what came after it was never taken out of service.
    """

    generation_id: str
    sequence: int
    since: str
    reason: str
    newest: str = ""


Record = TypeVar("Record", Generation, Live)


def now_iso() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def generation_ids(store: LakeStore) -> list[str]:
    """Ids of all published generations, oldest first."""
    return store.records(FOLDER)


def next_id(store: LakeStore, data_version: str) -> str:
    """Id for a new generation: ids sort in order of creation, published or not."""
    before = candidate(store)
    taken = [*generation_ids(store), *([] if before is None else [before.id])]
    counter = max((int(i[1:].split("-")[0]) for i in taken), default=0) + 1
    return f"g{counter:06d}-{value_hash([counter, data_version])[:8]}"


def load(store: LakeStore, generation_id: str) -> Generation:
    """A published generation.

    Raises:
        LakeError: no generation has that id.
    """
    record = store.get_record(f"{FOLDER}/{generation_id}")
    if record is None:
        known = ", ".join(generation_ids(store)[-5:]) or "none yet"
        raise LakeError(f"no generation is called {generation_id!r}; the newest are: {known}")
    return _made(Generation, record, f"{store.uri}/records/{FOLDER}/{generation_id}.json")


def candidate(store: LakeStore) -> Generation | None:
    """The newest build of the index, published or not."""
    record = store.get_record(CANDIDATE)
    return (
        None
        if record is None
        else _made(Generation, record, f"{store.uri}/records/{CANDIDATE}.json")
    )


def put_candidate(store: LakeStore, generation: Generation) -> None:
    """Make this the candidate; nobody answers from it until it is published."""
    store.put_record(CANDIDATE, asdict(generation))


def live(store: LakeStore) -> Live | None:
    """The pointer to the live generation, or None before the first publication."""
    record = store.get_record(LIVE)
    return None if record is None else _made(Live, record, f"{store.uri}/records/{LIVE}.json")


def live_generation(store: LakeStore) -> Generation | None:
    """The manifest of the live generation, or None before the first publication."""
    pointer = live(store)
    return None if pointer is None else load(store, pointer.generation_id)


def is_there(store: LakeStore, generation: Generation) -> bool:
    """Whether the index has a published generation's rows.

    Not if the table was removed and made again: its tags went with it, and its versions mean
    other rows.
    """
    index = store.table(INDEX)
    tag = None if index is None else index.tags.list().get(generation.id)
    return tag is not None and int(tag["version"]) == generation.index_version


def publish(store: LakeStore, generation: Generation) -> Live:
    """Keep the manifest until upkeep expires it, pin its index version, make it live.

    Hold the lock ``LIVE`` around this and around what made you decide for it.
    """
    index = store.table(INDEX)
    if index is None:
        raise LakeError("there is no chunk_index to publish; run `rag refresh` first")
    if generation.id not in index.tags.list():
        index.tags.create(generation.id, generation.index_version)
    store.put_record(f"{FOLDER}/{generation.id}", asdict(generation))
    return _point(store, generation.id, "published")


def rollback(store: LakeStore, generation_id: str | None = None) -> Live:
    """Make an older generation live again; without an id, the one before the live one.

    Raises:
        LakeError: there is nothing live, nothing older, or no such generation.
    """
    with store.locked(LIVE):
        pointer = live(store)
        if pointer is None:
            raise LakeError("no generation is live yet, so there is nothing to roll back")
        if generation_id is None:
            older = [i for i in generation_ids(store) if i < pointer.generation_id]
            if not older:
                raise LakeError(
                    f"{pointer.generation_id} is the oldest generation; nothing is older"
                )
            generation_id = older[-1]
        generation = load(store, generation_id)
        if generation_id == pointer.generation_id:
            raise LakeError(f"{generation_id} is live already")
        if not is_there(store, generation):
            raise LakeError(
                f"the rows of {generation_id} are gone: the table chunk_index was removed since"
            )
        return _point(store, generation_id, "rolled back")


def _made(kind: type[Record], record: Any, path: str) -> Record:  # noqa: ANN401 - JSON
    if not isinstance(record, Mapping):
        raise LakeError(f"the record {path} is damaged: expected an object; {REMEDY}")
    known = {field.name for field in fields(kind)}
    if unknown := sorted(record.keys() - known):
        raise LakeError(
            f"a record of the lake has fields that this version does not know "
            f"({', '.join(unknown)}): a newer version of rag_assets wrote it; install that one "
            "again, restore a backup from before, or name another lake in RAG_LAKE"
        )
    try:
        return kind(**record)
    except TypeError as error:
        raise LakeError(f"the record {path} is damaged: {error}; {REMEDY}") from error


def _point(store: LakeStore, generation_id: str, reason: str) -> Live:
    before = live(store)
    sequence = 1 if before is None else before.sequence + 1
    newest = generation_ids(store)[-1]
    pointer = Live(generation_id, sequence, now_iso(), reason, newest)
    store.put_record(LIVE, asdict(pointer))
    return pointer
