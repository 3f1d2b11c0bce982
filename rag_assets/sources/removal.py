"""Taking a source out: what was made of its files goes, then what the lake knows of it.

The source is kept in the lake as one that lists nothing, until a refresh has deleted its rows. So a
removal that was cut off is done again by the same command.
"""

import os
from collections.abc import Collection
from dataclasses import asdict

from rag_assets.lake.store import LakeStore
from rag_assets.sources import buckets
from rag_assets.sources.catalog import ADDED, added, source_name
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.stage import COUNTS, TABLE, n_stored


def undeclared(store: LakeStore, known: Collection[str]) -> dict[str, int]:
    """Sources that hold files and are not among the ``known`` ones: name -> files."""
    names = {source_name(key) for key in store.partitions(TABLE.name)} - {*known}
    found = {name: n_stored(store, _stored(store, name)) for name in sorted(names)}
    return {name: n_files for name, n_files in found.items() if n_files}


def removable(store: LakeStore, name: str) -> Source:
    """The source as the lake holds it.

    Raises:
        SourceError: the lake knows no such source.
    """
    known = added(store)
    names = {*known, *(one.name for one in known.faults)}
    if name not in names and not buckets.holding(store, name):
        names |= undeclared(store, names).keys()
        raise SourceError(
            f"no source is called {name}; the lake holds {', '.join(sorted(names)) or 'none'}"
        )
    return _stored(store, name)


def emptied(store: LakeStore, name: str) -> Source:
    """The source as one that lists nothing; a refresh that accepts deletions empties it.

    Raises:
        SourceError: the lake knows no such source.
    """
    source = removable(store, name)
    store.put_record(f"{ADDED}/{name}", asdict(source))
    return source


def forget(store: LakeStore, name: str) -> None:
    """Delete the records of a source that holds nothing any more."""
    for folder in (ADDED, buckets.RECORDS, COUNTS):
        store.remove(f"records/{folder}/{name}.json")


def _stored(store: LakeStore, name: str) -> Source:
    """A source of which only its rows are known."""
    keys = [key for key in store.partitions(TABLE.name) if source_name(key) == name]
    last = max((int(key.rpartition(".")[2]) for key in keys), default=0)
    number = buckets.number_of(store, name) or 1 << last.bit_length()
    return Source(name, "folder", os.devnull, buckets=number, enrich="none")  # it is no folder
