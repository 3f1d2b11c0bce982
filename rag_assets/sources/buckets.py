"""What follows from another number of buckets: documents move from one partition to another.

A document belongs to the partition that its uri is hashed to. It is gone from its old partition as
soon as that is refreshed, or emptied because its source has it no longer, and stands in its new one
only when that was refreshed, too. Until all have arrived, the index leaves the source as it was
(``index.build``). What is still to come stands in the record ``buckets/<source>``.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from rag_assets.lake.store import LakeStore
from rag_assets.sources.catalog import source_name
from rag_assets.sources.declaration import Source

RECORDS = "buckets"
FILES = "source_files"  # the first stage's table


@dataclass(frozen=True, slots=True)
class Buckets:
    """Of a source, as its files are listed.

    Attributes:
        number: of buckets.
        move: counts the changes of the number, so that none is taken for another.
        missing: partitions that may lack files, or hold others', as they were not listed since the
            number changed; None at rest, when the index has followed.
    """

    number: int
    move: int = 0
    missing: list[str] | None = None


def expect(store: LakeStore, source: Source) -> Buckets:
    """Record the source's number of buckets, before files are listed by it."""
    known = _known(store, source.name)
    if known is None or known.number != source.buckets:
        with store.locked(f"{RECORDS}.{source.name}"):
            known = _known(store, source.name)
            if known is None and not _holding(store, source.name, 0):
                known = Buckets(source.buckets)
                _put(store, source.name, known)
            elif known is None or known.number != source.buckets:
                move = 1 if known is None else known.move + 1
                known = Buckets(source.buckets, move, source.partitions)
                _put(store, source.name, known)
    return known


def listed(store: LakeStore, name: str, move: int, partitions: Collection[str]) -> None:
    """In this move of a source's documents, these partitions have the files that are theirs."""
    with store.locked(f"{RECORDS}.{name}"):
        known = _known(store, name)
        if known is not None and known.move == move and known.missing:
            left = [partition for partition in known.missing if partition not in partitions]
            if left != known.missing:
                _put(store, name, replace(known, missing=left))


def moving(store: LakeStore) -> dict[str, Buckets]:
    """Sources whose documents are on their way, or have arrived where the index has not."""
    found = ((name, _known(store, name)) for name in store.records(RECORDS))
    return {name: of for name, of in found if of is not None and of.missing is not None}


def have_arrived(store: LakeStore, name: str, buckets: Buckets) -> bool:
    """Whether each file of a source that moves stands in its new partition, and only there."""
    return not buckets.missing and not _holding(store, name, buckets.number)


def indexed(store: LakeStore, name: str, buckets: Buckets) -> None:
    """The index has followed a move; nothing is done where another one began since."""
    with store.locked(f"{RECORDS}.{name}"):
        if _known(store, name) == buckets:
            _put(store, name, replace(buckets, missing=None))


def retire_partitions(store: LakeStore, source: Source) -> list[str]:
    """Empty the partitions that this source had and has not now; returns those that held rows.

    Their files stand in other partitions now. A partition whose retirement was killed, or to which
    a run wrote that was at work on it, still holds rows, and is retired by the next refresh.
    """
    retired = partitions_to_retire(store, source)
    for partition in retired:
        for stage in store.folders("tables"):
            table = store.table(stage, partition)
            if table is not None:
                table.delete("true")
    return retired


def partitions_to_retire(store: LakeStore, source: Source) -> list[str]:
    """Partitions that hold rows of this source and that it has not now."""
    return _holding(store, source.name, source.buckets)


def _holding(store: LakeStore, name: str, n_buckets: int) -> list[str]:
    """Partitions with rows in any table that a source of so many buckets has not."""
    kept = {f"{name}.{bucket}" for bucket in range(n_buckets)}
    former = [
        partition
        for partition in store.partitions(FILES)
        if source_name(partition) == name and partition not in kept
    ]
    stages = store.folders("tables") if former else []
    return [key for key in former if any(_has_rows(store, stage, key) for stage in stages)]


def _has_rows(store: LakeStore, stage: str, partition: str) -> bool:
    table = store.table(stage, partition)
    return table is not None and table.count_rows() > 0


def _known(store: LakeStore, name: str) -> Buckets | None:
    record = store.get_record(f"{RECORDS}/{name}")
    return None if record is None else Buckets(**record)


def _put(store: LakeStore, name: str, buckets: Buckets) -> None:
    store.put_record(f"{RECORDS}/{name}", asdict(buckets))
