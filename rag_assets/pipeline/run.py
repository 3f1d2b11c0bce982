"""A run over stages: what they work with, opened when first asked for and closed at its end."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Protocol

from rag_assets.documents.worker import ParsingPool
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.metering import MeteredChat, MeteredEmbedder
from rag_assets.models.clients.prefixed import prefixes_of, vectors_revision
from rag_assets.models.clients.roles import Models
from rag_assets.models.clients.window import EmbedderWindow
from rag_assets.models.protocols import ChatModel, Embedder
from rag_assets.sources.catalog import Catalog, source_name
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.stage import Ingest

MAX_NAMED = 20  # partitions in a message


class ModelFacts:
    """What must be known of the models to tell what a stage would do; no engine is asked.

    Attributes:
        embedder: model id and revision, of vectors of documents.
        tokenizer_id: of the embedder: both in one text.
        dimension: floats in a vector.
        slm: model id and revision.
        identities: model id and revision by role, as a generation's manifest names them; of the
            embedder its prefixes as well, if it has any.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        made_by = models.own_embedder or models.profile.served_by("embedder")
        slm = models.own_chat("slm") or models.profile.served_by("slm")
        llm = models.own_chat("llm") or models.profile.served_by("llm")
        prefixes = prefixes_of(made_by)
        revision = vectors_revision(made_by.revision, prefixes.document)
        self.embedder = (made_by.model_id, revision)
        self.tokenizer_id = f"{made_by.model_id}@{made_by.revision}"
        self.dimension = made_by.dimension or models.embedder.dimension  # an endpoint is asked
        self.slm = (slm.model_id, slm.revision)
        self.identities = {
            role: {"model_id": one.model_id, "revision": one.revision}
            for role, one in (("slm", slm), ("llm", llm), ("embedder", made_by))
        }
        named = {"query_prefix": prefixes.query, "document_prefix": prefixes.document}
        self.identities["embedder"] |= {name: text for name, text in named.items() if text}

    @property
    def max_tokens(self) -> int:
        """Of a chunk; weights are looked at when this is asked for.

        Raises:
            NotPulledError: the weights are not in the cache.
        """
        return self._models.window.max_tokens


class Clients(Protocol):
    """The models that a run may ask; each is connected to when it is first read."""

    @property
    def window(self) -> EmbedderWindow:
        """The embedder's tokenizer, and how much text fits."""

    @property
    def embedder(self) -> Embedder:
        """Makes vectors of documents."""

    @property
    def question_embedder(self) -> Embedder:
        """Makes vectors of questions."""

    @property
    def slm(self) -> ChatModel:
        """The small model."""


class Run(ExitStack):
    """What stages work with in one run; leaving it closes the workers and listings it opened.

    Attributes:
        store: the lake.
        facts: of the models.
        sources: all sources by name, and the faults of those that cannot be used.
        run_id: kept with each row that is written.
        tokens_embedded: of texts that no cache had.
    """

    def __init__(
        self,
        store: LakeStore,
        facts: ModelFacts,
        clients: Clients,
        sources: Catalog,
        *,
        run_id: str,
        partitions: Sequence[str] = (),
        accept_deletions: bool = False,
    ) -> None:
        super().__init__()
        self.store = store
        self.facts = facts
        self.sources = sources
        self.run_id = run_id
        self.tokens_embedded = 0
        self._clients = clients
        self._partitions = partitions
        self._accept_deletions = accept_deletions
        self._source_of = {key: one for one in sources.values() for key in one.partitions}

    def source_of(self, partition: str) -> Source:
        """The source that a partition belongs to.

        Raises:
            SourceError: it is declared nowhere (any more), or not with that many buckets.
        """
        if partition not in self._source_of:
            raise SourceError(self.undeclared([partition]))
        return self._source_of[partition]

    def declared(self, partitions: Sequence[str]) -> list[str]:
        """Those that belong to a source."""
        return [key for key in partitions if key in self._source_of]

    def undeclared(self, partitions: Sequence[str]) -> str:
        """A sentence on those that belong to none; "" if all do."""
        others = [key for key in partitions if key not in self._source_of]
        if not others:
            return ""
        names = sorted({source_name(key) for key in others})
        said = [one.problem for one in self.sources.faults if one.name in names]
        more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
        return (
            f"{', '.join(others[:MAX_NAMED])}{more} belong to no declared source and stay as they "
            f"are; known: {', '.join(self.sources) or 'none'}. "
            + (
                "; ".join(said)
                or f"Declare it, or delete what it holds: `rag sources remove {' '.join(names)}`"
            )
        )

    @cached_property
    def files(self) -> Ingest:
        """The run's look at its sources."""
        source_of = {key: self.source_of(key) for key in self.declared(self._partitions)}
        ingest = Ingest(self.store, source_of, accept_deletions=self._accept_deletions)
        return self.enter_context(ingest)

    @cached_property
    def pool(self) -> ParsingPool:
        """Workers that read files; each starts when there is work for it."""
        return self.enter_context(ParsingPool())

    @cached_property
    def window(self) -> EmbedderWindow:
        """The embedder's tokenizer, and how much text fits."""
        return self._clients.window

    @cached_property
    def embedder(self) -> MeteredEmbedder:
        """Makes vectors of documents; counts what it is asked."""
        return MeteredEmbedder(self._clients.embedder)

    @cached_property
    def question_embedder(self) -> Embedder:
        """Makes vectors of questions."""
        return self._clients.question_embedder

    @cached_property
    def labeller(self) -> Embedder:
        """The embedder as it compares documents with labels: not counted as embedding chunks."""
        return self._clients.embedder

    @cached_property
    def slm(self) -> MeteredChat:
        """The small model; counts what it is asked."""
        return MeteredChat(self._clients.slm)

    def count_embedded(self, n_tokens: int) -> None:
        """Count tokens of texts that were embedded."""
        self.tokens_embedded += n_tokens
