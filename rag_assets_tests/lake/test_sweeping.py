"""What nothing refers to goes; what is in use, young, or referred to in the same moment stays."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from rag_assets.lake import cache, sweeping, upkeep
from rag_assets.lake.identity import bytes_hash
from rag_assets.lake.store import LakeStore
from rag_assets.lake.sweeping import Swept, sweep_blobs
from rag_assets.lake.upkeep import Upkeep
from rag_assets.pipeline.stages import EMBEDDINGS, STAGES

FOR_EVER = float("inf")
FILES = pa.schema([("raw_hash", pa.string())])
VECTORS = pa.schema([("embedded_hash", pa.string()), ("fingerprint", pa.string())])
LATER = timedelta(days=1, minutes=1)
IN_USE = bytes_hash(b"in use")


def tend(store: LakeStore, **given: Any) -> Upkeep:  # noqa: ANN401 - as upkeep takes them
    return upkeep.tend(store, STAGES, **given)


def sweep_cache(store: LakeStore, **given: Any) -> int:  # noqa: ANN401 - as sweeping takes them
    return sweeping.sweep_cache(store, EMBEDDINGS, **given)


def now() -> datetime:
    return datetime.now(UTC)


def refer(store: LakeStore, *digests: str, stage: str = "source_files") -> None:
    """Make the stage's only partition name exactly these, and what is always in use."""
    table = store.open_or_create(stage, "docs.0", FILES)
    table.delete("true")
    table.add(pa.table([[*digests, IN_USE]], schema=FILES))


def put(store: LakeStore, data: bytes) -> str:
    digest = bytes_hash(data)
    store.put_blob(digest, data)
    return digest


def age(store: LakeStore, name: str, by: timedelta = LATER) -> None:
    """Make a raw file as old."""
    path = Path(store.uri) / "raw" / name[:2] / name
    os.utime(path, (time.time() - by.total_seconds(),) * 2)


def sweep(store: LakeStore, *, dry_run: bool = False) -> Swept:
    return sweep_blobs(store, STAGES, now=now(), until=FOR_EVER, dry_run=dry_run)


@pytest.fixture
def gone(store: LakeStore) -> str:
    """Hash of old bytes that nothing refers to, beside some that are referred to."""
    for data in (b"gone", b"in use"):
        age(store, put(store, data))
    refer(store)
    return bytes_hash(b"gone")


def test_bytes_of_a_removed_document_go_in_two_steps(store: LakeStore, gone: str) -> None:
    assert sweep(store, dry_run=True) == Swept(n_aside=1)
    assert store.has_blob(gone)
    assert sweep(store) == Swept(n_aside=1)
    assert not store.has_blob(gone)
    assert store.get_blob(gone) == b"gone"  # a row that names it may have been on its way
    assert sweep(store) == Swept()  # not before a day
    age(store, gone + sweeping.ASIDE)
    assert sweep(store, dry_run=True) == Swept(n_deleted=1, bytes_deleted=4)
    assert sweep(store) == Swept(n_deleted=1, bytes_deleted=4)
    assert sweep(store) == Swept()
    assert store.get_blob(IN_USE) == b"in use"


@pytest.mark.parametrize("stage", ["source_files", "documents", "rejected_documents"])
def test_bytes_that_a_row_names_stay(store: LakeStore, gone: str, stage: str) -> None:
    refer(store, gone, stage=stage)
    assert sweep(store) == Swept()
    assert store.has_blob(gone)


def test_young_bytes_stay(store: LakeStore) -> None:
    young = put(store, b"young")
    age(store, young, timedelta(hours=23))
    assert sweep(store) == Swept()
    assert store.has_blob(young)


def during_the_sweep(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Act after references were read for the first time."""
    read, acts = sweeping._referred, [act]

    def referred(store: LakeStore, tables: Sequence[str]) -> sweeping._Hashes:
        found = read(store, tables)
        if acts:
            acts.pop()()
        return found

    monkeypatch.setattr(sweeping, "_referred", referred)


def test_bytes_that_come_back_beside_the_sweep_are_brought_back(
    store: LakeStore, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refresh() -> None:
        put(store, b"gone")  # kept already, so nothing is written
        refer(store, gone)

    during_the_sweep(monkeypatch, refresh)
    assert sweep(store).n_back == 1
    assert store.get_blob(gone) == b"gone"


def test_bytes_referred_to_later_are_brought_back_by_the_next_sweep(
    store: LakeStore, gone: str
) -> None:
    sweep(store)
    refer(store, gone)  # by a refresh that found them kept before they were put aside
    assert sweep(store) == Swept(n_back=1)
    assert store.get_blob(gone) == b"gone"
    assert sweep(store).n_aside == 0


def test_bytes_read_anew_while_they_are_aside(store: LakeStore, gone: str) -> None:
    sweep(store)
    assert put(store, b"gone") == gone
    refer(store, gone)
    age(store, gone + sweeping.ASIDE)
    sweep(store)
    assert store.get_blob(gone) == b"gone"
    assert len(store.files(f"raw/{gone[:2]}")) == 1


def test_half_a_file_of_a_killed_writer_goes(store: LakeStore, gone: str) -> None:
    part = Path(store.uri) / "raw" / gone[:2] / ".part"
    part.write_bytes(b"ab")
    os.utime(part, (time.time() - LATER.total_seconds(),) * 2)
    assert sweep(store).bytes_deleted == 2
    assert not part.exists()


def test_killed_between_copy_and_removal(
    store: LakeStore, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_path: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            sweep(store)
    age(store, gone + sweeping.ASIDE)
    assert sweep(store).n_deleted == 1
    assert store.has_blob(gone)  # which goes the whole way again
    assert sweep(store) == Swept(n_aside=1)


def test_without_time_the_next_upkeep_goes_on(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = sorted(put(store, bytes([n])) for n in range(5))
    for digest in digests:
        age(store, digest)
    clock = iter([0, 0, 1, 2, *range(3, 50)])
    monkeypatch.setattr(sweeping, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    first = sweep_blobs(store, STAGES, now=now(), until=2)
    assert (first.n_aside, first.next_folder) == (3, digests[3][:2])
    rest = sweep_blobs(store, STAGES, now=now(), until=99, first=first.next_folder)
    assert (rest.n_aside, rest.next_folder) == (2, "")


NAME = "embedding_cache"


def cached(store: LakeStore, *contents: str) -> None:
    cache.remember(store, NAME, {cache.key_of(c, "model"): c.encode() for c in contents})


def found(store: LakeStore) -> set[str]:
    return {row["value"].decode() for row in store.rows(NAME)}


def embed(store: LakeStore, *contents: str) -> None:
    table = store.open_or_create("embeddings", "docs.0", VECTORS)
    table.delete("true")
    table.add(pa.table([list(contents), ["model"] * len(contents)], schema=VECTORS))


def test_cached_values_that_nothing_refers_to_go(store: LakeStore) -> None:
    assert sweep_cache(store, now=now(), until=FOR_EVER) == 0
    cached(store, "a", "b")
    cached(store, "c")
    embed(store, "b")
    assert sweep_cache(store, now=now(), until=FOR_EVER) == 0  # too young
    assert sweep_cache(store, now=now() + LATER, until=FOR_EVER, dry_run=True) == 2
    assert found(store) == {"a", "b", "c"}
    assert sweep_cache(store, now=now() + LATER, until=FOR_EVER) == 2
    assert found(store) == {"b"}
    assert sweep_cache(store, now=now() + LATER, until=FOR_EVER) == 0


def test_values_cached_within_the_day_stay(store: LakeStore) -> None:
    cached(store, "old")
    time.sleep(0.05)
    between = now()
    time.sleep(0.05)
    cached(store, "young")
    assert sweep_cache(store, now=between + timedelta(days=1), until=FOR_EVER) == 1
    assert found(store) == {"young"}


def test_many_values_go_in_several_commits(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "KEYS_A_COMMIT", 10)
    cached(store, *(f"v{n}" for n in range(35)))
    embed(store, "v7")
    assert sweep_cache(store, now=now() + LATER, until=FOR_EVER) == 34
    assert found(store) == {"v7"}


def test_an_upkeep_sweeps_and_says_so(store: LakeStore, gone: str) -> None:
    cached(store, "a")
    said: list[str] = []
    dry = tend(store, dry_run=True, now=now() + LATER)
    assert (dry.swept.n_aside, dry.swept.n_cached) == (1, 1)
    assert (store.has_blob(gone), found(store)) == (True, {"a"})
    done = tend(store, now=now() + LATER, tell=said.append)
    assert done.swept == dry.swept
    assert (store.has_blob(gone), found(store)) == (False, set())
    assert "1 renamed" in said[-1]
    assert "1 rows deleted" in said[-1]


def test_a_cache_that_cannot_be_swept_stops_nothing(
    store: LakeStore, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_more: object) -> int:
        raise RuntimeError("commit conflict")

    monkeypatch.setattr(sweeping, "sweep_cache", fail)
    said: list[str] = []
    assert tend(store, tell=said.append).swept.n_aside == 1
    assert "commit conflict" in said[0]


def test_a_refresh_beside_upkeeps_loses_nothing(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same few contents come and go, and all of them count as old."""
    monkeypatch.setattr(upkeep, "MAX_VERSIONS", 0)
    stopped = threading.Event()

    def clean() -> None:
        while not stopped.is_set():
            tend(store)
            with suppress(RuntimeError):  # as upkeep does: a commit beside another one's
                sweep_cache(store, now=now() + LATER, until=FOR_EVER)

    thread = threading.Thread(target=clean)
    thread.start()
    try:
        for turn in range(25):
            data = b"content %d" % (turn % 3)
            digest = put(store, data)
            with suppress(FileNotFoundError):
                age(store, digest)
            refer(store, digest)
            cached(store, str(turn))
            embed(store, str(turn))
    finally:
        stopped.set()
        thread.join()
    tend(store)
    assert store.get_blob(digest) == data
    assert len(store.rows("source_files", "docs.0")) == 2
