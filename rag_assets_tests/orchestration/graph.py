"""Resources of the tests in Dagster: a lake and sources of a test, models that are fakes."""

from functools import cached_property
from pathlib import Path
from typing import Any

from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.window import EmbedderWindow
from rag_assets.orchestration.resources import LakeResource, ModelsResource, SourcesResource
from rag_assets.settings import load_settings
from rag_assets.sources.catalog import Source, catalog
from rag_assets_tests.fakes import FakeChat
from rag_assets_tests.world import CountingEmbedder, Facts, WordCounter, facts_of, say_labels


class FakeModels(ModelsResource):
    """The models of the tests behind the interface of the real ones."""

    max_tokens: int = 60

    @cached_property
    def embedder(self) -> CountingEmbedder:
        return CountingEmbedder()

    @property
    def question_embedder(self) -> CountingEmbedder:
        return self.embedder

    @cached_property
    def slm(self) -> FakeChat:
        return FakeChat([say_labels])

    @property
    def facts(self) -> Facts:  # type: ignore[override]
        return facts_of(self.embedder, self.slm, self.max_tokens)

    @property
    def window(self) -> EmbedderWindow:
        return EmbedderWindow(WordCounter(), "words", self.max_tokens)


def sources_of(*names: str) -> list[Source]:
    """The sources of the environment's home by name; without a name, all."""
    settings = load_settings()
    known = catalog(settings.sources_file, LakeStore(settings.lake_uri))
    return [known[name] for name in names or known]


def resources_of(store: LakeStore, declared: Path, max_tokens: int = 60) -> dict[str, Any]:
    """Resources by name.

    Args:
        store: the lake.
        declared: path of a ``sources.yaml``.
        max_tokens: of a chunk.
    """
    return {
        "store": LakeResource(uri=store.uri),
        "sources": SourcesResource(file=str(declared)),
        "models": FakeModels(max_tokens=max_tokens),
    }
