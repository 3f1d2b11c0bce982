"""Upkeep on real tables: what stays can be read to its last row, what does not is gone."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from rag_assets.files import PART
from rag_assets.lake import generations, upkeep
from rag_assets.lake import leases as readers
from rag_assets.lake.generations import Generation
from rag_assets.lake.leases import Reader
from rag_assets.lake.store import LakeError, LakeStore, scan
from rag_assets.lake.sweeping import Swept
from rag_assets.lake.upkeep import Upkeep
from rag_assets.pipeline.stages import STAGES

SCHEMA = pa.schema([("chunk_id", pa.string()), ("text", pa.string())])
WINDOW = 2
PAUSE_S = 0.4  # between versions, more than the margin below


@pytest.fixture(autouse=True)
def _small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "MAX_VERSIONS", 0)
    monkeypatch.setattr(upkeep, "ROLLBACK_WINDOW", WINDOW)
    monkeypatch.setattr(upkeep, "MARGIN", timedelta(seconds=0.2))
    monkeypatch.setattr(upkeep, "KEEP_VERSIONS_FOR", timedelta(seconds=0.2))


def tend(store: LakeStore, **given: Any) -> Upkeep:  # noqa: ANN401 - as upkeep takes them
    return upkeep.tend(store, STAGES, **given)


def rows(text: str, n: int = 30) -> pa.Table:
    return pa.table([[str(i) for i in range(n)], [text] * n], schema=SCHEMA)


def merge(store: LakeStore, stage: str, new: pa.Table) -> int:
    table = store.open_or_create(stage, "all", SCHEMA)
    done = table.merge_insert("chunk_id").when_matched_update_all()
    done.when_not_matched_insert_all().execute(new)
    return int(table.version)


def build(store: LakeStore, text: str) -> Generation:
    time.sleep(PAUSE_S)
    generation = Generation(
        id=generations.next_id(store, text),
        created_at=generations.now_iso(),
        index_version=merge(store, "chunk_index", rows(text)),
        data_version=text,
        models={},
        counts={"chunks": 30},
        inputs={},
        run_id="r",
    )
    generations.put_candidate(store, generation)
    return generation


def publish(store: LakeStore, text: str) -> Generation:
    generation = build(store, text)
    generations.publish(store, generation)
    return generation


def texts(store: LakeStore, generation: Generation) -> set[str]:
    table = store.table("chunk_index")
    assert table is not None
    table.checkout(generation.index_version)
    return set(scan(table)["text"].to_pylist())


def versions(store: LakeStore, stage: str = "chunk_index") -> list[int]:
    table = store.table(stage)
    assert table is not None
    return [version["version"] for version in table.list_versions()]


def n_files(store: LakeStore) -> int:
    return len(store.files("tables/chunk_index/all.lance/data"))


def test_the_window_stays_and_the_rest_is_gone(store: LakeStore) -> None:
    published = [publish(store, text) for text in "abcdef"]
    n_before = n_files(store)
    done = tend(store)
    assert done.expired == [g.id for g in published[:-WINDOW]]
    assert list(done.kept) == [g.id for g in published[-WINDOW:]]
    assert "live" in done.kept[published[-1].id]
    assert generations.generation_ids(store) == list(done.kept)
    assert published[0].index_version not in versions(store)
    assert n_files(store) < n_before
    with pytest.raises(ValueError, match="no longer exists"):
        texts(store, published[0])
    for generation in published[-WINDOW:]:
        assert texts(store, generation) == {generation.data_version}
    assert generations.rollback(store).generation_id == published[-2].id
    with pytest.raises(LakeError, match="no generation is called"):
        generations.rollback(store, published[0].id)


def test_what_is_rolled_back_to_stays_however_old(store: LakeStore) -> None:
    old = publish(store, "a")
    publish(store, "b")
    generations.rollback(store)
    for text in "cdef":
        generations.publish(store, build(store, text))
    generations.rollback(store, old.id)
    assert tend(store).kept[old.id] == "live"
    assert texts(store, old) == {"a"}


def test_a_reader_goes_on_reading_what_it_has_leased(store: LakeStore) -> None:
    old = publish(store, "a")
    reader = Reader(store)
    reader.hold(old.id)
    opened = store.table("chunk_index")
    assert opened is not None
    opened.checkout(old.index_version)
    for text in "bcdef":
        publish(store, text)
    assert tend(store).kept[old.id].startswith("leased by ")
    assert set(scan(opened)["text"].to_pylist()) == {"a"}
    assert texts(store, old) == {"a"}
    reader.close()
    assert tend(store).expired == [old.id]
    assert old.index_version not in versions(store)


def test_a_dead_readers_lease_runs_out(store: LakeStore) -> None:
    old = publish(store, "a")
    Reader(store, renew_s=3600).hold(old.id)
    for text in "bcd":
        publish(store, text)
    now = datetime.now(UTC)
    assert old.id in tend(store, now=now + timedelta(seconds=readers.LEASE_S)).kept
    late = now + timedelta(seconds=readers.LEASE_S + readers.CLOCK_SKEW_S + 1)
    assert old.id in tend(store, now=late).expired
    assert store.records(readers.FOLDER) == []


def test_a_lease_is_renewed_until_it_is_let_go(store: LakeStore) -> None:
    reader = Reader(store, renew_s=0.01)
    reader.hold("g1")
    (name,) = store.records(readers.FOLDER)
    store.put_record(f"{readers.FOLDER}/{name}", {
        **store.get_record(f"{readers.FOLDER}/{name}"), "expires_at": "2020-01-01T00:00:00+00:00",
    })  # fmt: skip
    while not readers.leased(store, datetime.now(UTC)):
        time.sleep(0.01)
    reader.let_go("g1")
    assert "g1" in readers.leased(store, datetime.now(UTC))  # for the requests in flight
    reader.let_go("g1", at_once=True)
    assert readers.leased(store, datetime.now(UTC)) == {}
    reader.close()


def test_the_candidate_stays(store: LakeStore) -> None:
    for text in "abcd":
        publish(store, text)
    candidate = build(store, "e")
    time.sleep(PAUSE_S)
    merge(store, "chunk_index", rows("half a build"))
    assert tend(store).kept[candidate.id] == "candidate"
    assert texts(store, candidate) == {"e"}
    generations.publish(store, candidate)


def test_nothing_is_pruned_before_there_is_a_generation(store: LakeStore) -> None:
    first = merge(store, "chunk_index", rows("a"))
    time.sleep(PAUSE_S)
    merge(store, "chunk_index", rows("b"))
    tend(store)
    assert first in versions(store)


def test_somebody_elses_tag_is_respected(store: LakeStore) -> None:
    published = [publish(store, text) for text in "abcde"]
    index = store.table("chunk_index")
    assert index is not None
    index.tags.create("audit", published[1].index_version)
    done = tend(store)
    assert [table.problem for table in done.tables] == [""]
    assert texts(store, published[1]) == {"b"}
    assert published[0].index_version not in versions(store)


def test_stage_tables_are_merged_and_their_old_versions_deleted(store: LakeStore) -> None:
    for n in range(8):
        store.open_or_create("chunks", "all", SCHEMA).add(rows(str(n), 5))
    time.sleep(PAUSE_S)
    before = store.read("chunks")
    dry = tend(store, dry_run=True)
    assert len(versions(store, "chunks")) == 9
    (tended,) = tend(store).tables
    assert (tended.name, tended.fragments, tended.problem) == ("chunks/all", (8, 1), "")
    assert dry.tables[0].fragments == (8, 8)
    assert len(versions(store, "chunks")) < 9
    assert tended.size_bytes[1] < tended.size_bytes[0]
    assert store.read("chunks") == before
    assert tend(store).tables == [] or len(versions(store, "chunks")) <= 3


def test_a_table_with_few_versions_is_not_opened(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MAX_VERSIONS", 20)
    publish(store, "a")
    monkeypatch.setattr(upkeep, "_tend", lambda *_a, **_k: pytest.fail("was opened"))
    assert tend(store).n_looked == 1


def test_without_time_the_next_upkeep_goes_on(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in ("a", "b", "c"):
        merge(store, stage, rows("x"))
    seen: list[str] = []
    clock = iter(range(100))
    monkeypatch.setattr(upkeep, "_tend", lambda _store, stage, *_a, **_k: seen.append(stage))
    monkeypatch.setattr(upkeep, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert tend(store, budget_s=1.5).n_left == 2
    assert tend(store, budget_s=1.5).n_left == 2
    assert tend(store, budget_s=100).n_left == 0
    assert seen == ["a", "b", "c", "a", "b"]


def test_tables_leave_some_of_the_time_to_raw_bytes(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in "abcdefgh":
        merge(store, stage, rows("x"))
    given: list[float] = []

    def sweep(*_args: object, until: float, **_kwargs: object) -> Swept:
        given.append(until)
        return Swept()

    clock = iter(range(100))
    monkeypatch.setattr(upkeep, "_tend", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(upkeep, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(upkeep.sweeping, "sweep_blobs", sweep)
    assert tend(store, budget_s=8).n_left == 3  # the clock goes on by one at each look
    assert given == [8]


def test_a_clock_that_was_put_back_stops_nothing(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = publish(store, "live")

    class Back(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Back":
            then = datetime.now(tz) - timedelta(days=2)
            return cls.fromtimestamp(then.timestamp(), tz)

    monkeypatch.setattr(upkeep, "datetime", Back)
    assert not [table for table in tend(store).tables if table.problem]
    assert texts(store, live) == {"live"}


def test_a_dry_run_changes_nothing(store: LakeStore) -> None:
    published = [publish(store, text) for text in "abcd"]
    before = versions(store)
    assert tend(store, dry_run=True).expired == [g.id for g in published[:-WINDOW]]
    assert versions(store) == before
    assert generations.generation_ids(store) == [g.id for g in published]


def test_one_that_was_killed_after_the_manifest_is_finished(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = [publish(store, text) for text in "abcd"]

    def die(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "_tag", die)
        with pytest.raises(KeyboardInterrupt):
            tend(store)
    assert generations.generation_ids(store) == [g.id for g in published[-WINDOW:]]
    tend(store)
    assert published[0].index_version not in versions(store)
    assert texts(store, published[-WINDOW]) == {published[-WINDOW].data_version}


def write_on(uri: str, n: int) -> None:
    """Rewrite the same rows again and again; a lost or doubled one shows at the end."""
    store = LakeStore(uri)
    for turn in range(n):
        merge(store, "chunks", rows(str(turn)))


def test_two_upkeeps_beside_a_refresh_lose_nothing(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A writer that stands still for longer, between opening its table and writing to it, finds the
    # files of that version deleted. In the product that is a day; 0.2 s happen on a busy machine.
    monkeypatch.setattr(upkeep, "KEEP_VERSIONS_FOR", timedelta(seconds=3))
    merge(store, "chunks", rows("first"))
    writer = multiprocessing.get_context("spawn").Process(target=write_on, args=(store.uri, 25))
    writer.start()

    def clean() -> None:
        while writer.is_alive():
            tend(store)

    threads = [threading.Thread(target=clean) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.join()
    assert writer.exitcode == 0
    tend(store)
    found = store.rows("chunks")
    assert sorted(row["chunk_id"] for row in found) == sorted(str(i) for i in range(30))
    assert {row["text"] for row in found} == {"24"}


MEASURE = """
import resource, sys
import numpy as np, pyarrow as pa
from datetime import timedelta
from rag_assets.lake import upkeep
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline.stages import STAGES
store = LakeStore(sys.argv[1])
schema = pa.schema([("chunk_id", pa.string()), ("vector", pa.list_(pa.float32(), 384))])
table = store.open_or_create("chunk_index", "all", schema)
for part in range(8):
    values = np.random.default_rng(part).normal(size=(2500, 384)).astype("f4").ravel()
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values), 384)
    ids = pa.array([f"{part}-{i}" for i in range(2500)])
    table.add(pa.table([ids, vectors], schema=schema))
upkeep.MAX_VERSIONS = 0
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(done,) = upkeep.tend(store, STAGES).tables
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(done.fragments[0], done.fragments[1], done.size_bytes[0], (peak - before) * 1024)
"""


def test_memory_is_bounded_by_what_is_merged(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "lake")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    n_before, n_after, size, grown = map(int, ran.stdout.split())
    assert (n_before, n_after) == (8, 1)
    assert grown < 3 * size + 100_000_000


def test_a_manifest_that_names_a_version_that_is_gone_stops_nothing(store: LakeStore) -> None:
    generation = publish(store, "a")
    generations.put_candidate(store, replace(generation, id="g000009-00000000", index_version=999))
    assert tend(store).n_looked == 1
    assert texts(store, generation) == {"a"}


def test_records_that_a_killed_writer_began_go(store: LakeStore) -> None:
    publish(store, "text")
    part = Path(store.uri) / "records" / "generations" / f"{PART}abc"
    part.write_text("{")
    os.utime(part, (0, 0))
    tend(store, dry_run=True)
    assert part.exists()
    tend(store)
    assert not part.exists()
    assert generations.live_generation(store) is not None
