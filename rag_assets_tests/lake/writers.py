"""What the other processes of the lease tests do; apart, so that they import little."""

import tempfile
import time
from multiprocessing.synchronize import Event

from rag_assets.lake import locks
from rag_assets.lake.store import LakeStore


def count(uri: str, temporary: str, rounds: int) -> None:
    """Add one to a record, often, each time under the lock."""
    tempfile.tempdir = temporary  # as another host's: a lock there would guard nothing
    locks.POLL_S = 0.02
    store = LakeStore(uri)
    for _ in range(rounds):
        with store.locked("counter"):
            n = store.get_record("n") or 0
            time.sleep(0.01)
            store.put_record("n", n + 1)


def hold(uri: str, ready: Event) -> None:
    """Hold a lock until killed."""
    with LakeStore(uri).locked("work"):
        ready.set()
        time.sleep(600)
