"""A reader that is narrowed gives some rows alone, by every method, and no recall is lost by it."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from lancedb.index import IvfSq

from rag_assets.index.rows import schema_of
from rag_assets.index.search import N_CANDIDATES, N_GROUPS, IndexReader
from rag_assets.lake.generations import INDEX, Generation
from rag_assets.lake.store import LakeStore
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import Doc, reader_of

OPEN = Doc(
    "docs:ferries.md",
    "Ferries",
    (("Fares", "A bicycle costs 4 euro. " * 20), ("Times", "The ferry leaves at nine.")),
    aliases=("docs:copy.md", "hr:copy.md", "hr:near.md"),
    copies=("docs:copy.md", "hr:copy.md"),
    superseded_by=("hr:new.md", "Ferries, secret"),
)
CLOSED = Doc("hr:pay.md", "Pay", (("Wages", "The bicycle of the captain. The ferry pays well."),))
ONLY = "starts_with(uri, 'docs:')"


@pytest.fixture
def whole(store: LakeStore, embedder: WordEmbedder) -> IndexReader:
    return reader_of(store, [OPEN, CLOSED], embedder)


@pytest.fixture
def reader(whole: IndexReader) -> IndexReader:
    return whole.narrowed(ONLY, lambda uri: uri.startswith("docs:"))


def test_every_method_reads_some_rows_alone(
    whole: IndexReader, reader: IndexReader, embedder: WordEmbedder
) -> None:
    (closed,) = [one for one in whole.documents() if one.uri == CLOSED.uri]
    vector = embedder.embed(["wages of the captain"])[0]
    assert len(whole) > len(reader) > 0
    assert whole.search("captain", vector)[0].chunk.uri == CLOSED.uri
    assert {hit.chunk.uri for hit in reader.search("captain ferry", vector)} == {OPEN.uri}
    assert reader.search("captain", None) == []
    assert whole.search_near("captaim", limit=5)
    assert reader.search_near("captaim", limit=5) == []
    assert [one.uri for one in reader.documents()] == [OPEN.uri]
    assert whole.sections([closed.section_id])
    assert reader.sections([closed.section_id]) == {}
    assert reader.chunks([closed.chunk_id]) == {}


def test_no_other_document_is_named(whole: IndexReader, reader: IndexReader) -> None:
    (chunk,) = reader.documents()
    assert chunk.aliases == chunk.copies == ["docs:copy.md"]
    assert (chunk.superseded_by, chunk.superseded_by_title) == ("", "")
    (found, *_) = [hit.chunk for hit in reader.search("bicycle", None)]
    assert (found.aliases, found.superseded_by) == (["docs:copy.md"], "")
    assert whole.documents()[0].superseded_by == "hr:new.md"
    more = whole.narrowed("true", lambda uri: uri != "hr:near.md").documents()[0]
    assert more.aliases == ["docs:copy.md", "hr:copy.md"]
    assert more.superseded_by_title == "Ferries, secret"


def test_narrowing_twice_never_widens(reader: IndexReader) -> None:
    twice = reader.narrowed("uri = 'hr:pay.md' OR title = 'Pay'", lambda uri: True)
    assert len(twice) == 0
    assert twice.documents() == []
    (again,) = reader.narrowed("true", lambda uri: True).documents()
    assert again.copies == ["docs:copy.md"]


def table_of(vectors: np.ndarray, uris: list[str]) -> pa.Table:
    blanks: dict[type, Any] = {str: "", list: []}
    schema = schema_of(vectors.shape[1])
    at = datetime(2024, 1, 1, tzinfo=UTC)
    columns = []
    for field in schema:
        if field.name == "vector":
            columns.append(pa.array(vectors.tolist(), field.type))
        elif field.name in ("uri", "chunk_id"):
            columns.append(pa.array(uris, field.type))
        else:
            kind = field.type
            blank = (
                blanks[str] if pa.types.is_string(kind)
                else blanks[list] if pa.types.is_list(kind)
                else at if pa.types.is_timestamp(kind)
                else 0
            )  # fmt: skip
            columns.append(pa.array([blank] * len(uris), kind))
    return pa.table(columns, schema=schema)


def test_a_filter_loses_nothing_that_lies_far_from_the_question(store: LakeStore) -> None:
    """The nearest groups of the vector index hold none of the rows that the filter leaves."""
    rng, n, few = np.random.default_rng(7), 6_000, 60
    vectors = rng.standard_normal((n, 8)).astype(np.float32)
    question = np.zeros(8, np.float32)
    question[0] = 1.0
    vectors[:few, 0] = -9.0 - rng.random(few)  # on the other side of the question
    vectors[few:, 0] = np.abs(vectors[few:, 0])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    uris = [f"{'few' if row < few else 'many'}:{row}" for row in range(n)]
    rows = table_of(vectors, uris)
    table = store.open_or_create(INDEX, "all", rows.schema)
    table.add(rows)
    table.create_index("vector", config=IvfSq(distance_type="cosine", num_partitions=4 * N_GROUPS))
    made = Generation("g", "2024-01-01", table.version, "", {}, {}, {}, "")
    reader = IndexReader(store, made).narrowed("starts_with(uri, 'few:')")
    found = [hit.chunk.uri for hit in reader.search("", question, limit=N_CANDIDATES)]
    exact = sorted(range(few), key=lambda row: -float(vectors[row] @ question))[:N_CANDIDATES]
    assert len(found) == N_CANDIDATES
    assert set(found) == {uris[row] for row in exact}
