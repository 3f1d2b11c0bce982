"""Who serves each role: an object given, one that the settings name, or the profile's engine."""

from functools import cached_property

from rag_assets import plugins
from rag_assets.models.clients.openai_http import connect
from rag_assets.models.clients.window import EmbedderWindow, embedder_window, window_of
from rag_assets.models.profile_files import active_profile, load_profile
from rag_assets.models.profiles import Profile
from rag_assets.models.protocols import ChatModel, ChatRole, Embedder
from rag_assets.settings import Settings, load_settings


class Models:
    """The models by role; each is made, or connected to, when it is first asked for.

    An engine that does not run raises EngineUnavailableError, at its first request or (``started``)
    before.

    Args:
        profile: name of a model profile; "" stands for that of ``RAG_PROFILE``.
        embedder: in place of the profile's.
        slm: likewise.
        llm: likewise.
        settings: places; None: those of the environment.
        started: refuse at once to connect to an engine that was not started.
    """

    def __init__(
        self,
        profile: str = "",
        *,
        embedder: Embedder | None = None,
        slm: ChatModel | None = None,
        llm: ChatModel | None = None,
        settings: Settings | None = None,
        started: bool = False,
    ) -> None:
        self.settings = settings or load_settings()
        self._name = profile
        self._started = started
        self._embedder = embedder
        self._chat: dict[ChatRole, ChatModel | None] = {"slm": slm, "llm": llm}

    @cached_property
    def profile(self) -> Profile:
        """The profile, read from its file."""
        return load_profile(self._name) if self._name else active_profile()

    @cached_property
    def own_embedder(self) -> Embedder | None:
        """What makes vectors in place of the profile's engine."""
        name = self.settings.models.get("embedder")
        if self._embedder is None and name is not None:
            self._embedder = plugins.made(plugins.EMBEDDERS, name)
        return self._embedder

    def own_chat(self, role: ChatRole) -> ChatModel | None:
        """What chats in place of the profile's engine."""
        name = self.settings.models.get(role)
        if self._chat[role] is None and name is not None:
            self._chat[role] = plugins.made(plugins.CHAT_MODELS, name, role)
        return self._chat[role]

    @cached_property
    def embedder(self) -> Embedder:
        """Makes vectors."""
        places = self.settings.state, self.settings.cache
        found = self.own_embedder
        return found or connect(self.profile, *places, "embedder", started=self._started)

    @cached_property
    def slm(self) -> ChatModel:
        """The small model."""
        return self._served("slm")

    @cached_property
    def llm(self) -> ChatModel:
        """The large model."""
        return self._served("llm")

    @cached_property
    def window(self) -> EmbedderWindow:
        """The embedder's tokenizer, and how much text fits; no engine is asked.

        Raises:
            NotPulledError: the weights of the profile's embedder are not in the cache.
        """
        if self.own_embedder is not None:
            return window_of(self.own_embedder)
        return embedder_window(self.profile, self.settings.cache)

    def _served(self, role: ChatRole) -> ChatModel:
        places = self.settings.state, self.settings.cache
        found = self.own_chat(role)
        return found or connect(self.profile, *places, role, started=self._started)
