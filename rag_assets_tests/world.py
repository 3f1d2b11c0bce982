"""A source, a lake and models of the ingestion tests; the stages are real, models are faked."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_assets.chunks import stage as cut
from rag_assets.documents import stage as normalise
from rag_assets.documents import worker
from rag_assets.documents.reading import Document, read_document
from rag_assets.documents.worker import ParsingWorker
from rag_assets.duplicates import stage as collapse
from rag_assets.embeddings import stage as embed
from rag_assets.enrichments import stage as enrich
from rag_assets.index import stage as build
from rag_assets.lake.delta import Report
from rag_assets.lake.store import LakeStore
from rag_assets.sections import stage as structure
from rag_assets.sources import stage as ingest
from rag_assets.sources.catalog import Source
from rag_assets_tests.fakes import FakeChat, FakeEmbedder

LABELS = {
    "document_type": "guide",
    "topics": ["Ferries", "ferries "],
    "entities": [],
    "summary": "About it.",
    "question": "What is it?",
}


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


class World:
    """A folder of documents and the lake that is made of it."""

    def __init__(self, folder: Path, store: LakeStore, name: str = "docs") -> None:
        self.root = folder / name
        self.root.mkdir(parents=True, exist_ok=True)
        self.store = store
        self.source = Source(name=name, kind="folder", where=str(self.root))
        self.partition = f"{name}.0"
        self.embedder = CountingEmbedder()
        self.chat = FakeChat([json.dumps(LABELS)])

    def write(self, path: str, text: str | bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return target

    def steps(self, partition: str) -> dict[str, Callable[[], Report]]:
        """The partitioned stages of a partition, in their order."""
        tokenizer = {"counter": WordCounter(), "tokenizer_id": "words", "max_tokens": 60}
        stages: dict[str, Callable[..., Report]] = {
            "source_files": partial(ingest.ingest, self.store, self.source),
            "documents": partial(normalise.normalise_documents, self.store),
            "sections": partial(structure.structure_documents, self.store),
            "chunks": partial(cut.cut_chunks, self.store, **tokenizer),
            "embeddings": partial(embed.embed_chunks, self.store, embedder=self.embedder),
            "enrichments": partial(enrich.enrich_documents, self.store, model=self.chat),
        }
        return {name: partial(run, partition, run_id="r") for name, run in stages.items()}

    def stages(self) -> dict[str, Report]:
        """Run the partitioned stages; what each of them did."""
        return {name: run() for name, run in self.steps(self.partition).items()}

    def index(self) -> build.BuildReport:
        """Run the stages that look at all partitions."""
        collapse.collapse_duplicates(self.store)
        return build.build_index(
            self.store,
            dimension=self.embedder.dimension,
            models={"embedder": {"model_id": "fake/embedder", "revision": self.embedder.revision}},
            run_id="r",
        )

    def refresh(self) -> build.BuildReport:
        """Run every stage."""
        self.stages()
        return self.index()


# Fixtures; the conftest.py of each room that needs them imports them.


@pytest.fixture
def store(tmp_path: Path) -> LakeStore:
    return LakeStore(str(tmp_path / "lake"))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read documents in this process: a worker costs a second to start."""
    read_in_process(monkeypatch)


def read_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: ParsingWorker, data: bytes, name: str) -> Document:
        return read_document(data, name)

    monkeypatch.setattr(ParsingWorker, "read", read)
    monkeypatch.setattr(worker, "MAX_WORKERS", 1)  # PDFium must not be called by two threads


@pytest.fixture
def world(tmp_path: Path, store: LakeStore, in_process: None) -> World:
    return World(tmp_path, store)
