"""What the partitions of the index are made from, which of them changed, and which wait."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from lancedb.table import Table

from rag_assets.access.file import Readers
from rag_assets.documents import stage as documents
from rag_assets.lake.delta import LakeStage, before, upstream_hashes
from rag_assets.lake.identity import value_hash
from rag_assets.lake.settled import is_settled
from rag_assets.lake.store import LakeStore, quoted, scan

FIGURES = ("rows", "n_chunks", "n_documents")  # of a partition, beside its inputs in the record
_ORPHANS = "orphans"  # copies in a partition that no other document stands for any more


@dataclass(frozen=True, slots=True)
class Aliases:
    """Documents that say the same, and which of them represents which others in the index.

    Attributes:
        canonical_of: id of a document without rows -> of the one that represents it.
        uris_of: id of a document with rows -> uris of all others that say the same, sorted.
        copies_of: likewise, of those with the same text.
        newest_of: id of a superseded document -> uri and title of the newest version.
    """

    canonical_of: dict[str, str] = field(default_factory=dict)
    uris_of: dict[str, list[str]] = field(default_factory=dict)
    copies_of: dict[str, list[str]] = field(default_factory=dict)
    newest_of: dict[str, tuple[str, str]] = field(default_factory=dict)


def _aliases(store: LakeStore, readers: Readers) -> Aliases:
    """What represents what: among the documents that say the same, one for each set of readers.

    A document that only some may read would hide a copy from all others.
    """
    found = Aliases(newest_of=_newest(store))
    alike: dict[str, list[dict[str, Any]]] = {}
    for row in store.rows("duplicates"):
        alike.setdefault(row["canonical_id"], []).append(row)
    for canonical, rows in sorted(alike.items()):
        first = {"document_id": canonical, "uri": rows[0]["canonical_uri"], "kind": "exact"}
        members = [first, *sorted(rows, key=_preference)]
        standing: dict[frozenset[str] | None, dict[str, Any]] = {}
        for row in members:
            one = standing.setdefault(readers(row["uri"]), row)
            if one is not row:
                found.canonical_of[row["document_id"]] = one["document_id"]
        for row in standing.values():
            _name(found, row, members)
            if canonical in found.newest_of:
                found.newest_of[row["document_id"]] = found.newest_of[canonical]
    return found


def _preference(row: Mapping[str, str]) -> tuple[bool, int, int, str]:
    return row["kind"] != "exact", row["uri"].count("/"), len(row["uri"]), row["uri"]


def _name(
    found: Aliases, standing: Mapping[str, str], members: Sequence[Mapping[str, str]]
) -> None:
    """Note the others that say the same as a document with rows."""
    others = [row for row in members if row is not standing]
    found.uris_of[standing["document_id"]] = sorted(row["uri"] for row in others)
    if standing["kind"] == "exact":
        copies = sorted(row["uri"] for row in others if row["kind"] == "exact")
        if copies:
            found.copies_of[standing["document_id"]] = copies


def _newest(store: LakeStore) -> dict[str, tuple[str, str]]:
    """Id of each superseded document -> uri and title of the version that nothing supersedes."""
    newer: dict[str, dict[str, tuple[str, str]]] = {}
    for row in store.rows("related_documents", where="kind = 'version'"):
        named = (row["related_uri"], row["related_title"])
        newer.setdefault(row["document_id"], {})[row["related_id"]] = named
    found = {}
    for older in newer:
        last, seen = older, {older}
        while later := newer.get(last, {}).keys() - seen:
            last, named = min((key, newer[last][key]) for key in later)
            seen.add(last)
        found[older] = named
    return found


@dataclass(frozen=True, slots=True)
class State:
    """All partitions, as they are found before the index is written to."""

    # What their rows depend on; those that the index knows and the lake no longer has come last.
    inputs: dict[str, dict[str, str]]
    changed: Set[str]  # those whose rows may have to change
    # Those of them that wait, and the version of the index whose rows they keep.
    keeping: dict[str, Table | None]
    states: dict[str, list[str]]  # of the tables of the others
    # A copy whose canonical has no row, and will get none, is none: its text would be nowhere.
    aliases: Aliases


def look_at(
    store: LakeStore,
    index: LakeStage,
    known: Mapping[str, Mapping[str, str]],
    stood: Table,
    was: Table | None,
    readers: Readers,
) -> State:
    """Look at all partitions.

    ``known`` are partitions, each with what its rows in the index were made of; empty where a build
    was killed. ``stood`` is the index as it is, ``was`` as the candidate has it, if there is one.
    Documents that say the same are one among those with the same ``readers``.
    """
    aliases = _aliases(store, readers)
    state = State({}, set(), {}, {}, aliases)
    without_rows = set(aliases.uris_of)
    copies: dict[str, list[str]] = {}
    partitions = store.partitions(documents.TABLE.name)
    for name in [*partitions, *sorted(set(known) - set(partitions))]:
        hashes = upstream_hashes(store, documents.TABLE, name)
        now = state.inputs[name] = _inputs(store, index, name, aliases, hashes)
        recorded = known.get(name)
        if _depends_on(recorded, but=_ORPHANS) != now and _must_wait(store, index, state, name):
            kept = state.keeping[name] = was if recorded == {} else stood
            without_rows -= {row["document_id"] for row in standing_rows(kept, name)}
        else:
            without_rows -= hashes.keys()
            copies[name] = sorted(hashes.keys() & aliases.canonical_of.keys())
    for name, mine in copies.items():
        if orphans := [copy for copy in mine if aliases.canonical_of[copy] in without_rows]:
            state.inputs[name][_ORPHANS] = value_hash(orphans)
            for copy in orphans:
                del aliases.canonical_of[copy]
    changed = {name for name, now in state.inputs.items() if _depends_on(known.get(name)) != now}
    for name in changed - state.states.keys():  # for its orphans alone
        if _must_wait(store, index, state, name):
            state.keeping[name] = stood
    return replace(state, changed=changed)


def _must_wait(store: LakeStore, index: LakeStage, state: State, partition: str) -> bool:
    """Whether a partition's tables do not fit together."""
    state.states[partition] = states_of(store, index, partition)
    is_there = store.table(documents.TABLE.name, partition) is not None
    return is_there and not is_settled(store, partition, before(index))


def _depends_on(known: Mapping[str, str] | None, *, but: str = "") -> dict[str, str]:
    """What was recorded of a partition's inputs, without what came of them."""
    return {name: of for name, of in (known or {}).items() if name not in {*FIGURES, but}}


def _inputs(
    store: LakeStore, index: LakeStage, partition: str, aliases: Aliases, hashes: Mapping[str, str]
) -> dict[str, str]:
    """What the index rows of a partition depend on, as short strings that change with it."""
    mine = sorted(hashes)
    collapsed = {i: aliases.canonical_of[i] for i in mine if i in aliases.canonical_of}
    standing = {i: aliases.uris_of[i] for i in mine if i in aliases.uris_of}
    exact = {i: aliases.copies_of[i] for i in mine if i in aliases.copies_of}
    newest = {i: aliases.newest_of[i] for i in mine if i in aliases.newest_of}
    found = {
        "code": index.version,
        "duplicates": value_hash([collapsed, standing, exact, newest]),
    }
    for stage in index.upstream:
        if stage.scope == "partition":
            found[stage.name] = store.state_of(stage.name, partition)
    return found


def states_of(store: LakeStore, index: LakeStage, partition: str) -> list[str]:
    """Of a partition's tables that its rows are made from; see ``LakeStore.state_of``."""
    names = [table.name for stage in before(index) for table in stage.tables]
    return [store.state_of(name, partition) for name in names]


def standing_rows(table: Table | None, partition: str) -> list[dict[str, Any]]:
    """A partition's rows in a version of the index."""
    if table is None:
        return []
    columns = ["chunk_id", "row_hash", "document_id"]
    rows = scan(table, columns=columns, where=f"partition = {quoted([partition])}")
    found: list[dict[str, Any]] = rows.to_pylist()
    return found
