"""Sweeping: remove raw bytes and cached vectors that no row of the lake refers to any more.

Both have to be older than a day, because a refresh writes what it has read or embedded before it
writes the rows that refer to it.

**Raw bytes** are deleted in two steps, because a refresh may find stored bytes and refer to them
while they are being removed. First they are renamed to a name that no refresh looks for; a refresh
that comes later writes the bytes again. If a row refers to renamed bytes, the end of the same
sweep or the next one restores them. After one more day the rest is deleted.

**A cached vector** that is deleted too early is only computed again. Its age is the age of the
newest version of the cache, a day old or older, that holds it. Labels of the small model are not
swept: each took seconds to compute and holds some 300 bytes, and all documents would have to be
read to know which are needed.

Memory: 8 bytes for each hash that is referred to.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import xxhash
from lancedb.table import Table

from rag_assets.lake.cache import key_of
from rag_assets.lake.delta import LakeStage
from rag_assets.lake.store import ASIDE, LakeStore, batches, quoted

KEEP_FOR = timedelta(days=1)
RAW = "raw"
RAW_HASH = "raw_hash"  # column by which rows refer to raw bytes
KEYS_A_COMMIT = 20_000


@dataclass(frozen=True, slots=True)
class Swept:
    """What was swept, or of a dry run would be."""

    n_aside: int = 0  # raw files renamed, to be deleted a day later
    n_back: int = 0  # raw files brought back
    n_deleted: int = 0  # raw files deleted for good
    bytes_deleted: int = 0  # their sizes
    n_cached: int = 0  # rows taken out of caches
    next_folder: str = ""  # of raw bytes, which the time did not suffice for; "" if it did


class _Hashes:
    """A set of 128-bit hashes by half of each; by chance it may say that it has one more."""

    def __init__(self, halves: Iterator[np.ndarray]) -> None:
        self._sorted = np.unique(np.concatenate([np.zeros(0, np.uint64), *halves]))

    def have(self, names: list[str]) -> np.ndarray:
        """Whether each is in the set, (n,) bool."""
        halves = _halves(names)
        at = np.searchsorted(self._sorted, halves)
        found: np.ndarray = at < len(self._sorted)
        found[found] = self._sorted[at[found]] == halves[found]
        return found


def _halves(names: list[str]) -> np.ndarray:
    return np.array([xxhash.xxh3_64_intdigest(name.encode()) for name in names], dtype=np.uint64)


def sweep_blobs(
    store: LakeStore,
    stages: Sequence[LakeStage],
    *,
    now: datetime,
    until: float,
    first: str = "",
    dry_run: bool = False,
) -> Swept:
    """Sweep the raw bytes; two sweeps wait for one another, as each could undo the other's.

    Begins with the folder ``first``, where the sweep before ended, and begins none after ``until``
    of ``time.monotonic``.
    """
    referring = [t.name for stage in stages for t in stage.tables if RAW_HASH in t.schema.names]
    with store.locked("sweep"):
        return _swept(store, referring, now, until, first, dry_run=dry_run)


def _swept(
    store: LakeStore,
    referring: Sequence[str],
    now: datetime,
    until: float,
    first: str,
    *,
    dry_run: bool,
) -> Swept:
    folders = [name for name in store.folders(RAW) if name >= first]
    referred = _referred(store, referring) if folders else _Hashes(iter(()))
    n_aside = n_back = n_deleted = bytes_deleted = 0
    aside: list[str] = []
    next_folder = ""
    for folder in folders:
        if time.monotonic() >= until:
            next_folder = folder
            break
        files = store.files(f"{RAW}/{folder}")
        names = {file.base_name for file in files}
        digests = [file.base_name.removesuffix(ASIDE) for file in files]
        for file, digest, is_kept in zip(files, digests, referred.have(digests), strict=True):
            is_aside = file.base_name.endswith(ASIDE)
            if is_kept:
                if is_aside:
                    n_back += 1
                    if not dry_run:
                        _bring_back(store, digest)
            elif now - file.mtime < KEEP_FOR:
                continue
            elif is_aside or digest.startswith("."):  # half a file, of a writer that was killed
                n_deleted, bytes_deleted = n_deleted + 1, bytes_deleted + int(file.size)
                if not dry_run:
                    store.remove(f"{RAW}/{folder}/{file.base_name}")
            elif digest + ASIDE not in names:  # else the one aside goes first
                n_aside += 1
                aside.append(digest)
                if not dry_run:
                    store.put_blob(digest + ASIDE, store.get_blob(digest))
                    store.remove(f"{RAW}/{folder}/{digest}")
    if aside and not dry_run:
        needed = _referred(store, referring).have(aside)
        for digest in np.array(aside)[needed].tolist():
            _bring_back(store, digest)
            n_aside, n_back = n_aside - 1, n_back + 1
    return Swept(n_aside, n_back, n_deleted, bytes_deleted, next_folder=next_folder)


def _bring_back(store: LakeStore, digest: str) -> None:
    store.put_blob(digest, store.get_blob(digest + ASIDE))
    store.remove(f"{RAW}/{digest[:2]}/{digest}{ASIDE}")


def _referred(store: LakeStore, tables: Sequence[str]) -> _Hashes:
    """Hashes of raw bytes that a row names."""

    def halves() -> Iterator[np.ndarray]:
        for table in tables:
            for partition in store.partitions(table):
                rows = store.read(table, partition, columns=[RAW_HASH])
                if rows is not None:
                    yield _halves(rows[RAW_HASH].to_pylist())

    return _Hashes(halves())


def sweep_cache(
    store: LakeStore,
    stage: LakeStage,
    *,
    now: datetime,
    until: float,
    keep_for: timedelta = KEEP_FOR,
    dry_run: bool = False,
) -> int:
    """Take rows that nothing refers to out of the cache of a stage; how many there were.

    Nothing is taken out of one without a column, nor what is younger than ``keep_for``. No commit
    is begun after ``until`` of ``time.monotonic``.
    """
    cache = stage.cache
    if cache is None or cache.column is None:
        return 0
    column, rows_in = cache.column, stage.tables[-1].name
    table, stood = store.table(cache.name), store.table(cache.name)
    if table is None or stood is None:
        return 0
    versions = table.list_versions()
    old = [v["version"] for v in versions if now - v["timestamp"].astimezone() >= keep_for]
    if not old:
        return 0
    stood.checkout(max(old))
    referred = _Hashes(
        _halves([key_of(row[column], row["fingerprint"]) for row in rows])
        for partition in store.partitions(rows_in)
        for rows in [store.rows(rows_in, partition, columns=[column, "fingerprint"])]
    )
    n_gone = 0
    gone: list[str] = []
    for batch in batches(stood, columns=["key"], batch_size=KEYS_A_COMMIT):
        keys = batch["key"].to_pylist()
        gone += np.array(keys, dtype=object)[~referred.have(keys)].tolist()
        if len(gone) >= KEYS_A_COMMIT:
            n_gone += _forget(table, gone, dry_run=dry_run)
            gone = []
        if time.monotonic() >= until:
            break
    return n_gone + _forget(table, gone, dry_run=dry_run)


def _forget(table: Table, keys: list[str], *, dry_run: bool) -> int:
    where = f"key IN ({quoted(keys)})"
    n_rows = int(table.count_rows(where)) if keys else 0
    if n_rows and not dry_run:
        table.delete(where)
    return n_rows
