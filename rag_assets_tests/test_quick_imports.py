import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rag_assets.quick_imports import uncollected


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    """Other tests' objects are collected as ever."""
    yield
    gc.unfreeze()


def test_nothing_is_collected_while_modules_are_imported_nor_of_them_later() -> None:
    before = gc.get_freeze_count()
    with uncollected():
        assert not gc.isenabled()
        kept: list[list[None]] = [[] for _ in range(100)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(kept)


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), uncollected():
        raise ImportError("no such module")
    assert gc.isenabled()


def test_a_process_ends_without_looking_for_garbage() -> None:
    """What is left in a cycle is not finalised: the end of a process is no time to look for it."""
    script = """
import sys
from rag_assets.quick_imports import end_uncollected
class Loud:
    def __del__(self): print("collected")
loud = Loud()
loud.itself = loud
del loud
if sys.argv[1] == "uncollected": end_uncollected()
"""
    said = {
        how: subprocess.run(
            [sys.executable, "-c", script, how], capture_output=True, text=True, check=True
        ).stdout.strip()
        for how in ("collected", "uncollected")
    }
    assert said == {"collected": "collected", "uncollected": ""}
