"""Who may write: one holder of a name at a time, on one machine or across hosts.

The kernel guards a lake in a folder: it releases the lock when the holder dies. (Dagster's
concurrency pools do not: a killed run keeps its slot until somebody has closed the run.)

Two hosts may write to a lake on an object store and share nothing else, so there the guard is in
the store. Every lease of a name is an object, ``locks/<name>/<number>.json``, made by a conditional
put (``If-None-Match: *``, of which the store lets exactly one succeed). The lease with the highest
number counts. It is never deleted, and only its holder rewrites it: with every heartbeat, and with
``released`` at the end. A holder counts as dead when its lease did not change for ``LEASE_S`` on
the waiter's own clock, so the hosts' clocks need not agree.

What is guaranteed: there is one holder at a time, as long as no holder is stopped (a paused
machine, a network cut) for longer than ``LEASE_S - BEAT_S`` while another waits. A holder that was
learns of it at its next heartbeat and, at the latest, at the end of its block, which then raises:
its work counts as failed and is done again. What it committed in between was not guarded. Lance
still refuses commits that touch the same rows, and the blocking checks on unique ids find a row
that was written twice.
"""

import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from rag_assets.lake.errors import LakeError

LEASE_S = 60.0  # a killed holder's work is taken up after this long; pauses are far shorter
BEAT_S = 10.0  # five heartbeats may fail before anybody takes the holder for dead
POLL_S = 0.5  # one listing, 0.0005 cents at the price of S3, for each wait


@contextmanager
def machine_lock(folder: Path, name: str) -> Iterator[None]:
    """Hold ``name`` of the lake in ``folder`` against all processes of this machine."""
    lock = folder / "locks" / f"{name}.lock"  # where all who see the lake see it
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def lease(uri: str, name: str) -> Iterator[None]:
    """Hold ``name`` of the object-store lake at ``uri`` against all hosts; waits for its turn.

    Raises:
        LakeError: the scheme has no fsspec package here, or the lease was lost on the way.
    """
    held = _Lease(uri, name)
    held.acquire()
    stop = threading.Event()
    beating = threading.Thread(target=held.keep, args=(stop,), daemon=True)
    beating.start()
    try:
        yield
    finally:
        stop.set()
        beating.join()
        is_mine = held.release()
    if not is_mine:
        raise LakeError(
            f"the lease {name!r} of {uri} went to another host after {LEASE_S:.0f} s without a "
            "sign of life from this one; what was written under it may be incomplete: run it again"
        )


class _Lease:
    """One wait for, and one hold of, a name."""

    def __init__(self, uri: str, name: str) -> None:
        try:
            # a cached listing would show leases that are long gone
            self._files, root = fsspec.core.url_to_fs(uri, use_listings_cache=False)
        except ImportError as error:
            raise LakeError(
                f"a lake at {uri} needs the fsspec package of its scheme for its locks: {error}"
            ) from error
        self._folder = f"{root.rstrip('/')}/locks/{name}"
        self._number = 0
        self._record: dict[str, Any] = {
            "holder": f"{socket.gethostname()} {os.getpid()} {uuid.uuid4()}",
            "beat": 0,
            "released": False,
        }

    def acquire(self) -> None:
        seen: tuple[int, object] | None = None
        since = 0.0
        while True:
            newest = self._newest()
            record = self._read(newest)
            if record is not None and (newest, record["beat"]) != seen:
                seen, since = (newest, record["beat"]), time.monotonic()
            is_dead = seen is not None and time.monotonic() - since > LEASE_S
            if newest == 0 or (record is not None and (record["released"] or is_dead)):
                self._number = newest + 1
                # The number may have been free because it was long passed and deleted.
                if self._create() and self._newest() == self._number:
                    self._clean_up()
                    return
            time.sleep(POLL_S)

    def keep(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT_S):
            try:
                if self._newest() != self._number:
                    return  # taken over; release() will say so
                self._record["beat"] += 1
                self._write()
            # Whatever its library raises; not all of that is an OSError.
            except Exception:  # noqa: BLE001
                continue  # the store may answer at the next beat; if not, the lease is lost

    def release(self) -> bool:
        """Let go; whether the lease was still this holder's."""
        if self._newest() != self._number:
            return False
        self._record["released"] = True
        self._write()
        return True

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:012d}.json"

    def _numbers(self) -> list[int]:
        try:
            paths = self._files.ls(self._folder, detail=False)
        except FileNotFoundError:
            return []
        names = [Path(path).stem for path in paths if str(path).endswith(".json")]
        return sorted(int(name) for name in names)

    def _newest(self) -> int:
        return max(self._numbers(), default=0)

    def _read(self, number: int) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self._files.cat_file(self._path(number)))) if number else None
        except FileNotFoundError:
            return None

    def _create(self) -> bool:
        path = self._path(self._number)
        try:
            self._files.pipe_file(path, json.dumps(self._record).encode(), mode="create")
        except OSError:  # each scheme's package names a failed condition differently
            if self._files.exists(path):
                return False
            raise
        return True

    def _write(self) -> None:
        self._files.pipe_file(self._path(self._number), json.dumps(self._record).encode())

    def _clean_up(self) -> None:
        for number in self._numbers():
            if number < self._number:
                self._files.rm_file(self._path(number))
