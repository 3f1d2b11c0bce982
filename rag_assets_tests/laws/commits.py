"""Every step in which the lake changes: seen, counted, and made to fail or to kill at will.

A step is a Lance commit, an atomic write of a record or a blob, or a tag. The package has no hook
for this: the methods that make the steps are wrapped from outside.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from lancedb.db import LanceDBConnection
from lancedb.merge import LanceMergeInsertBuilder
from lancedb.table import LanceTable, Tags

from rag_assets.lake.store import LakeStore

STEPS: tuple[tuple[type, str], ...] = (
    (LanceDBConnection, "create_table"),
    (LanceTable, "add"),
    (LanceTable, "delete"),
    (LanceTable, "create_index"),
    (LanceTable, "drop_index"),
    (LanceTable, "optimize"),
    (LanceMergeInsertBuilder, "execute"),
    (Tags, "create"),
    (Tags, "update"),
    (LakeStore, "put_record"),
    (LakeStore, "put_blob"),
)
At = Callable[[int, str], None]


@contextmanager
def watched(at: At) -> Iterator[None]:
    """Call ``at(instant, name of the step)`` before (even) and after (odd) each step.

    Steps of other threads are not seen: an answerer of another test may still renew its lease.
    """
    instant, watcher = 0, threading.get_ident()

    def wrap(owner: type, name: str) -> Callable[..., object]:
        step = getattr(owner, name)

        def stepped(self: object, *args: object, **kw: object) -> object:
            nonlocal instant
            if threading.get_ident() != watcher:
                return step(self, *args, **kw)
            before, instant = instant, instant + 2
            label = f"{owner.__name__}.{name} {_place(self, args)}"
            at(before, f"before {label}")
            result = step(self, *args, **kw)
            at(before + 1, f"after {label}")
            return result

        return stepped

    with ExitStack() as stack:
        for owner, name in STEPS:
            stack.enter_context(patch.object(owner, name, wrap(owner, name)))
        yield


def _place(owner: object, args: tuple[object, ...]) -> str:
    table = getattr(owner, "_table", owner)
    if isinstance(table, LanceTable):
        return f"{str(table._conn.uri).split('/')[-1]}/{table.name}"
    if isinstance(owner, LanceDBConnection):
        return f"{str(owner.uri).split('/')[-1]}/{args[0]}"
    return str(args[0]) if args and isinstance(args[0], str) else ""
