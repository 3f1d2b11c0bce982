"""``bench scale``: what a document costs when there are ten times as many.

For each size a corpus is written (``synthetic``), declared as a folder with about
``DOCUMENTS_A_BUCKET`` documents a bucket, and brought through stages 1 to 6 into a lake of its own.
Every stage runs in processes of its own, so that its memory is its own, over as many partitions as
a run of a backfill has, or over all where it cannot be parted; seconds are counted in them, without
their start. Then nothing is changed; 1 % in as few partitions as hold so many; 1 % spread over all
partitions; and all stages run again each time. At the end upkeep runs on the lake as ``rag upkeep``
does, without its limit of time.

``built_only`` leaves out all that comes after the build, a third of the time.

A size that is finished is kept in the folder and not measured again; one that was stopped between
two processes (Ctrl-C waits for that) goes on from there; one that was cut off is begun anew.
"""

import json
import math
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
from numpy.typing import NDArray

from rag_assets.duplicates.stage import collapse_duplicates
from rag_assets.index.stage import build_index
from rag_assets.lake.generations import INDEX
from rag_assets.lake.identity import text_hash
from rag_assets.lake.store import LakeStore
from rag_assets.lake.upkeep import tend
from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.clients.window import EmbedderWindow
from rag_assets.models.protocols import ChatModel
from rag_assets.models.weights.choosing import active_profile
from rag_assets.models.weights.pulling import model_dir, require_pulled
from rag_assets.orchestration.partitions import PARTITIONS_PER_RUN
from rag_assets.pipeline.run import ModelFacts, Run
from rag_assets.pipeline.stage import refresh_stage
from rag_assets.pipeline.stages import DUPLICATES, STAGES
from rag_assets.sources.catalog import Catalog
from rag_assets.sources.declaration import Source
from rag_assets_tests.benchmarks import synthetic
from rag_assets_tests.benchmarks.findings import BenchmarkError, Part, Say
from rag_assets_tests.benchmarks.scale_report import (
    PHASES,
    UPKEEP,
    Cost,
    Size,
    megabytes,
    report,
)
from rag_assets_tests.benchmarks.scale_report import STAGES as MEASURED
from rag_assets_tests.benchmarks.steps import Steps

SEED = 20_261
DOCUMENTS_A_BUCKET = 1000
DIMENSION = 384  # of the vectors, like MiniLM's
CHANGED_SHARE = 0.01
LEAST = 100  # documents, of which that share is one
RUN = "bench-scale"
# The others look at the whole source or the whole corpus.
BY_PARTITION = frozenset({"documents", "sections", "chunks", "embeddings"})


class StandIn:
    """In place of the embedder: a unit vector drawn from the text's hash; costs next to nothing.

    What an embedder takes is measured elsewhere and is linear; a million documents would keep
    it busy for days.
    """

    model_id = "stand-in/drawn-from-the-text"
    revision = "1"
    dimension = DIMENSION
    max_tokens = 10**9

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of ``texts``, (n, DIMENSION) float32, each of length 1."""
        drawn = [
            np.random.default_rng(int(text_hash(text), 16)).standard_normal(DIMENSION)
            for text in texts
        ]
        vectors = np.array(drawn, dtype=np.float32).reshape(-1, DIMENSION)
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def count(self, text: str) -> int:
        """Nothing is ever too long for it."""
        return 0


@dataclass(frozen=True, slots=True)
class Window:
    """The real embedder's tokenizer: where it lies, its name, and what fits."""

    folder: Path
    identity: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Job:
    """A stage of a refresh over some partitions, for a process of its own."""

    stage: str
    lake: str
    source: Source
    window: Window
    partitions: Sequence[str]


NOTES = (
    f"Vectors are a stand-in ({StandIn.model_id}): unit vectors drawn from the texts' "
    "hashes. What an embedder takes is not in these figures.",
    "Growth is of processor seconds: the clock's depend on what else runs on the machine.",
    "Start-up of the processes is not counted; peak memory is sampled every 0.1 s.",
    "Stage source_files is one process and lists the source once; each run of a backfill, "
    f"{PARTITIONS_PER_RUN} partitions, lists it again: 0.07 ms for each of its documents.",
)
_CORPUS = (
    "Documents are synthetic (see synthetic.py), of {} words in the median, "
    f"seed {SEED}; formats Markdown, HTML and text."
)
Launch = Callable[[Job], Cost]


@dataclass(frozen=True)
class _Models:
    """The stand-in and the real embedder's tokenizer, as stages are given models."""

    of: Window

    @property
    def embedder(self) -> StandIn:
        """Makes vectors."""
        return StandIn()

    @property
    def question_embedder(self) -> StandIn:
        """Likewise, of questions."""
        return StandIn()

    @property
    def slm(self) -> ChatModel:
        """None: no document is described."""
        raise BenchmarkError("this benchmark has no small model; its source is not enriched")

    @property
    def window(self) -> EmbedderWindow:
        """The tokenizer, and how much text fits."""
        tokenizer = Tokenizer.from_dir(self.of.folder)
        return EmbedderWindow(tokenizer, self.of.identity, self.of.max_tokens)


@dataclass(frozen=True)
class _Facts:
    """What the fingerprints of stages are made of."""

    tokenizer_id: str
    max_tokens: int
    embedder: tuple[str, str] = (StandIn.model_id, StandIn.revision)
    dimension: int = DIMENSION
    slm: tuple[str, str] = ("", "")
    identities: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: {
            "embedder": {"model_id": StandIn.model_id, "revision": StandIn.revision}
        }
    )


def run_stage(job: Job) -> Cost:
    """Run a stage over the job's partitions, in this process; without its peak memory."""
    store = LakeStore(job.lake)
    started, before = time.perf_counter(), os.times()
    n_written = _work(job, store)
    after = os.times()
    return Cost(time.perf_counter() - started, sum(after[:4]) - sum(before[:4]), n_written)


def _work(job: Job, store: LakeStore) -> int:
    """Run the stage; rows that were written (of upkeep: tables that were merged)."""
    if job.stage == UPKEEP:
        return len(tend(store, STAGES, budget_s=math.inf).tables)
    facts = cast(ModelFacts, _Facts(job.window.identity, job.window.max_tokens))
    sources = Catalog([job.source])
    name = INDEX if job.stage == "index" else job.stage
    stage = next(one for one in STAGES if one.name == name)
    with Run(
        store, facts, _Models(job.window), sources, run_id=RUN, partitions=job.partitions
    ) as run:
        if stage.scope == "partition":
            reports = [refresh_stage(run, stage, partition) for partition in job.partitions]
            return sum(report.n_written for report in reports)
        if stage is DUPLICATES:
            return collapse_duplicates(store).changed
        return build_index(
            store, stage, dimension=DIMENSION, models=facts.identities, run_id=RUN
        ).n_upserted


def in_a_process(job: Job) -> Cost:
    """Run a stage in a process of its own, and watch its memory.

    Raises:
        BenchmarkError: the process died; what it printed says why.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_send_cost, args=(there, job))
    process.start()
    there.close()
    peaks = _Peaks(psutil.Process(process.pid))
    peaks.start()
    try:
        cost: Cost = here.recv()
    except EOFError as error:
        raise BenchmarkError(f"stage {job.stage} died; its own words stand above") from error
    except KeyboardInterrupt:
        process.kill()
        raise
    finally:
        peaks.stop()
        process.join()
    return replace(cost, rss=peaks.own, rss_child=peaks.child)


def _send_cost(pipe: Connection, job: Job) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    pipe.send(run_stage(job))


class _Peaks(threading.Thread):
    """Samples resident bytes of a process and of its largest child, ten times a second."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._stopped = threading.Event()
        self.own = self.child = 0

    def run(self) -> None:
        while not self._stopped.wait(0.1):
            try:
                self.own = max(self.own, self._process.memory_info().rss)
                for child in self._process.children(recursive=True):
                    self.child = max(self.child, child.memory_info().rss)
            except psutil.NoSuchProcess:  # a child that ended in between, or all
                continue

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def embedder_window(cache: Path) -> Window:
    """The active profile's embedder, whose tokenizer cuts the chunks.

    Raises:
        NotPulledError: its weights are not in the cache.
    """
    spec = active_profile().spec("embedder")
    require_pulled(spec, cache)
    folder = model_dir(spec, cache)
    n_special = Tokenizer.from_dir(folder).n_special
    return Window(folder, f"{spec.model_id}@{spec.revision}", spec.max_model_len - n_special)


def measure(
    sizes: Sequence[int],
    folder: Path,
    window: Window,
    say: Say,
    *,
    median_words: int = synthetic.MEDIAN_WORDS,
    built_only: bool = False,
    launch: Launch = in_a_process,
) -> Part:
    """Measure all sizes, the smallest first.

    Args:
        sizes: numbers of documents, ``LEAST`` or more each.
        folder: where corpora and lakes are made (about 200 kB a document), and results are kept.
        window: of the real embedder.
        say: told lines of progress.
        median_words: of a document.
        built_only: leave out the refreshes and the upkeep; what was built is left for them.
        launch: runs a stage.

    Raises:
        BenchmarkError: a size is too small, or a stage died.
    """
    if not sizes or min(sizes) < LEAST:
        raise BenchmarkError(f"expected sizes of {LEAST} documents or more, got {list(sizes)}")
    measured = []
    folder = folder / f"{median_words}-words"
    folder.mkdir(exist_ok=True)
    for n_documents in sorted(set(sizes)):
        kept = folder / f"{n_documents}.json"
        if kept.is_file():
            day = time.strftime("%Y-%m-%d", time.localtime(kept.stat().st_mtime))
            say(f"{n_documents:,} documents: of {day}, kept in {kept}; remove it to measure again")
            measured.append(_from_json(kept.read_text()))
            continue
        own = folder / str(n_documents)
        phases = PHASES[:1] if built_only else PHASES
        measured.append(_measure_size(n_documents, own, window, say, median_words, phases, launch))
        if built_only:
            continue
        kept.write_text(json.dumps(asdict(measured[-1]), indent=1))
        shutil.rmtree(own)
    return report(measured, (_CORPUS.format(median_words), *NOTES))


def _from_json(text: str) -> Size:
    values = json.loads(text)
    costs = {
        phase: {stage: Cost(**cost) for stage, cost in of.items()}
        for phase, of in values.pop("costs").items()
    }
    return Size(**values, costs=costs)


def n_buckets(n_documents: int) -> int:
    """Buckets of a source: the power of two that gives about ``DOCUMENTS_A_BUCKET`` each."""
    return int(2 ** max(0, round(math.log2(n_documents / DOCUMENTS_A_BUCKET))))


def _measure_size(
    n_documents: int,
    folder: Path,
    window: Window,
    say: Say,
    median_words: int,
    phases: Sequence[str],
    launch: Launch,
) -> Size:
    steps = Steps(folder / "steps.json", say)
    if steps.cut_off is not None:
        say(f"{n_documents:,} documents: cut off in {steps.cut_off}; beginning anew")
        shutil.rmtree(folder)
        steps = Steps(folder / "steps.json", say)
    elif steps.n_done:
        say(f"{n_documents:,} documents: going on after {steps.n_done} steps")
    corpus, buckets = folder / "corpus", n_buckets(n_documents)
    corpus.mkdir(parents=True, exist_ok=True)
    source = Source(name="scale", kind="folder", where=str(corpus), buckets=buckets)
    store = LakeStore(str(folder / "lake"))

    def cost_of(phase: str, stage: str) -> Cost:
        costs = []
        groups = _groups(stage, source.partitions)
        for number, group in enumerate(groups, 1):
            job = Job(stage, store.uri, source, window, group)
            kept = steps.run(f"{phase}: {stage} {number}", partial(_values, launch, job))
            costs.append(Cost(**kept))
            if len(groups) > 1:
                say(f"    {stage}: {number} of {len(groups)} processes")
        cost = _together(costs)
        say(f"  {stage}: {cost.seconds:.1f} s, {cost.n_written:,} rows, {megabytes(cost.rss)}")
        return cost

    costs: dict[str, dict[str, Cost]] = {}
    n_changed: dict[str, int] = {}
    for phase in phases:
        n_changed[phase] = steps.run(
            f"{phase}: change", partial(_change, phase, n_documents, source, median_words)
        )
        say(f"{n_documents:,} documents, {phase}: {n_changed[phase]:,} written")
        costs[phase] = {stage: cost_of(phase, stage) for stage in MEASURED}
        if phase == PHASES[0]:
            n_rows = steps.run("rows", partial(_rows_by_table, store))
    if phases == PHASES[:1]:
        return Size(n_documents, buckets, n_changed, costs, n_rows, {}, {})
    n_bytes = steps.run("bytes", partial(_bytes_by_table, folder / "lake"))
    say(f"{n_documents:,} documents, {UPKEEP}")
    costs[UPKEEP] = {UPKEEP: cost_of(UPKEEP, UPKEEP)}
    n_bytes_after_upkeep = _bytes_by_table(folder / "lake")
    return Size(n_documents, buckets, n_changed, costs, n_rows, n_bytes, n_bytes_after_upkeep)


def _values(launch: Launch, job: Job) -> dict[str, Any]:
    return asdict(launch(job))


def _groups(stage: str, partitions: Sequence[str]) -> list[Sequence[str]]:
    """A stage's partitions by the processes that it runs in."""
    at_most = PARTITIONS_PER_RUN if stage in BY_PARTITION else len(partitions)
    return [partitions[i : i + at_most] for i in range(0, len(partitions), at_most)]


def _together(costs: Sequence[Cost]) -> Cost:
    """Of processes one after another."""
    return Cost(
        seconds=sum(cost.seconds for cost in costs),
        cpu_s=sum(cost.cpu_s for cost in costs),
        n_written=sum(cost.n_written for cost in costs),
        rss=max(cost.rss for cost in costs),
        rss_child=max(cost.rss_child for cost in costs),
    )


def _change(phase: str, n_documents: int, source: Source, median_words: int) -> int:
    """Bring the corpus into the phase's state; how many documents were written."""
    everything = range(n_documents)
    n_to_change = round(n_documents * CHANGED_SHARE)
    revision = PHASES.index(phase) - 1
    numbers: Sequence[int]
    if phase == PHASES[0]:
        numbers, revision = everything, 0
    elif phase == PHASES[1]:
        numbers = ()
    elif phase == PHASES[2]:  # those whose bucket is lowest, until there are enough
        ranked = sorted(everything, key=lambda n: (_bucket(source, n), n))
        numbers = sorted(ranked[:n_to_change])
    else:
        numbers = everything[:: round(1 / CHANGED_SHARE)][:n_to_change]
    made = synthetic.write(
        Path(source.where), SEED, numbers, revision=revision, median_words=median_words
    )
    return sum(1 for _ in made)


def _bucket(source: Source, number: int) -> int:
    uri = f"{source.name}:{synthetic.path_of(SEED, number)}"
    return int(source.partition_of(uri).rpartition(".")[2])


def _rows_by_table(store: LakeStore) -> dict[str, int]:
    found = {}
    for name in ("documents", "rejected_documents", "duplicates", "sections", "chunks",
                 "embeddings", "chunk_index"):  # fmt: skip
        tables = (store.table(name, partition) for partition in store.partitions(name))
        found[name] = sum(table.count_rows() for table in tables if table is not None)
    return found


def _bytes_by_table(lake: Path) -> dict[str, int]:
    folders = [*sorted((lake / "tables").iterdir()), lake / "raw", lake / "records"]
    return {
        folder.name: sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        for folder in folders
    }
