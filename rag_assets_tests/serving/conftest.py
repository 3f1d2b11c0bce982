"""Fixtures: a lake, scripted models, and the service on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rag_assets.access.file import AccessFile
from rag_assets.lake.store import LakeStore
from rag_assets.serving.app import create_app
from rag_assets.serving.process import build_service
from rag_assets.serving.service import Service
from rag_assets_tests.answers.conftest import embedder, store
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.answers.world import FERRIES, publish_docs

__all__ = ["embedder", "store"]


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


@pytest.fixture(scope="module")
def kept_service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """One such service for all tests of a module that change nothing in its lake."""
    folder, embedder = tmp_path_factory.mktemp("serving"), WordEmbedder()
    store = LakeStore(str(folder / "lake"))
    slm, llm = ScriptedChat("slm", copies), ScriptedChat("llm", copies)
    service = build_service(store, slm, llm, lambda _: embedder, access=AccessFile(folder))
    publish_docs(store, FERRIES, embedder)
    assert service.live.reload().error == ""
    return service


@pytest.fixture
def kept_llm(kept_service: Service) -> Iterator[ScriptedChat]:
    """Its large model; what a test scripts is undone."""
    assert kept_service.live.current is not None
    llm = kept_service.live.current.answerer.llm
    assert isinstance(llm, ScriptedChat)
    llm.calls.clear()
    yield llm
    llm.reply = copies


@pytest.fixture(scope="module")
def kept_http(kept_service: Service) -> Iterator[TestClient]:
    app = create_app(kept_service)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client
