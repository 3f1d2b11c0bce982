"""Results of model calls by what went into them: the same text is never embedded or read twice.

Shared by all partitions; refreshes only append, and upkeep takes out what nothing refers to. Two
writers may store the same key: the values are equal by construction, so whichever is read will do.

Keys are found through a scalar index. Without one every look would read all keys, and the looks of
a refresh grow with the corpus as the keys do: 20,000 keys of 11 million each time, at a million
documents. Rows that came after the index are read in full, a millisecond for each commit, so it
takes them in from time to time.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
from lancedb.index import BTree
from lancedb.table import Table

from rag_assets.lake.identity import value_hash
from rag_assets.lake.schemas import CACHE
from rag_assets.lake.store import LakeStore, quoted

MOST_UNINDEXED = 10_000  # rows: twenty commits of a refresh
UNINDEXED_SHARE = 1 / 16  # of more rows; so each key is indexed 17 times at most, on average


def key_of(content: str, made_by: str) -> str:
    """Key of what was made of a content, both by their hashes; ``made_by`` is a fingerprint."""
    return value_hash([content, made_by])


def lookup(store: LakeStore, name: str, keys: Sequence[str]) -> dict[str, bytes]:
    """Cached values of those ``keys`` that have one."""
    found: dict[str, bytes] = {}
    for start in range(0, len(keys), 1000):
        where = f"key IN ({quoted(keys[start : start + 1000])})"
        for row in store.rows(name, columns=["key", "value"], where=where):
            found[row["key"]] = row["value"]
    return found


def remember(store: LakeStore, name: str, values: Mapping[str, bytes]) -> None:
    """Add values to the cache ``name``."""
    if values:
        table = store.open_or_create(name, "all", CACHE)
        table.add(pa.table([list(values), list(values.values())], schema=CACHE))
        if _is_behind(table):
            with store.locked(name):
                table.checkout_latest()
                if _is_behind(table):  # still, after whoever held the lock
                    _index_keys(table)


def _is_behind(table: Table) -> bool:
    """Whether so many rows are missing from the index that it has to be made again."""
    n_rows = n_unindexed = int(table.count_rows())
    for index in table.list_indices():
        stats = table.index_stats(index.name)
        n_unindexed = n_rows if stats is None else int(stats.num_unindexed_rows)
    return n_unindexed >= max(MOST_UNINDEXED, n_rows * UNINDEXED_SHARE)


def _index_keys(table: Table) -> None:
    """Make the index of keys again; ``optimize`` would rewrite the values as well."""
    try:
        table.create_index("key", config=BTree(), replace=True)
    except RuntimeError as error:
        if "conflict" not in str(error).lower():  # with upkeep: the next to remember tries again
            raise
