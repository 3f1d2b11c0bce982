"""Upkeep: merge small fragments; delete versions and files that nobody can ask for any more.

What is kept: the live generation, the candidate, the newest ``ROLLBACK_WINDOW`` generations, and
those that a reader has leased; every version of ``chunk_index`` since the oldest of them; of other
tables every version of the last day, for runs and people that are reading. Other generations are
expired under the lock of the live pointer, the manifest first. If that is killed, the next upkeep
finds a tag without a manifest and removes it. Upkeeps and backups wait for one another. An upkeep
beside a refresh does no harm: Lance refuses one of two commits that touch the same fragments, and
upkeep gives way.

Caches are swept before the tables are tended, raw bytes after it; see ``lake.sweeping``.

Work is bounded. A table is opened only if it has more than ``MAX_VERSIONS`` versions, which one
listing of a folder tells. After ``budget_s`` no further folder of raw bytes is begun; no further
table is begun when only the share ``FOR_RAW`` of that time is left. The next upkeep continues.
Memory: LanceDB's ``optimize`` took 150 MB and 0.9 bytes for each byte of merged rows (measured at
100,000 to 400,000 rows of 2.3 kB). It leaves fragments of a million rows as they are.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lancedb.table import Table

from rag_assets.lake import generations, sweeping
from rag_assets.lake import leases as readers
from rag_assets.lake.delta import LakeStage
from rag_assets.lake.generations import INDEX
from rag_assets.lake.store import LakeStore
from rag_assets.lake.sweeping import Swept
from rag_assets.progress import Tell

ROLLBACK_WINDOW = 10  # generations; each may keep a copy of the index, as merging rewrites it
KEEP_VERSIONS_FOR = timedelta(days=1)  # of stage tables; a run may read one for so long
MAX_VERSIONS = 20  # each refresh adds one or two a table; merging costs more than reading 20
BUDGET_S = 900.0  # some 3,700 tables to merge, or one index of 1 M rows
FOR_RAW = 0.25  # of that time; else lakes with many tables would keep raw bytes for ever
MARGIN = timedelta(minutes=10)  # Lance takes an age, and applies it when it comes to deleting
FOR_EVER = timedelta(days=36_500)
UPKEEP = "upkeep"  # a lock: nothing is deleted while a backup holds it
PLACE = "upkeep"  # the record that says where the next upkeep goes on

GENERATION = re.compile(r"g\d{6,}-[0-9a-f]{8}")  # a tag of that form is a generation's


@dataclass(frozen=True, slots=True)
class TableUpkeep:
    """What was done to one table, or why nothing could be.

    Figures are before and after. Those of a dry run are before twice, as Lance does not tell what
    merging would free; with a problem they are 0.
    """

    name: str  # ``<stage>/<partition>``
    versions: tuple[int, int]
    fragments: tuple[int, int]
    size_bytes: tuple[int, int]
    problem: str = ""  # why it is left to the next upkeep; "" if it is not


@dataclass(slots=True)
class Upkeep:
    """What an upkeep did."""

    kept: dict[str, str] = field(default_factory=dict)  # generation -> why it stays
    expired: list[str] = field(default_factory=list)  # no longer to be rolled back to
    tables: list[TableUpkeep] = field(default_factory=list)  # that were merged and cleaned
    n_looked: int = 0  # tables that were looked at
    n_left: int = 0  # tables that the time did not suffice for; the next upkeep begins with them
    swept: Swept = field(default_factory=Swept)

    @property
    def bytes_freed(self) -> int:
        """Bytes of files deleted, less those of files written."""
        of_tables = sum(table.size_bytes[0] - table.size_bytes[1] for table in self.tables)
        return of_tables + self.swept.bytes_deleted


def tend(
    store: LakeStore,
    stages: Sequence[LakeStage],
    *,
    dry_run: bool = False,
    budget_s: float = BUDGET_S,
    now: datetime | None = None,
    tell: Tell | None = None,
) -> Upkeep:
    """Tend every table of the lake, and sweep what no row of ``stages`` refers to.

    Nothing is begun after ``budget_s`` seconds. ``tell`` is called with a line for each table.
    """
    with store.locked(UPKEEP):
        return _tend_all(store, stages, now or datetime.now(UTC), budget_s, tell, dry_run=dry_run)


def _tend_all(
    store: LakeStore,
    stages: Sequence[LakeStage],
    now: datetime,
    budget_s: float,
    tell: Tell | None,
    *,
    dry_run: bool,
) -> Upkeep:
    started = time.monotonic()
    until, until_raw = started + (1 - FOR_RAW) * budget_s, started + budget_s
    done = Upkeep()
    _expire(store, done, now, dry_run=dry_run)
    if not dry_run:
        store.sweep_parts()
    place = store.get_record(PLACE) or {}
    n_cached = _sweep_caches(store, stages, now, until, dry_run=dry_run, tell=tell)
    pending = _tables(store, str(place.get("next", "")))
    while pending and time.monotonic() < until:
        stage, partition = pending.pop(0)
        done.n_looked += 1
        if len(store.files(f"tables/{stage}/{partition}.lance/_versions")) > MAX_VERSIONS:
            try:
                tended = _tend(store, stage, partition, now, dry_run=dry_run)
            except (RuntimeError, OSError, ValueError) as error:  # as Lance and LanceDB raise them
                tended = _untended(f"{stage}/{partition}", error)
            if tended is not None:
                done.tables.append(tended)
                if tell is not None:
                    tell(sentence(tended, dry_run=dry_run))
    done.n_left = len(pending)
    first = str(place.get("raw", ""))
    swept = sweeping.sweep_blobs(
        store, stages, now=now, until=until_raw, first=first, dry_run=dry_run
    )
    done.swept = replace(swept, n_cached=n_cached)
    if tell is not None:
        tell(swept_sentence(done.swept, dry_run=dry_run))
    if not dry_run:
        following = "/".join(pending[0]) if pending else ""
        store.put_record(PLACE, {"next": following, "raw": swept.next_folder})
    return done


def _sweep_caches(
    store: LakeStore,
    stages: Sequence[LakeStage],
    now: datetime,
    until: float,
    *,
    dry_run: bool,
    tell: Tell | None,
) -> int:
    """Rows taken out of all caches; a commit beside another one's is left to the next upkeep."""
    n_rows = 0
    for stage in stages:
        try:
            n_rows += sweeping.sweep_cache(store, stage, now=now, until=until, dry_run=dry_run)
        except (RuntimeError, OSError, ValueError) as error:  # as Lance and LanceDB raise them
            if tell is not None:
                tell(sentence(_untended(stage.name, error)))
    return n_rows


def swept_sentence(swept: Swept, *, dry_run: bool = False) -> str:
    """What was swept, or would be, for a log line."""
    to_be = "to be " if dry_run else ""
    return (
        f"raw bytes: {swept.n_deleted} files {to_be}deleted ({swept.bytes_deleted / 1e6:,.1f} MB), "
        f"{swept.n_aside} {to_be}renamed, {swept.n_back} {to_be}restored; "
        f"caches: {swept.n_cached} rows {to_be}deleted"
    )


def sentence(table: TableUpkeep, *, dry_run: bool = False) -> str:
    """What was done to a table, or would be, for a log line."""
    if table.problem:
        return f"{table.name}: left to the next upkeep ({table.problem})"
    if dry_run:
        return (
            f"{table.name}: {table.fragments[0]} fragments and {table.versions[0]} versions "
            f"({table.size_bytes[0] / 1e6:,.1f} MB) to be merged and cleaned"
        )
    freed = (table.size_bytes[0] - table.size_bytes[1]) / 1e6
    said = f"{freed:,.1f} MB freed"
    if freed < 0:
        said = f"{-freed:,.1f} MB more until the versions before are a day old"
    return (
        f"{table.name}: {table.fragments[0]} -> {table.fragments[1]} fragments, "
        f"{table.versions[0]} -> {table.versions[1]} versions, {said}"
    )


def _tables(store: LakeStore, first: str) -> list[tuple[str, str]]:
    """All tables, beginning where the upkeep before ended."""
    found = [(s, p) for s in store.folders("tables") for p in store.partitions(s)]
    return sorted(found, key=lambda table: ("/".join(table) < first, table))


def kept(store: LakeStore, now: datetime) -> dict[str, str]:
    """Generations that stay, each with the reason; hold the lock ``LIVE`` to act on it."""
    reasons: dict[str, list[str]] = {}
    for generation_id in generations.generation_ids(store)[-ROLLBACK_WINDOW:]:
        reasons.setdefault(generation_id, []).append(f"among the newest {ROLLBACK_WINDOW}")
    candidate = generations.candidate(store)
    if candidate is not None:
        reasons.setdefault(candidate.id, []).append("candidate")
    for generation_id, holder in readers.leased(store, now).items():
        reasons.setdefault(generation_id, []).append(f"leased by {holder}")
    live = generations.live(store)
    if live is not None:
        reasons.setdefault(live.generation_id, []).append("live")
    return {generation_id: ", ".join(why) for generation_id, why in sorted(reasons.items())}


def _expire(store: LakeStore, done: Upkeep, now: datetime, *, dry_run: bool) -> None:
    """Take manifests and tags from generations that do not stay; nobody can point to them then."""
    with store.locked(generations.LIVE):
        done.kept = kept(store, now)
        known = generations.generation_ids(store)
        done.expired = [i for i in known if i not in done.kept]
        if dry_run:
            return
        for generation_id in done.expired:
            store.remove(f"records/{generations.FOLDER}/{generation_id}.json")
        index = store.table(INDEX)
        if index is not None:
            _tag(store, index, done)
        readers.forget_dead(store, now)


def _tag(store: LakeStore, index: Table, done: Upkeep) -> None:
    """Tags on what stays and on nothing else: Lance itself then refuses to delete it."""
    tags = index.tags.list()
    for name in tags:
        if GENERATION.fullmatch(name) and name not in done.kept:
            index.tags.delete(name)
    candidate = generations.candidate(store)
    if generations.CANDIDATE in tags:
        index.tags.delete(generations.CANDIDATE)
    known = {version["version"] for version in index.list_versions()}
    if candidate is not None and candidate.index_version in known:
        index.tags.create(generations.CANDIDATE, candidate.index_version)


def _tend(
    store: LakeStore, stage: str, partition: str, now: datetime, *, dry_run: bool
) -> TableUpkeep | None:
    """Merge and clean one table; None where nothing would change."""
    if stage == INDEX:
        with store.locked(INDEX):  # as its builder does, who could not build beside this
            return _tended(store, stage, partition, _index_age(store, now), dry_run=dry_run)
    return _tended(store, stage, partition, KEEP_VERSIONS_FOR, dry_run=dry_run)


def _index_age(store: LakeStore, now: datetime) -> timedelta:
    """From which age on no version of the index is needed.

    Lance deletes by age, and refuses where a tagged version is among what it would delete. So all
    versions since the oldest one that is needed stay, also those between.
    """
    index = store.table(INDEX)
    if index is None:
        return FOR_EVER
    with store.locked(generations.LIVE):
        records = [store.get_record(f"{generations.FOLDER}/{i}") for i in kept(store, now)]
        candidate = generations.candidate(store)
    needed = {int(record["index_version"]) for record in records if record is not None}
    needed |= {int(tag["version"]) for tag in index.tags.list().values()}
    needed |= {candidate.index_version} if candidate is not None else set()
    times = {version["version"]: _when(version) for version in index.list_versions()}
    oldest = min((times[version] for version in needed if version in times), default=None)
    if oldest is None:
        return FOR_EVER
    # A clock that was put back makes no age negative.
    return max(datetime.now(UTC) - oldest, timedelta(0)) + MARGIN


def _tended(
    store: LakeStore, stage: str, partition: str, older_than: timedelta, *, dry_run: bool
) -> TableUpkeep | None:
    table = store.table(stage, partition)
    if table is None:
        return None
    versions, n_fragments = table.list_versions(), _n_fragments(table)
    oldest = min(_when(version) for version in versions)
    if n_fragments <= 1 and oldest >= datetime.now(UTC) - older_than:
        return None
    size = _size(store, stage, partition)
    n_versions_left, n_fragments_left, size_left = len(versions), n_fragments, size
    if not dry_run:
        table.optimize(cleanup_older_than=FOR_EVER)  # may take minutes, and so ages versions
        table.optimize(cleanup_older_than=older_than)
        table.checkout_latest()
        n_versions_left, n_fragments_left = len(table.list_versions()), _n_fragments(table)
        size_left = _size(store, stage, partition)
    return TableUpkeep(
        f"{stage}/{partition}",
        (len(versions), n_versions_left),
        (n_fragments, n_fragments_left),
        (size, size_left),
    )


def _untended(name: str, error: Exception) -> TableUpkeep:
    """A refresh or another upkeep was faster, or the table is damaged; the others go on."""
    return TableUpkeep(name, (0, 0), (0, 0), (0, 0), " ".join(str(error).split())[:200])


def _when(version: Mapping[str, Any]) -> datetime:
    written: datetime = version["timestamp"]  # naive, local time
    return written.astimezone(UTC)


def _n_fragments(table: Table) -> int:
    return int(table.stats()["fragment_stats"]["num_fragments"])


def _size(store: LakeStore, stage: str, partition: str) -> int:
    files = store.files(f"tables/{stage}/{partition}.lance", recursive=True)
    return sum(int(file.size) for file in files)
