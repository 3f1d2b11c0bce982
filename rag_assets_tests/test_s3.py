"""The lake on an object store: a real S3-compatible server, leases across hosts, equal tables."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import pytest

from rag_assets.lake import generations, locks
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets_tests.lake import writers
from rag_assets_tests.servers import s3_server
from rag_assets_tests.tables import assert_equal_lakes
from rag_assets_tests.world import World, read_in_process

BUCKET = "lakes"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    server = s3_server(tmp_path_factory.mktemp("s3"), BUCKET)
    with server as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def remote(s3: None, tmp_path: Path) -> LakeStore:
    return LakeStore(f"s3://{BUCKET}/{tmp_path.name}")


@pytest.fixture
def quick_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("LEASE_S", 1.5), ("BEAT_S", 0.2), ("POLL_S", 0.05)):
        monkeypatch.setattr(locks, name, seconds)


def change(world: World) -> None:
    world.write("new.md", "# New\n\nA ferry that was not there before.\n")
    world.write("fares.md", "# Fares\n\nA single costs five crowns now.\n")
    (world.root / "old.md").unlink()


def test_a_corpus_on_s3_is_the_one_in_a_folder(
    remote: LakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in_process(monkeypatch)
    local = LakeStore(str(tmp_path / "lake"))
    worlds = [World(tmp_path, store) for store in (local, remote)]  # one folder, two lakes
    for n in range(6):
        worlds[0].write(f"page{n}.md", f"# Page {n}\n\n" + f"Boat {n} sails at {n} o'clock. " * 30)
    worlds[0].write("copy.md", worlds[0].root.joinpath("page1.md").read_text())
    worlds[0].write("fares.md", "# Fares\n\nA single costs four crowns.\n")
    worlds[0].write("old.md", "# Old\n\nTo be removed.\n")
    worlds[0].write("broken.pdf", b"%PDF-1.4 no more")
    for step in ("full", "changed", "same"):
        if step == "changed":
            change(worlds[0])
        reports = [world.refresh() for world in worlds]
        assert reports[0].generation.data_version == reports[1].generation.data_version, step
        assert reports[1].is_new == (step != "same")
        assert_equal_lakes(remote, local)
    pointer = generations.publish(remote, reports[1].generation)
    assert generations.live(remote) == pointer


def _spawn(target: Any, *args: Any) -> Any:  # noqa: ANN401 - multiprocessing's own
    process = multiprocessing.get_context("spawn").Process(target=target, args=args)
    process.start()
    return process


def test_two_hosts_take_turns(remote: LakeStore, tmp_path: Path) -> None:
    processes = []
    for host in ("one", "two"):
        (tmp_path / host).mkdir()
        processes.append(_spawn(writers.count, remote.uri, str(tmp_path / host), 5))
    for process in processes:
        process.join(90)
        assert process.exitcode == 0
    assert remote.get_record("n") == 10


def test_a_killed_holders_lease_is_taken_up(remote: LakeStore, quick_leases: None) -> None:
    ready = multiprocessing.get_context("spawn").Event()
    process = _spawn(writers.hold, remote.uri, ready)
    assert ready.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with remote.locked("work"):
        pass
    with remote.locked("work"):  # released: nobody waits for the lease to run out
        numbers = [Path(info).stem for info in _leases(remote, "work")]
    assert numbers == ["000000000003"]


def _leases(store: LakeStore, name: str) -> list[str]:
    files, root = fsspec.core.url_to_fs(store.uri, use_listings_cache=False)
    return [str(path) for path in files.ls(f"{root}/locks/{name}", detail=False)]


def test_a_stalled_holder_is_told_that_it_lost(
    remote: LakeStore, quick_leases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_beat(*_: object) -> None:
        return

    monkeypatch.setattr(locks._Lease, "keep", no_beat)
    first, second = remote.locked("work"), remote.locked("work")
    first.__enter__()
    with second, pytest.raises(LakeError, match="went to another host"):
        first.__exit__(None, None, None)


class _Waiting(Thread):
    def __init__(self, store: LakeStore, order: list[str]) -> None:
        super().__init__(daemon=True)
        self._store, self._order = store, order

    def run(self) -> None:
        with self._store.locked("work"):
            self._order.append("second")


def test_a_live_holder_keeps_its_lease(remote: LakeStore, quick_leases: None) -> None:
    order: list[str] = []
    with remote.locked("work"):
        waiting = _Waiting(remote, order)
        waiting.start()
        time.sleep(2 * locks.LEASE_S)
        order.append("first")
    waiting.join(30)
    assert order == ["first", "second"]


def test_beats_that_fail_cost_no_lease(
    remote: LakeStore, quick_leases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, beats = [RuntimeError("no endpoint"), OSError("timed out")], []
    write = locks._Lease._write

    def flaky(lease: locks._Lease) -> None:
        if failures:
            raise failures.pop()
        write(lease)
        beats.append(1)

    with remote.locked("work"):
        monkeypatch.setattr(locks._Lease, "_write", flaky)
        time.sleep(2 * locks.LEASE_S)
        assert not failures
        assert beats


def test_a_number_long_passed_wins_nothing(remote: LakeStore, quick_leases: None) -> None:
    for _ in range(3):
        with remote.locked("work"):
            pass
    late = locks._Lease(remote.uri, "work")
    late._number = 2  # listed when 1 was the newest, and paused until now
    assert late._create()
    assert late._newest() != late._number
    with remote.locked("work"):
        assert [Path(p).stem for p in _leases(remote, "work")] == ["000000000004"]
