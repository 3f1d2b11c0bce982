"""Canaries pass on a sound generation and fail on each way to break one."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from lancedb.index import FTS

from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.serving.canaries import CanaryError, run_canaries
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import FERRIES, Doc, build, reader_of, rows_of


def test_a_sound_generation_passes(store: LakeStore, embedder: WordEmbedder) -> None:
    assert run_canaries(reader_of(store, FERRIES, embedder), embedder) >= 1


def test_an_empty_generation_has_nothing_to_find(store: LakeStore, embedder: WordEmbedder) -> None:
    assert run_canaries(reader_of(store, [], embedder), embedder) == 0


def test_equal_texts_are_a_tie(store: LakeStore, embedder: WordEmbedder) -> None:
    same = [Doc(f"s:{n}", "Same", (("H", "The very same words here."),)) for n in range(30)]
    assert run_canaries(reader_of(store, same, embedder), embedder) >= 1


def test_meaningless_vectors_are_found_out(store: LakeStore, embedder: WordEmbedder) -> None:
    docs = [Doc(f"s:{n}", f"T{n}", (("H", f"word{n} other{n} more{n}"),)) for n in range(60)]
    rows = rows_of(docs, embedder)
    noise = np.random.default_rng(1).standard_normal((60, 64)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(noise.ravel()), 64)
    rows = rows.set_column(
        rows.schema.get_field_index("vector"), rows.schema.field("vector"), column
    )
    generation = build(store, docs, embedder)
    table = store.open_or_create("chunk_index", "all", rows.schema)
    table.delete("true")
    table.add(rows)
    table.create_index("search_text", config=FTS(), replace=True)
    reader = IndexReader(store, replace(generation, index_version=table.version))
    with pytest.raises(CanaryError, match="the vector search does not find chunk"):
        run_canaries(reader, embedder)


def test_a_text_index_made_on_an_empty_table_is_found_out(
    store: LakeStore, embedder: WordEmbedder
) -> None:
    rows = rows_of(FERRIES, embedder)
    table = store.open_or_create("chunk_index", "all", rows.schema)
    table.add(rows)  # no text index at all: BM25 finds nothing
    generation = build(store, FERRIES, embedder)
    reader = IndexReader(store, replace(generation, index_version=2))
    with pytest.raises(CanaryError, match="the BM25 search does not find chunk"):
        run_canaries(reader, embedder)
