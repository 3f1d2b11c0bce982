"""Leases of processes that read the index; clean-up does not delete what they read.

A lease is a small record, ``records/leases/<id>.json`` {generation_id, holder, expires_at}. The
holder writes it before it opens the generation, renews it while it serves, and removes it when it
stops. The lease of a holder that died expires by itself.
"""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from rag_assets.lake.store import LakeStore

log = logging.getLogger(__name__)
FOLDER = "leases"
RENEW_S = 60.0
LEASE_S = 300.0  # four renewals may fail, and a request in flight may take 3 minutes
CLOCK_SKEW_S = 60.0  # between the hosts of a holder and of a clean-up; NTP keeps far below


class Reader:
    """A process that reads generations; close it when it stops."""

    def __init__(self, store: LakeStore, *, renew_s: float = RENEW_S) -> None:
        self._store = store
        self._name = f"{socket.gethostname()}/{os.getpid()}"
        self._id = uuid.uuid4().hex[:12]
        self._renew_s = renew_s
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self, generation_id: str) -> None:
        """Lease a generation from now on; then look whether it is still there, and open it."""
        with self._lock:
            self._write(generation_id)
            self._held.add(generation_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew, daemon=True)
                self._thread.start()

    def let_go(self, generation_id: str, *, at_once: bool = False) -> None:
        """Renew this lease no more: requests in flight have the rest of it, unless ``at_once``."""
        with self._lock:
            self._held.discard(generation_id)
            if at_once:
                self._store.remove(f"records/{FOLDER}/{self._id}-{generation_id}.json")

    def close(self) -> None:
        """Give all leases back."""
        self._stopped.set()
        with self._lock:
            for name in self._store.records(FOLDER):
                if name.startswith(self._id):
                    self._store.remove(f"records/{FOLDER}/{name}.json")
            self._held.clear()

    def _renew(self) -> None:
        while not self._stopped.wait(self._renew_s):
            with self._lock:
                for generation_id in self._held:
                    try:
                        self._write(generation_id)
                    except OSError:  # the next round may succeed; four may fail
                        log.exception("the lease on %s was not renewed", generation_id)

    def _write(self, generation_id: str) -> None:
        expires_at = datetime.now(UTC) + timedelta(seconds=LEASE_S)
        record = {
            "generation_id": generation_id,
            "holder": self._name,
            "expires_at": expires_at.isoformat(timespec="seconds"),
        }
        self._store.put_record(f"{FOLDER}/{self._id}-{generation_id}", record)


@contextmanager
def leasing(store: LakeStore, generation_id: str) -> Iterator[None]:
    """Lease a generation for as long as this lasts; to read one may take longer than ten more."""
    reader = Reader(store)
    reader.hold(generation_id)
    try:
        yield
    finally:
        reader.close()


def leased(store: LakeStore, now: datetime) -> dict[str, str]:
    """Leased generations, each with one of its holders (``host/pid``)."""
    return {
        record["generation_id"]: record["holder"]
        for record in _records(store).values()
        if not _has_run_out(record, now)
    }


def forget_dead(store: LakeStore, now: datetime) -> None:
    """Remove the leases that have run out."""
    for name, record in _records(store).items():
        if _has_run_out(record, now):
            store.remove(f"records/{FOLDER}/{name}.json")


def _records(store: LakeStore) -> dict[str, Mapping[str, str]]:
    named = {name: store.get_record(f"{FOLDER}/{name}") for name in store.records(FOLDER)}
    return {name: record for name, record in named.items() if record is not None}


def _has_run_out(record: Mapping[str, str], now: datetime) -> bool:
    return datetime.fromisoformat(record["expires_at"]) + timedelta(seconds=CLOCK_SKEW_S) < now
