"""Fixtures: a lake, scripted models, and the service on them."""

from pathlib import Path

import pytest

from rag_assets.access.file import AccessFile
from rag_assets.lake.store import LakeStore
from rag_assets.serving.app import Service
from rag_assets.serving.process import build_service
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.answers.world import FERRIES, publish_docs


@pytest.fixture
def store(tmp_path: Path) -> LakeStore:
    return LakeStore(str(tmp_path / "lake"))


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def llm() -> ScriptedChat:
    return ScriptedChat("llm", copies)


@pytest.fixture
def empty_service(
    store: LakeStore, llm: ScriptedChat, embedder: WordEmbedder, tmp_path: Path
) -> Service:
    """A service whose lake has no generation yet."""
    slm, access = ScriptedChat("slm", copies), AccessFile(tmp_path)
    return build_service(store, slm, llm, lambda _: embedder, access=access)


@pytest.fixture
def service(empty_service: Service, embedder: WordEmbedder) -> Service:
    """A service with the ferry pages in service."""
    publish_docs(empty_service.store, FERRIES, embedder)
    assert empty_service.live.reload().error == ""
    return empty_service
