"""Fixtures: a lake in a temporary folder, an embedder, an index of three ferry pages."""

from pathlib import Path

import pytest

from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import FERRIES, reader_of


@pytest.fixture
def store(tmp_path: Path) -> LakeStore:
    return LakeStore(str(tmp_path / "lake"))


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def ferries(store: LakeStore, embedder: WordEmbedder) -> IndexReader:
    return reader_of(store, FERRIES, embedder)
