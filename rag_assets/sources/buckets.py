"""A source's number of buckets is fixed by its first refresh.

A document belongs to the partition that its uri is hashed to, so another number would move
documents from one partition to another. Nothing moves them: a refresh by another number is refused,
and a source that is to have one is emptied first. The number stands in the record
``buckets/<source>``.
"""

from rag_assets.lake.store import LakeStore
from rag_assets.sources.catalog import source_name
from rag_assets.sources.declaration import Source, SourceError

RECORDS = "buckets"
FILES = "source_files"  # the first stage's table


class BucketsError(SourceError):
    """A source is declared with another number of buckets than its documents are stored by."""


def check(store: LakeStore, source: Source) -> None:
    """Refuse a number of buckets other than the one that the source is stored by.

    Raises:
        BucketsError: the source holds rows by another number; nothing was changed.
    """
    number = number_of(store, source.name)
    if number == source.buckets or not (held := holding(store, source.name)):
        return
    if number is None and _fits(store, source, held):
        return
    stood = kept = f"`buckets: {number}`"
    if number is None:
        stood, kept = "another number of buckets", "that number"
    raise BucketsError(
        f"source {source.name} was first refreshed with {stood} and is declared with "
        f"`buckets: {source.buckets}` now; nothing was changed. Declare {kept} again. "
        f"To change it, empty the source first: with {kept} and `exclude: ['**/*']` run "
        f"`rag refresh {source.name} --accept-deletions`. "
        "Then declare its files with the number that you want, under this name or a new one, and "
        "refresh it"
    )


def fix(store: LakeStore, source: Source) -> None:
    """Fix the number by which the source is stored from now on, if none is fixed yet.

    Raises:
        BucketsError: the source holds rows by another number; nothing was changed.
    """
    if number_of(store, source.name) != source.buckets:
        with store.locked(f"{RECORDS}.{source.name}"):
            check(store, source)
            store.put_record(f"{RECORDS}/{source.name}", {"number": source.buckets})


def number_of(store: LakeStore, name: str) -> int | None:
    """The number by which a source is stored; None if it was never refreshed."""
    record = store.get_record(f"{RECORDS}/{name}")
    return None if record is None else int(record["number"])


def holding(store: LakeStore, name: str) -> list[str]:
    """Partitions of a source with rows in any table."""
    mine = [key for key in store.partitions(FILES) if source_name(key) == name]
    stages = store.folders("tables") if mine else []
    return [key for key in mine if any(_has_rows(store, stage, key) for stage in stages)]


def _fits(store: LakeStore, source: Source, partitions: list[str]) -> bool:
    """Whether each stored file stands in the partition that the declared number gives it."""
    return all(
        source.partition_of(row["uri"]) == partition
        for partition in partitions
        for row in store.rows(FILES, partition, columns=["uri"])
    )


def _has_rows(store: LakeStore, stage: str, partition: str) -> bool:
    table = store.table(stage, partition)
    return table is not None and table.count_rows() > 0
