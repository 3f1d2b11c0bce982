"""Results of model calls by what went into them: the same text is never embedded or read twice.

Append-only and shared by all partitions. Two writers may store the same key: the values
are equal by construction, so whichever is read will do.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from rag_assets.lake.schemas import CACHE
from rag_assets.lake.store import LakeStore, quoted


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
