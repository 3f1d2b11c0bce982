"""``bench vectors``: which kind of vector index, on tables of several sizes.

For each size a table of drawn vectors is written as the product writes its index, and each kind is
made on it, searched, and brought up to date after changes. What is found is compared with an exact
search.

The vectors lie as those of passages do: ``N_TOPICS`` directions, and every vector between two of
them with noise of half its length. Questions are drawn in the same way. Evenly spread vectors would
have no near ones at all.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import IvfHnswSq, IvfSq
from lancedb.table import Table as LanceTable
from numpy.typing import NDArray

from rag_assets.index.rows import BATCH_ROWS
from rag_assets.index.search import N_CANDIDATES, REFINE, nearest
from rag_assets.index.search_indexes import vector_index
from rag_assets_tests.benchmarks.findings import BenchmarkError, Part, Say, Table

SEED = 20_261
DIMENSION = 384  # of the vectors, like MiniLM's
N_TOPICS = 4000
NOISE = 0.5  # length of what is added to a vector of length 1
CHANGED_SHARE = 0.01
LEAST = round(N_CANDIDATES / CHANGED_SHARE)  # rows: that share is then as many as are asked for
N_CHANGES = 2  # the first may join what the table was written in
N_QUESTIONS = 200
OURS = "IVF_SQ (the product's)"
GRAPH = "IVF_HNSW_SQ"
MOST_FOR_A_GRAPH = 100_000  # rows; more take it ten minutes
EXACT = "none: an exact search"
KINDS: Mapping[str, Callable[[], IvfSq | IvfHnswSq]] = {
    OURS: vector_index,
    GRAPH: lambda: IvfHnswSq(distance_type="cosine"),
}

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one kind did on one table.

    Attributes:
        n_rows: of the table.
        kind: of the index.
        made_s: processor seconds to make it.
        changed_s: processor seconds of each update after ``CHANGED_SHARE`` of the rows changed.
        n_bytes: of its files as made.
        recall: share of the nearest ``N_CANDIDATES`` that it finds, before and after the changes.
        search_ms: median of a search, by the clock.
    """

    n_rows: int
    kind: str
    made_s: float
    changed_s: Sequence[float]
    n_bytes: int
    recall: tuple[float, float]
    search_ms: float


def measure(sizes: Sequence[int], folder: Path, say: Say) -> Part:
    """Measure all kinds at all sizes.

    Args:
        sizes: rows, ``LEAST`` or more each.
        folder: for the table of the moment, which is removed afterwards.
        say: told lines of progress.

    Raises:
        BenchmarkError: a size is too small.
    """
    if not sizes or min(sizes) < LEAST:
        raise BenchmarkError(f"expected sizes of {LEAST:,} rows or more, got {list(sizes)}")
    found = []
    for n_rows in sorted(set(sizes)):
        for kind in [EXACT, *KINDS]:
            if kind == GRAPH and n_rows > MOST_FOR_A_GRAPH:
                continue
            found.append(_measure(n_rows, kind, folder / "table"))
            one = found[-1]
            say(f"{n_rows:,} rows, {kind}: made in {one.made_s:.1f} s of processor time")
    shutil.rmtree(folder / "table", ignore_errors=True)
    return _part(found)


def _measure(n_rows: int, kind: str, folder: Path) -> Measured:
    shutil.rmtree(folder, ignore_errors=True)
    rng = np.random.default_rng(SEED)
    topics = _unit(rng.standard_normal((N_TOPICS, DIMENSION), dtype=np.float32))
    stored = _drawn(topics, n_rows, rng)
    questions = _drawn(topics, N_QUESTIONS, rng)
    table = lancedb.connect(folder).create_table("vectors", _rows(stored[:0], 0))
    for start in range(0, n_rows, BATCH_ROWS):
        table.add(_rows(stored[start : start + BATCH_ROWS], start))
    began = time.process_time()
    if kind in KINDS:
        table.create_index("vector", config=KINDS[kind]())
    made_s = time.process_time() - began
    n_bytes = sum(f.stat().st_size for f in folder.glob("*/_indices/*/*"))
    recall, search_ms = _searched(table, stored, questions)
    n_changed, changed_s = round(n_rows * CHANGED_SHARE), []
    for change in range(N_CHANGES):
        numbers = np.arange(change, n_rows, n_rows // n_changed)[:n_changed]
        stored[numbers] = _drawn(topics, len(numbers), rng)
        table.delete(f"number IN ({', '.join(map(str, numbers))})")
        table.add(_rows(stored[numbers], numbers))
        began = time.process_time()
        table.optimize(cleanup_older_than=timedelta(days=3650))
        changed_s.append(time.process_time() - began)
    recall_then, _ = _searched(table, stored, questions)
    return Measured(n_rows, kind, made_s, changed_s, n_bytes, (recall, recall_then), search_ms)


def _drawn(topics: Vectors, n: int, rng: np.random.Generator) -> Vectors:
    """Vectors of length 1, (n, DIMENSION), each somewhere between two topics."""
    one, other = rng.integers(0, len(topics), (2, n))
    share = rng.random((n, 1), dtype=np.float32)
    between = _unit(share * topics[one] + (1 - share) * topics[other])
    noise = _unit(rng.standard_normal((n, DIMENSION), dtype=np.float32))
    return _unit(between + NOISE * noise)


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _rows(vectors: Vectors, numbers: int | NDArray[np.int64]) -> pa.Table:
    if isinstance(numbers, int):
        numbers = np.arange(numbers, numbers + len(vectors))
    flat = pa.array(vectors.ravel(), pa.float32())
    return pa.table(
        {
            "number": pa.array(numbers, pa.int64()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, DIMENSION),
        }
    )


def _searched(table: LanceTable, stored: Vectors, questions: Vectors) -> tuple[float, float]:
    """(recall, median ms of a search) as the product searches."""
    n_found, taken = 0, []
    for question in questions:
        began = time.perf_counter()
        hits = nearest(table, question, N_CANDIDATES).select(["number"]).to_list()
        taken.append((time.perf_counter() - began) * 1000)
        best = np.argpartition(-(stored @ question), N_CANDIDATES)[:N_CANDIDATES]
        n_found += len(set(best.tolist()) & {hit["number"] for hit in hits})
    return n_found / (N_CANDIDATES * len(questions)), statistics.median(taken)


def _part(found: Sequence[Measured]) -> Part:
    rows = [
        [f"{one.n_rows:,}", one.kind, f"{one.made_s:.1f}",
         ", ".join(f"{seconds:.1f}" for seconds in one.changed_s), f"{one.n_bytes / 1e6:.1f}",
         f"{one.recall[0]:.4f}", f"{one.recall[1]:.4f}", f"{one.search_ms:.1f}"]
        for one in found
    ]  # fmt: skip
    columns = ["rows", "index", "made, processor s", "each update, processor s", "MB", "recall",
               "recall after the updates", "ms a search"]  # fmt: skip
    return Part(
        name="vectors",
        title="Kinds of vector index",
        tables=[Table("Kinds at several sizes", columns, rows)],
        notes=[
            f"Recall is the share of the {N_CANDIDATES} nearest that is found, over "
            f"{N_QUESTIONS} questions, the index's {REFINE * N_CANDIDATES} best ranked by the "
            "stored vectors; an update follows a change of 1 % of the rows.",
            f"{GRAPH} is not made on more than {MOST_FOR_A_GRAPH:,} rows.",
            f"Vectors are drawn: between two of {N_TOPICS:,} directions, with noise of {NOISE} of "
            f"their length; {DIMENSION} numbers each, seed {SEED}.",
        ],
    )
