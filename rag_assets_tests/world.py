"""A source, a lake and models of the ingestion tests; the stages are real, models are faked."""

import json
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_assets.documents import worker
from rag_assets.documents.reading import Document, read_document
from rag_assets.documents.worker import NO_READERS, ParsingWorker
from rag_assets.duplicates import stage as collapse
from rag_assets.enrichments.classification import QUESTION
from rag_assets.index import stage as build
from rag_assets.lake.delta import Progress, Report
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.window import EmbedderWindow
from rag_assets.models.protocols import ChatModel, Embedder
from rag_assets.pipeline.run import Run
from rag_assets.pipeline.stage import Stage, changed, refresh_stage
from rag_assets.pipeline.stages import SOURCE_FILES, STAGES
from rag_assets.sources.catalog import Catalog
from rag_assets.sources.declaration import Source
from rag_assets_tests.fakes import FakeChat, FakeEmbedder

LABELS = {
    "topics": ["Ferries", "ferries "],
    "summary": "About it.",
    "question": "What is it?",
}


# All alike, so that the small model is asked of every document.
TYPES = {label: ("Any document.",) for label in ("guide", "log", "report")}


def say_labels(messages: Sequence[Mapping[str, str]]) -> str:
    """What a small model answers: of two types the first by name, else a description."""
    _, is_choice, offered = messages[-1]["content"].rpartition(QUESTION)
    labels = [line.partition(":")[0] for line in offered.strip().splitlines()]
    return json.dumps(min(labels) if is_choice else LABELS)


class Words(list[tuple[int, int]]):
    """A text tokenised by ``WordCounter``."""

    @property
    def offsets(self) -> list[tuple[int, int]]:
        return list(self)

    def token_to_chars(self, token: int) -> tuple[int, int]:
        return self[token]


class WordCounter:
    """A tokenizer for tests that need none: words and single signs."""

    is_additive = True

    def count(self, text: str) -> int:
        return self.counts([text])[0]

    def counts(self, texts: Sequence[str]) -> list[int]:
        return list(map(len, self.encode(texts)))

    def encode(self, texts: Sequence[str]) -> list[Words]:
        return [Words(m.span() for m in re.finditer(r"\w+|[^\w\s]", text)) for text in texts]


@dataclass
class CountingEmbedder(FakeEmbedder):
    """Remembers what it was asked; another revision gives other vectors."""

    revision: str = "1"
    dimension: int = 64
    asked: list[str] = field(default_factory=list)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked.extend(texts)
        return np.roll(super().embed(texts), int(self.revision), axis=1)


@dataclass(frozen=True)
class Facts:
    """What a run knows of the faked models."""

    tokenizer_id: str = "words"
    max_tokens: int = 60
    embedder: tuple[str, str] = ("fake/embedder", "1")
    dimension: int = 64
    slm: tuple[str, str] = ("fake/slm", "1")
    identities: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass
class Clients:
    """Faked models; the tokenizer counts words."""

    embedder: Embedder
    slm: ChatModel
    max_tokens: int = 60

    @property
    def question_embedder(self) -> Embedder:
        return self.embedder

    @property
    def window(self) -> EmbedderWindow:
        return EmbedderWindow(WordCounter(), "words", self.max_tokens)


def facts_of(embedder: Embedder, slm: ChatModel, max_tokens: int = 60) -> Facts:
    made_by = {"model_id": embedder.model_id, "revision": embedder.revision}
    return Facts(
        max_tokens=max_tokens,
        embedder=(embedder.model_id, embedder.revision),
        dimension=embedder.dimension,
        slm=(slm.model_id, slm.revision),
        identities={"embedder": made_by},
    )


def run_of(
    store: LakeStore,
    sources: Sequence[Source],
    *,
    embedder: Embedder | None = None,
    slm: ChatModel | None = None,
    max_tokens: int = 60,
    run_id: str = "r",
    accept_deletions: bool = False,
    partitions: Sequence[str] | None = None,
) -> Run:
    """A run over all partitions of these sources, with faked models."""
    embedder = embedder or CountingEmbedder()
    slm = slm or FakeChat([say_labels])
    return Run(
        store,
        facts_of(embedder, slm, max_tokens),
        Clients(embedder, slm, max_tokens),
        Catalog(sources),
        run_id=run_id,
        partitions=partitions or [key for source in sources for key in source.partitions],
        accept_deletions=accept_deletions,
    )


def run_stage(
    stage: Stage,
    store: LakeStore,
    source: Source,
    partition: str,
    *,
    notice: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    **given: Any,  # noqa: ANN401 - of ``run_of``
) -> Report:
    """One partition of one stage, in a run of its own."""
    with run_of(store, [source], partitions=[partition], **given) as run:
        report = refresh_stage(run, stage, partition, progress)
        for text in run.files.notices if notice is not None else ():
            notice(text)
    return report


def ingest(store: LakeStore, source: Source, partition: str, **given: Any) -> Report:  # noqa: ANN401
    """The first stage over one partition."""
    return run_stage(SOURCE_FILES, store, source, partition, **given)


class World:
    """A folder of documents and the lake that is made of it.

    ``stages`` may be others than the list, for example with other versions of code.
    """

    def __init__(self, folder: Path, store: LakeStore, name: str = "docs") -> None:
        self.root = folder / name
        self.root.mkdir(parents=True, exist_ok=True)
        self.store = store
        self.source = Source(
            name=name, kind="folder", where=str(self.root), enrich="full", document_types=TYPES
        )
        self.partition = f"{name}.0"
        self.embedder = CountingEmbedder()
        self.chat = FakeChat([say_labels])
        self.listed: Sequence[Stage] = STAGES

    def write(self, path: str, text: str | bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return target

    @property
    def facts(self) -> Facts:
        return facts_of(self.embedder, self.chat)

    def run(self, run_id: str = "r", embedder: CountingEmbedder | None = None) -> Run:
        return run_of(
            self.store,
            [self.source],
            embedder=embedder or self.embedder,
            slm=self.chat,
            run_id=run_id,
        )

    def change_code(self, name: str, version: str = "next") -> None:
        """Another version of a stage's code."""
        self.listed = with_version(self.listed, name, version)

    def named(self, name: str) -> Stage:
        return next(stage for stage in self.listed if stage.name == name)

    def step(self, name: str, partition: str | None = None, run_id: str = "r") -> Report:
        """One partition of one stage."""
        # ``embedder.asked`` tells what was embedded of chunks, not what was compared with labels.
        labeller = replace(self.embedder, asked=[]) if name == "enrichments" else None
        with self.run(run_id, labeller) as run:
            return refresh_stage(run, self.named(name), partition or self.partition)

    def steps(self, partition: str) -> dict[str, Callable[[], Report]]:
        """The partitioned stages of a partition, in their order."""
        names = [stage.name for stage in self.listed if stage.scope == "partition"]
        return {name: partial(self.step, name, partition) for name in names}

    def stages(self) -> dict[str, Report]:
        """Run the partitioned stages; what each of them did."""
        return {name: run() for name, run in self.steps(self.partition).items()}

    def index(self) -> build.BuildReport:
        """Run the stages that look at all partitions."""
        duplicates = self.named("duplicates")
        collapse.collapse_duplicates(self.store, duplicates.version)
        facts = self.facts
        return build.build_index(
            self.store,
            self.named("chunk_index"),
            dimension=facts.dimension,
            models=facts.identities,
            run_id="r",
        )

    def refresh(self) -> build.BuildReport:
        """Run every stage."""
        self.stages()
        return self.index()


def with_version(stages: Sequence[Stage], name: str, version: str) -> list[Stage]:
    """The stages, with another version of one's code wherever it is named."""
    return [*changed(stages, name, version=version)]


# Fixtures; the conftest.py of each room that needs them imports them.


@pytest.fixture
def store(tmp_path: Path) -> LakeStore:
    return LakeStore(str(tmp_path / "lake"))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read documents in this process: a worker costs a second to start."""
    read_in_process(monkeypatch)


def read_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: ParsingWorker, data: bytes, name: str, readers: bytes = NO_READERS) -> Document:
        return read_document(data, name, pickle.loads(readers))

    monkeypatch.setattr(ParsingWorker, "read", read)
    monkeypatch.setattr(worker, "MAX_WORKERS", 1)  # PDFium must not be called by two threads


@pytest.fixture
def world(tmp_path: Path, store: LakeStore, in_process: None) -> World:
    return World(tmp_path, store)
