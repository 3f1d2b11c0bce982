"""An answerer of a benchmark's own, on engines that run already."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, cycle, islice
from pathlib import Path

from rag_assets.models.engines.state import running_engines, write_states
from rag_assets.serving.client import AnswererClient
from rag_assets.serving.listening import answerer_address
from rag_assets.settings import CHECKOUT, Settings
from rag_assets.sources.declaration import Source
from rag_assets.sources.golden import KINDS, load_cases
from rag_assets_tests.benchmarks.findings import BenchmarkError

SAMPLE = CHECKOUT / "data" / "sample" / "corpus"
START_S, STOP_S = 120.0, 30.0


@contextmanager
def own_answerer(settings: Settings, home: Path) -> Iterator[str]:
    """Yields the address of an answerer on a free port, once it can answer.

    Args:
        settings: whose engines it asks.
        home: holds ``lake`` and ``sources.yaml``; its state and log are written there.

    Raises:
        BenchmarkError: it did not start; the message says where its log is.
    """
    state, log = home / "state", home / "answerer.log"
    state.mkdir(exist_ok=True)
    write_states(state, running_engines(settings.state).values())
    environment = {
        **os.environ, "RAG_HOME": str(home), "RAG_STATE": str(state), "RAG_ANSWERER_PORT": "0",
        "RAG_LAKE": str(home / "lake"),
    }  # fmt: skip
    command = [sys.executable, "-m", "rag_assets.serving", "--with-parent"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield _ready(process, state, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], state: Path, log: Path) -> str:
    end, why = time.monotonic() + START_S, "it wrote no address"
    while time.monotonic() < end and process.poll() is None:
        if url := answerer_address(state):
            why = AnswererClient(url).readiness()
            if not why:
                return url
        time.sleep(0.2)
    raise BenchmarkError(f"the answerer is not ready: {why}; its log is {log}")


def sample_questions(n: int) -> list[str]:
    """So many of the sample's golden questions, one of each kind by turns, then from the first."""
    golden = str(SAMPLE.parent / "golden.jsonl")
    cases = load_cases(Source(name="sample", kind="folder", where=str(SAMPLE), golden=golden))
    by_kind = (cycle([one.question for one in cases if one.kind == kind]) for kind in KINDS)
    return list(islice(chain.from_iterable(zip(*by_kind, strict=True)), n))
