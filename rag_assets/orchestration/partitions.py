"""Partitions of the corpus as Dagster knows them, and ranges of them that one run takes."""

import warnings
from collections.abc import Callable, Iterable, Sequence, Set

import dagster as dg

from rag_assets.lake.store import LakeStore
from rag_assets.orchestration.dagster_private import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from rag_assets.sources.buckets import holding
from rag_assets.sources.catalog import Catalog, source_name

# A partition is <source>.<bucket>; never a document: Dagster's own limit is 100,000 an asset.
corpus_partitions = dg.DynamicPartitionsDefinition(name="corpus")
# Beta in 1.13, and said six times at every start of a command; what we use of it is tested.
warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
# A run takes some 5 s to start and each of its partitions some 0.1 s at the least: 4,096 partitions
# are 64 runs instead of 4,096. More at once would cost more when one of them fails.
PARTITIONS_PER_RUN = 64
corpus_backfills = dg.BackfillPolicy.multi_run(max_partitions_per_run=PARTITIONS_PER_RUN)


def partition_ranges(
    instance: dg.DagsterInstance,
    partitions: Iterable[str],
    at_most: int = PARTITIONS_PER_RUN,
    needed: Set[str] | None = None,
) -> list[tuple[str, ...]]:
    """Register partitions with an instance and group them into ranges, a run for each.

    A range has ``at_most`` so many keys, and ends where those that are ``needed`` do (None: all
    are). What lies between two of them stays, as it costs less than another run.
    """
    keys = list(dict.fromkeys(partitions))
    instance.add_dynamic_partitions(str(corpus_partitions.name), keys)
    found = ranges(keys, instance.get_dynamic_partitions(str(corpus_partitions.name)), at_most)
    if needed is None:
        return found
    trimmed = []
    for group in found:
        at = [place for place, key in enumerate(group) if key in needed]
        if at:
            trimmed.append(group[at[0] : at[-1] + 1])
    return trimmed


def forget_partitions(
    instance: dg.DagsterInstance, store: LakeStore, catalog: Callable[[], Catalog]
) -> list[str]:
    """Take out of Dagster's list what belongs to no source and holds no row; returns those."""
    # Read first: what is registered after it may be of a source that is declared after it.
    registered = instance.get_dynamic_partitions(str(corpus_partitions.name))
    declared = {key for source in catalog().values() for key in source.partitions}
    others = [key for key in registered if key not in declared]
    held = {key for name in set(map(source_name, others)) for key in holding(store, name)}
    gone = [key for key in others if key not in held]
    for key in gone:
        instance.delete_dynamic_partition(str(corpus_partitions.name), key)
    return gone


def ranges(
    partitions: Sequence[str], registered: Sequence[str], at_most: int
) -> list[tuple[str, ...]]:
    """Group partitions into ranges.

    Dagster takes a range of dynamic partitions to be whatever was registered from its start to its
    end, so a range here holds keys that follow one another there, and those of one source only: a
    source that cannot be read stops nobody else. Sources come in the order in which they are first
    named.
    """
    place = {key: n for n, key in enumerate(registered)}
    named = {name: n for n, name in enumerate(dict.fromkeys(map(source_name, partitions)))}
    found: list[list[str]] = []
    for key in sorted(partitions, key=lambda key: (named[source_name(key)], place[key])):
        last = found[-1] if found else []
        if (
            0 < len(last) < at_most
            and place[key] == place[last[-1]] + 1
            and source_name(key) == source_name(last[-1])
        ):
            last.append(key)
        else:
            found.append([key])
    return [tuple(keys) for keys in found]


def range_name(keys: Sequence[str]) -> str:
    """What a person calls the partitions of a range: its one key, or ``docs.0 to docs.63``."""
    return keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"


def range_tags(keys: Sequence[str]) -> dict[str, str]:
    """Tags of a run over this range: its source, and what makes Dagster run a range.

    The latter are those of a backfill's runs, and there is no other way to ask for a range. A
    single key Dagster takes as such.
    """
    tags = {"source": source_name(keys[0])} if keys else {}
    if len(keys) > 1:
        tags[ASSET_PARTITION_RANGE_START_TAG] = keys[0]
        tags[ASSET_PARTITION_RANGE_END_TAG] = keys[-1]
    return tags
