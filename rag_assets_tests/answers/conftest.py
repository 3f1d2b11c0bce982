"""Fixtures: a lake in a temporary folder, an embedder, an index of three ferry pages."""

import pytest

from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import FERRIES, reader_of
from rag_assets_tests.world import store

__all__ = ["store"]


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def ferries(store: LakeStore, embedder: WordEmbedder) -> IndexReader:
    return reader_of(store, FERRIES, embedder)
