"""The models of a profile as a Dagster resource; engines are connected to when first asked."""

from functools import cached_property
from pathlib import Path

import dagster as dg
from pydantic import Field

from rag_assets.models.clients.openai_http import ChatModel, Embedder, connect
from rag_assets.models.clients.window import EmbedderWindow, embedder_window
from rag_assets.models.profiles import Profile, active_profile, load_profile
from rag_assets.settings import load_settings


class ModelsResource(dg.ConfigurableResource):
    """Clients of the three engines, bound under the key ``models``."""

    profile: str = Field(default="", description="Model profile; empty: RAG_PROFILE, or cpu.")

    @cached_property
    def loaded_profile(self) -> Profile:
        """The profile, read from its file."""
        return load_profile(self.profile) if self.profile else active_profile()

    @property
    def _cache(self) -> Path:
        return load_settings().cache

    @property
    def _state(self) -> Path:
        return load_settings().state

    @cached_property
    def embedder_window(self) -> EmbedderWindow:
        """The embedder's tokenizer and how much text fits.

        Raises:
            NotPulledError: the weights are not in the cache.
        """
        return embedder_window(self.loaded_profile, self._cache)

    @cached_property
    def slm(self) -> ChatModel:
        """The small model; its first use raises EngineUnavailableError if no engine answers."""
        return connect(self.loaded_profile, self._state, self._cache, "slm", started=False)

    @cached_property
    def llm(self) -> ChatModel:
        """The large model; its first use raises EngineUnavailableError if no engine answers."""
        return connect(self.loaded_profile, self._state, self._cache, "llm", started=False)

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder; its first use raises EngineUnavailableError if no engine answers."""
        return connect(self.loaded_profile, self._state, self._cache, "embedder", started=False)

    @property
    def dimension(self) -> int:
        """Floats in a vector of the embedder."""
        return self.loaded_profile.spec("embedder").dimension or 0

    def identities(self) -> dict[str, dict[str, str]]:
        """Role -> model id and revision, for a generation's manifest."""
        return self.loaded_profile.identities()
