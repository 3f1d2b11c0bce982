"""Start sooner: leave out what LanceDB imports and never uses here, and collect no garbage.

``import lancedb`` spends two thirds of its time on the HTTP client of REST namespaces. It comes by
way of ``lance_namespace``, which needs only that package's ``models`` (measured with
``python -X importtime``: 2.9 of 4.5 s; each refresh, worker and command pays for it). A package
without its ``__init__`` takes its place; its submodules are the real ones.

LanceDB and Dagster make 400,000 objects when they are imported, and all of them stay. Looking for
garbage among them took 0.5 of the 2.3 s of their imports, and 0.7 s at the end of the process
(2 cores of a Xeon, 2026-11-23).
"""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType

REST_CLIENT = "lance_namespace_urllib3_client"


def leave_out_rest_client() -> None:
    """Keep the package's ``__init__`` from running; call before ``import lancedb``."""
    if REST_CLIENT in sys.modules:
        return
    spec = find_spec(REST_CLIENT)
    if spec is not None and spec.submodule_search_locations is not None:
        stand_in = ModuleType(REST_CLIENT, "See rag_assets.quick_imports.")
        stand_in.__path__ = list(spec.submodule_search_locations)
        sys.modules[REST_CLIENT] = stand_in


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the garbage collector for the imports of a block."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def end_uncollected() -> None:
    """Have this process end without a last look for garbage."""
    atexit.register(gc.freeze)
