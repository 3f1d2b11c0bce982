"""The lake, the sources and the models as Dagster resources."""

import json
from functools import cached_property
from pathlib import Path

import dagster as dg
from pydantic import Field

from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.roles import Models
from rag_assets.models.clients.window import EmbedderWindow
from rag_assets.models.profiles import Profile
from rag_assets.models.protocols import ChatModel, Embedder
from rag_assets.pipeline.run import ModelFacts
from rag_assets.settings import load_settings
from rag_assets.sources.catalog import Catalog, added, catalog, from_record, joined


class LakeResource(dg.ConfigurableResource):
    """Hands out one LakeStore per process; bound under the key ``store``."""

    uri: str = Field(
        default="", description="Folder or object-store URI; empty: RAG_LAKE, or data/lake."
    )

    @cached_property
    def client(self) -> LakeStore:
        """The store; connects on first use, so loading definitions stays offline."""
        return LakeStore(self.uri or load_settings().lake_uri)


class SourcesResource(dg.ConfigurableResource):
    """Declared sources, bound under the key ``sources``; the file is read at every use."""

    given: str = Field(default="", description="Sources as JSON records, in place of the file.")

    file: str = Field(default="", description="Path of sources.yaml; empty: RAG_HOME's, or data/.")

    def catalog(self, store: LakeStore) -> Catalog:
        """All sources by name: declared ones, and those added to this lake."""
        if self.given:
            return joined(added(store), Catalog(map(from_record, json.loads(self.given))))
        return catalog(Path(self.file) if self.file else load_settings().sources_file, store)


class ModelsResource(dg.ConfigurableResource):
    """The models by role, bound under the key ``models``; see ``models.clients.roles.Models``."""

    profile: str = Field(default="", description="Model profile; empty: RAG_PROFILE, or cpu.")

    @cached_property
    def models(self) -> Models:
        """Who serves each role."""
        return Models(self.profile)

    @property
    def loaded_profile(self) -> Profile:
        """The profile, read from its file."""
        return self.models.profile

    @cached_property
    def facts(self) -> ModelFacts:
        """What is known of the models without asking them."""
        return ModelFacts(self.models)

    @property
    def window(self) -> EmbedderWindow:
        """The embedder's tokenizer, and how much text fits."""
        return self.models.window

    @property
    def slm(self) -> ChatModel:
        """The small model."""
        return self.models.slm

    @property
    def llm(self) -> ChatModel:
        """The large model."""
        return self.models.llm

    @property
    def embedder(self) -> Embedder:
        """The embedder of documents."""
        return self.models.embedder

    @property
    def question_embedder(self) -> Embedder:
        """The embedder of questions."""
        return self.models.question_embedder
