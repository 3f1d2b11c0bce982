"""``bench filtered``: search under a filter beside an exact search, on an index of the product's.

Rows are drawn: their vectors as in ``bench vectors``, their words by Zipf's law. A share of the
documents may be read. They are spread over all topics, or lie apart: no question is drawn from
their topics, so the groups of the vector index nearest to it hold none of them.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rag_assets.index.rows import BATCH_ROWS, schema_of
from rag_assets.index.search import N_CANDIDATES, IndexReader
from rag_assets.index.search_indexes import MIN_ROWS_FOR_ANN, index_table
from rag_assets.lake.generations import INDEX, Generation
from rag_assets.lake.store import LakeStore
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table
from rag_assets_tests.benchmarks.vectors import DIMENSION, N_TOPICS, SEED, Vectors, _drawn, _unit

SHARES = (0.01, 0.1, 0.5)
LEAST = MIN_ROWS_FOR_ANN  # rows: fewer have no vector index, and a search is exact
N_QUESTIONS = 50
CHUNKS_A_DOCUMENT = 10
N_WORDS, WORDS_A_CHUNK, WORDS_A_QUESTION = 20_000, 60, 5
ALL = "all"
SPREAD, APART = "spread", "apart"


@dataclass(frozen=True, slots=True)
class Measured:
    """Searches under one filter.

    Attributes:
        share: of the rows that may be read.
        lie: spread over all topics, or apart from those asked about.
        recall: share of the nearest ``N_CANDIDATES`` permitted rows that are found.
        n_forbidden: rows found by vectors or words that may not be read.
        vector_ms: median of a search by vector.
        exact_ms: median of the same without the vector index.
        hybrid_ms: median of a search by vector and words.
    """

    share: float
    lie: str
    recall: float
    n_forbidden: int
    vector_ms: float
    exact_ms: float
    hybrid_ms: float


def measure(n_rows: int, folder: Path, say: Say) -> Part:
    """Measure all shares.

    Args:
        n_rows: of the index, ``LEAST`` or more.
        folder: for the lake of the moment, which is removed afterwards.
        say: told lines of progress.

    Raises:
        BenchmarkError: there are too few rows.
    """
    if n_rows < LEAST:
        raise BenchmarkError(f"expected {LEAST:,} rows or more, got {n_rows:,}")
    found = []
    for lie in (SPREAD, APART):
        lake = folder / f"lake-{lie}"
        shutil.rmtree(lake, ignore_errors=True)
        found += _measure(n_rows, lie, LakeStore(str(lake)), say)
        shutil.rmtree(lake)
    return _part(n_rows, found)


def _measure(n_rows: int, lie: str, store: LakeStore, say: Say) -> list[Measured]:
    rng = np.random.default_rng(SEED)
    topics = _unit(rng.standard_normal((N_TOPICS, DIMENSION), dtype=np.float32))
    n_asked = N_TOPICS // 2
    place = np.arange(n_rows) // CHUNKS_A_DOCUMENT / -(-n_rows // CHUNKS_A_DOCUMENT)
    if lie == SPREAD:
        vectors = _drawn(topics, n_rows, rng)
        place = place[rng.permutation(n_rows)]
    else:  # the first half, which the filters leave a part of, is of topics that nobody asks about
        n_first = n_rows // 2
        first = _drawn(topics[n_asked:], n_first, rng)
        vectors = np.concatenate([first, _drawn(topics[:n_asked], n_rows - n_first, rng)])
    names = [f"{share:.2f}" for share in SHARES]
    groups = np.searchsorted(SHARES, place, side="right")
    uris = [f"s{group}:{row}.md" for row, group in enumerate(groups)]
    reader = _index(store, vectors, uris, rng)
    say(f"{n_rows:,} rows are indexed, {lie}")
    asked = _drawn(topics[:n_asked], N_QUESTIONS, rng)
    texts = [_text(rng, WORDS_A_QUESTION) for _ in asked]
    exact = _Exact(reader)
    found = [_searched(reader, exact, vectors, np.ones(n_rows, bool), asked, texts, None, 1.0, lie)]
    for n, (name, share) in enumerate(zip(names, SHARES, strict=True)):
        where = " OR ".join(f"starts_with(uri, 's{group}:')" for group in range(n + 1))
        may = groups <= n
        found.append(_searched(reader, exact, vectors, may, asked, texts, where, share, lie))
        say(f"{name} permitted, {lie}: recall {found[-1].recall:.4f}")
    return found


def _index(
    store: LakeStore, vectors: Vectors, uris: Sequence[str], rng: np.random.Generator
) -> IndexReader:
    """Rows as the product writes them, with the product's indexes."""
    schema = schema_of(DIMENSION)
    table = store.open_or_create(INDEX, "all", schema)
    for start in range(0, len(uris), BATCH_ROWS):
        some = range(start, min(start + BATCH_ROWS, len(uris)))
        texts = [_text(rng, WORDS_A_CHUNK) for _ in some]
        of = {
            "chunk_id": [f"c{row}" for row in some],
            "section_id": [f"s{row // 3}" for row in some],
            "document_id": [f"d{row // CHUNKS_A_DOCUMENT}" for row in some],
            "partition": ["s.0"] * len(some),
            "uri": [uris[row] for row in some],
            "text": texts,
            "search_text": texts,
        }
        flat = pa.array(vectors[start : some.stop].ravel(), pa.float32())
        columns = [
            pa.FixedSizeListArray.from_arrays(flat, DIMENSION)
            if field.name == "vector"
            else pa.array(of.get(field.name, [_blank(field)] * len(some)), field.type)
            for field in schema
        ]
        table.add(pa.table(columns, schema=schema))
    index_table(table)
    return IndexReader(store, Generation("g", "2026-01-01", table.version, "", {}, {}, {}, ""))


def _blank(field: pa.Field) -> Any:  # noqa: ANN401 - of any column
    if field.nullable:
        return None
    if pa.types.is_list(field.type):
        return []
    if pa.types.is_timestamp(field.type):
        return datetime(2024, 1, 1, tzinfo=UTC)
    return "" if pa.types.is_string(field.type) else 0


def _text(rng: np.random.Generator, n: int) -> str:
    numbers = np.minimum(rng.zipf(1.2, n), N_WORDS)
    return " ".join(f"w{number}" for number in numbers)


class _Exact:
    """Searches by vector without the vector index."""

    def __init__(self, reader: IndexReader) -> None:
        self._table = reader._table

    def search(self, vector: Vectors, where: str | None) -> list[dict[str, Any]]:
        query = self._table.search(vector, vector_column_name="vector").distance_type("cosine")
        query = query.bypass_vector_index().limit(N_CANDIDATES).select(["chunk_id", "_distance"])
        if where is not None:
            query = query.where(where, prefilter=True)
        rows: list[dict[str, Any]] = query.to_list()
        return rows


def _searched(
    reader: IndexReader,
    exact: _Exact,
    stored: Vectors,
    may: NDArray[np.bool_],
    asked: Vectors,
    texts: Sequence[str],
    where: str | None,
    share: float,
    lie: str,
) -> Measured:
    narrow = reader if where is None else reader.narrowed(where)
    by_vector, by_both, by_scan = list[float](), list[float](), list[float]()
    n_right = n_forbidden = 0
    permitted = np.flatnonzero(may)
    for vector, text in zip(asked, texts, strict=True):
        hits, took = _timed(partial(narrow.search, "", vector, limit=N_CANDIDATES))
        by_vector.append(took)
        both, took = _timed(partial(narrow.search, text, vector, limit=2 * N_CANDIDATES))
        by_both.append(took)
        by_scan.append(_timed(partial(exact.search, vector, where))[1])
        scores = stored[permitted] @ vector
        best = permitted[np.argpartition(-scores, N_CANDIDATES)[:N_CANDIDATES]]
        got = {int(hit.chunk.chunk_id[1:]) for hit in hits}
        n_right += len(got & set(best.tolist()))
        n_forbidden += sum(not may[int(hit.chunk.chunk_id[1:])] for hit in both)
    return Measured(
        share,
        lie if where else ALL,
        n_right / (N_CANDIDATES * len(asked)),
        n_forbidden,
        statistics.median(by_vector),
        statistics.median(by_scan),
        statistics.median(by_both),
    )


def _timed(search: Callable[[], list[Any]]) -> tuple[list[Any], float]:
    began = time.perf_counter()
    found = search()
    return found, (time.perf_counter() - began) * 1000


def _part(n_rows: int, found: Sequence[Measured]) -> Part:
    rows = [
        [f"{one.share:.0%}", one.lie, f"{one.recall:.4f}", str(one.n_forbidden),
         f"{one.vector_ms:.1f}", f"{one.exact_ms:.1f}", f"{one.hybrid_ms:.1f}"]
        for one in found
    ]  # fmt: skip
    columns = ["permitted", "they lie", "recall", "forbidden rows found", "vectors, ms",
               "vectors without the index, ms", "vectors and words, ms"]  # fmt: skip
    free = min(one.recall for one in found if one.lie == ALL)
    least = min(one.recall for one in found if one.lie != ALL)
    n_forbidden = sum(one.n_forbidden for one in found)
    return Part(
        name="filtered",
        title="Search under a filter",
        tables=[Table(f"{n_rows:,} chunks", columns, rows)],
        goals=[
            Goal("a filter costs no recall", f"{least:.4f}, without: {free:.4f}", least >= free),
            Goal("no forbidden row", str(n_forbidden), n_forbidden == 0),
        ],
        notes=[
            f"Recall is the share of the {N_CANDIDATES} nearest permitted rows that a search by "
            f"vector finds, over {N_QUESTIONS} questions; times are medians by the clock.",
            "Rows that lie apart are of topics that no question is about.",
            f"Drawn: {DIMENSION} numbers a vector, {WORDS_A_CHUNK} words a chunk, seed {SEED}.",
        ],
    )
