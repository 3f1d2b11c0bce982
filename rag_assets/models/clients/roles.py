"""Who serves each role: an object given, one that a variable names, or the profile's engine."""

import math
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from rag_assets import plugins
from rag_assets.models.clients.endpoint import EndpointChat, EndpointEmbedder, problem_of
from rag_assets.models.clients.openai_http import connect, connect_embedder
from rag_assets.models.clients.prefixed import Prefixes, prefixes_of, with_prefix
from rag_assets.models.clients.window import EmbedderWindow, embedder_window, window_of
from rag_assets.models.engines.state import EARLIER, REPORTS, running_engines
from rag_assets.models.errors import WrongModelError
from rag_assets.models.profile_files import profile_with_embedder
from rag_assets.models.profiles import ROLES, Endpoint, Profile, Role
from rag_assets.models.protocols import ChatModel, ChatRole, Embedder
from rag_assets.models.weights.choosing import active_profile
from rag_assets.models.weights.pulling import cache_root
from rag_assets.settings import MODELS, Settings, find_home, load_settings, named_models
from rag_assets.watching import read_reports

LOOK_AGAIN_S = 15.0
Model = TypeVar("Model")


class Models:
    """The models by role; each is made, or connected to, when it is first asked for.

    An engine that does not run raises EngineUnavailableError, at its first request or (``started``)
    before. A home is needed to find engines, and for nothing else.

    Args:
        profile: name of a model profile; "" stands for that of ``RAG_PROFILE``.
        embedder: in place of the profile's.
        slm: likewise.
        llm: likewise.
        settings: places; None: those of the environment.
        started: refuse at once to connect to an engine that was not started.

    Raises:
        WrongModelError: what was given for a role is no such model.
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
        self._settings = settings
        self._named = named_models() if settings is None else settings.models
        self._profile = profile
        self._started = started
        self._looked: dict[Role, tuple[float, str]] = {}  # when, and what was found
        self._embedder = _checked(embedder, Embedder, "embedder")
        self._chat: dict[ChatRole, ChatModel | None] = {
            "slm": _checked(slm, ChatModel, "slm"),
            "llm": _checked(llm, ChatModel, "llm"),
        }

    @cached_property
    def profile(self) -> Profile:
        """The profile, read from its file, with the weights that are here."""
        return active_profile(self._profile, self._cache)

    @cached_property
    def own_embedder(self) -> Embedder | None:
        """What makes vectors in place of the profile's engine."""
        name = self._named.get("embedder")
        if self._embedder is not None or name is None:
            return self._embedder
        return _checked(plugins.made(plugins.EMBEDDERS, name), Embedder, MODELS["embedder"])

    def own_chat(self, role: ChatRole) -> ChatModel | None:
        """What chats in place of the profile's engine."""
        name = self._named.get(role)
        if self._chat[role] is None and name is not None:
            made = plugins.made(plugins.CHAT_MODELS, name, role)
            self._chat[role] = _checked(made, ChatModel, MODELS[role])
        return self._chat[role]

    @cached_property
    def embedder(self) -> Embedder:
        """Makes vectors of documents."""
        return with_prefix(self._any_embedder, self._prefixes.document)

    @cached_property
    def question_embedder(self) -> Embedder:
        """Makes vectors of questions."""
        return with_prefix(self._any_embedder, self._prefixes.query)

    def embedder_for(self, made_with: Mapping[str, str]) -> Embedder:
        """What makes vectors of questions for an index that another embedder may have made.

        Args:
            made_with: ``model_id``, ``revision`` and prefixes, as a generation names its embedder;
                empty: the profile's.

        Raises:
            ProfileError: no profile has that embedder.
            EngineUnavailableError: it does not run.
        """
        own = self.own_embedder
        served = own or self.profile.served_by("embedder")
        wanted = (made_with.get("model_id"), made_with.get("revision"))
        if not made_with:
            return self.question_embedder
        if own is not None or wanted == (served.model_id, served.revision):
            model = self._any_embedder
        else:
            profile = profile_with_embedder(made_with, self.profile.port_base, find_home())
            model = self._embedder_of(profile, self._state / EARLIER)
        return with_prefix(model, made_with.get("query_prefix", ""))

    @cached_property
    def _prefixes(self) -> Prefixes:
        return prefixes_of(self.own_embedder or self.profile.served_by("embedder"))

    @cached_property
    def _any_embedder(self) -> Embedder:
        return self.own_embedder or self._embedder_of(self.profile, self._state)

    def _embedder_of(self, profile: Profile, state: Path) -> Embedder:
        endpoint = profile.endpoint("embedder")
        if endpoint is not None:
            return EndpointEmbedder(endpoint)
        return connect_embedder(profile, state, self._cache, started=self._started)

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
        if self.own_embedder is not None or self.profile.endpoint("embedder") is not None:
            return window_of(self.embedder)
        return embedder_window(self.profile, self._cache)

    def problem(self, roles: Iterable[Role] = ROLES) -> str:
        """Why roles cannot be served now, as a sentence; "" if they can.

        The server of an endpoint is asked for its models, at most once in 15 seconds.
        """
        asked = [role for role in roles if not self._is_own(role)]
        running = running_engines(self._state)
        missing = [role for role in self.profile.engines_of(asked) if role not in running]
        if missing:
            kept = [r.sentence() for r in read_reports(self._state / REPORTS) if r.name in missing]
            remedy = "; ".join(filter(None, kept)) or "start the engines with `rag up`"
            return f"no engine answers for {', '.join(missing)}; {remedy}"
        return next(filter(None, map(self._endpoint_problem, self.profile.endpoints_of(asked))), "")

    def _endpoint_problem(self, endpoint: Endpoint) -> str:
        at, said = self._looked.get(endpoint.role, (-math.inf, ""))
        if time.monotonic() - at > LOOK_AGAIN_S:
            at, said = time.monotonic(), problem_of(endpoint)
            self._looked[endpoint.role] = (at, said)
        return said

    def _is_own(self, role: Role) -> bool:
        given = self._embedder if role == "embedder" else self._chat[role]
        return given is not None or role in self._named

    def _served(self, role: ChatRole) -> ChatModel:
        own = self.own_chat(role)
        if own is not None:
            return own
        endpoint = self.profile.endpoint(role)
        if endpoint is not None:
            return EndpointChat(endpoint, role)
        return connect(self.profile, self._state, self._cache, role, started=self._started)

    @property
    def home(self) -> Path | None:
        """The home that the models are used in; None if there is none."""
        return find_home() if self._settings is None else self._settings.home

    @property
    def _state(self) -> Path:
        return (self._settings or load_settings()).state

    @property
    def _cache(self) -> Path:
        return cache_root() if self._settings is None else self._settings.cache


def _checked(given: Model | None, kind: type, argument: str) -> Model | None:
    """What was given, if it has all that a model of this kind has."""
    if given is None:
        return None
    needed = [name for name in vars(kind) if not name.startswith("_")]
    if isinstance(given, type):
        got = f"the class {given.__name__}; make one of it: {given.__name__}(...)"
    # what the class has is not read of the object: it may load weights
    elif lacking := [n for n in needed if not hasattr(type(given), n) and not hasattr(given, n)]:
        got = f"{given!r:.100} ({type(given).__name__}), which has no {', '.join(lacking)}"
        if isinstance(given, str):
            got += "; a name of a model stands in RAG_EMBEDDER, RAG_SLM or RAG_LLM"
    else:
        return given
    raise WrongModelError(
        f"expected {argument} to be an object with {', '.join(needed)} "
        f"(see rag_assets.{kind.__name__}); got {got}"
    )
