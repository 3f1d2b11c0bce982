"""Start sooner: leave out what LanceDB imports and never uses here, and look for no garbage.

``import lancedb`` takes two thirds of its time for the HTTP client of REST namespaces, by way of
``lance_namespace``, which needs nothing but that package's ``models`` (measured with
``python -X importtime``: 2.9 of 4.5 s; each refresh, worker and command pays them). A package
without its ``__init__`` stands in for it; its submodules are the real ones.

The 400,000 objects that LanceDB and Dagster make when they are imported stay. Looking for garbage
among them took 0.5 of the 2.3 s of their imports, and 0.7 s at the end of the process (2 cores of a
Xeon, 2026-11-23).
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
