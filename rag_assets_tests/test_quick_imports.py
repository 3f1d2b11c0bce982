import gc
import os
import subprocess
import sys

import pytest

from rag_assets.quick_imports import uncollected


def test_nothing_is_collected_while_modules_are_imported() -> None:
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), uncollected():
        raise ImportError("no such module")
    assert gc.isenabled()


def test_a_process_ends_without_looking_for_garbage() -> None:
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


def test_asking_the_answerer_loads_no_lake() -> None:
    script = """
import sys
from contextlib import suppress
from rag_assets.cli.main import main
sys.argv = ["rag", "ask", "x"]
with suppress(SystemExit): main()
print([name for name in ("lancedb", "pyarrow", "vllm", "dagster") if name in sys.modules])
"""
    answered = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "RAG_ANSWERER_PORT": "1"},
        check=True,
    )
    assert answered.stdout.splitlines()[-1] == "[]", answered.stdout
