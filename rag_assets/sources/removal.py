"""Taking a source out: what was made of its files goes, then what the lake knows of it.

The source is kept in the lake as one that lists nothing, until a refresh has deleted its rows. So a
removal that was cut off is done again by the same command.

What is to be erased, a source or a document, is named here as well.
"""

import os
from collections.abc import Collection
from dataclasses import asdict, dataclass

from rag_assets.lake.store import LakeStore
from rag_assets.sources import buckets
from rag_assets.sources.catalog import ADDED, DECLARED, Catalog, added, source_name
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.listing import opened
from rag_assets.sources.stage import COUNTS, TABLE, listed, n_stored

PURGING = "purging"  # record: what is being erased; there until nothing of it is left


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be erased.

    Attributes:
        source: name of it.
        uri: of a document of it; "" for all of the source.
    """

    source: str
    uri: str = ""

    @property
    def name(self) -> str:
        """As a person names it."""
        return self.uri or self.source

    def is_named(self, uri: str) -> bool:
        """Whether a document's uri is of what is to be erased."""
        return uri == self.uri if self.uri else uri.startswith(f"{self.source}:")


def target_of(store: LakeStore, known: Catalog, declared: Catalog, given: str) -> Target:
    """The source or document of this name, if nothing would bring it back.

    Args:
        store: the lake.
        known: all sources.
        declared: those of sources.yaml.
        given: name of a source, or uri of a document.

    Raises:
        SourceError: a source of that name is declared or never was; or the source of that document
            lists it still, or cannot be listed.
    """
    name, colon, place = given.partition(":")
    faults = {one.name: one.problem for one in known.faults if one.name}
    begun = (store.get_record(PURGING) or {}).get("source", "")
    stored = map(source_name, store.partitions(TABLE.name))  # rows, or versions that had some
    names = {*known, *faults, *stored, begun} - {""}
    if name not in names:
        raise SourceError(
            f"no source is called {name}; the lake holds {', '.join(sorted(names)) or 'none'}. "
            "Name one of them, or the uri of a document, such as docs:plan.pdf"
        )
    if not colon:
        if name in declared or name in {one.name for one in declared.faults}:
            raise SourceError(
                f"source {name} is declared in sources.yaml; take it out there first, else the "
                "next refresh would bring it back"
            )
        return Target(name)
    if not place:
        raise SourceError(f"expected the uri of a document, such as docs:plan.pdf, got {given!r}")
    if name in faults:
        raise SourceError(f"whether {given} is gone at its source cannot be told: {faults[name]}")
    if name in known:
        with opened(known[name]) as listing:
            found = next((one for one in listed(listing, True) if one.uri == given), None)
        if found is not None:
            raise SourceError(
                f"{given} stands at its source still ({found.path}), and the next refresh would "
                "bring it back; delete it there, or leave it out by `exclude` in sources.yaml"
            )
    return Target(name, given)


def partitions_of(store: LakeStore, tables: Collection[str], source: str) -> list[str]:
    """Partitions of a source that one of these tables has."""
    found = {key for table in tables for key in store.partitions(table)}
    return sorted(key for key in found if source_name(key) == source)


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
    for folder in (ADDED, DECLARED, buckets.RECORDS, COUNTS):
        store.remove(f"records/{folder}/{name}.json")


def forget_partitions(store: LakeStore, partitions: Collection[str]) -> None:
    """Delete what stages recorded of partitions that have no tables any more."""
    for folder in store.folders("records"):
        for partition in partitions:
            store.remove(f"records/{folder}/{partition}.json")


def _stored(store: LakeStore, name: str) -> Source:
    """A source of which only its rows are known."""
    keys = [key for key in store.partitions(TABLE.name) if source_name(key) == name]
    last = max((int(key.rpartition(".")[2]) for key in keys), default=0)
    number = buckets.number_of(store, name) or 1 << last.bit_length()
    return Source(name, "folder", os.devnull, buckets=number, enrich="none")  # it is no folder
