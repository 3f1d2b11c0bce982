"""How often enrichment gives a document the right type.

Command: ``python -m rag_assets_tests.benchmarks labels``.

Documents are those of the sample and of Debian's documentation packages, which are fetched by apt.
Their types were given by hand, by the rules in ``document_types/README.md``. Half of the documents
are for choosing sentences, weights and margin, half for the figure; a document's half follows from
the hash of its name.
"""

import gzip
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from rag_assets.documents.reading import Document, read_document
from rag_assets.enrichments.classification import SLM, Classifier, DocumentType, Excerpt, excerpt_of
from rag_assets.enrichments.document_types import DOCUMENT_TYPES
from rag_assets.errors import CommandError
from rag_assets.evaluations.statistics import mean_interval
from rag_assets.models.clients.openai_http import connect, connect_embedder
from rag_assets.models.profiles import Profile
from rag_assets.settings import CHECKOUT, Settings
from rag_assets_tests.benchmarks.debian import unpacked

Half = Literal["choosing", "figure"]
Say = Callable[[str], None]

DEBIAN = Path(__file__).parent / "document_types" / "debian.jsonl"
SAMPLE = CHECKOUT / "data" / "sample"
UNREAD = Excerpt("", "", "")
BATCH = 64  # documents, as the stage commits them


@dataclass(frozen=True, slots=True)
class Labelled:
    """A document, what a model reads of it, and the types that a person would accept."""

    name: str
    types: tuple[str, ...]
    excerpt: Excerpt = UNREAD

    @property
    def half(self) -> Half:
        """Whether it is for choosing or for the figure."""
        digest = hashlib.sha256(self.name.encode()).digest()
        return "figure" if digest[-1] % 2 else "choosing"


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured.

    Attributes:
        n: documents.
        accuracy: share of documents whose type is among those that a person would accept.
        low: lower end of the 95 % interval of that.
        high: upper end.
        by_embedder: the same share where the embedder alone decides.
        slm_share: share of documents that the small model decided.
        seconds: for a document, on average.
    """

    n: int
    accuracy: float
    low: float
    high: float
    by_embedder: float
    slm_share: float
    seconds: float


def labelled(path: Path, prefix: str = "") -> list[Labelled]:
    """What a file of labels says, without excerpts."""
    entries = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [Labelled(prefix + entry["document"], tuple(entry["types"])) for entry in entries]


def documents(cache: Path, half: Half, say: Say) -> list[Labelled]:
    """The labelled documents of one half, read.

    Raises:
        BenchmarkError: a package cannot be fetched.
        CommandError: a document is not in it.
    """
    ours = [one for one in labelled(SAMPLE / "document_types.jsonl", "sample/") if one.half == half]
    theirs = [one for one in labelled(DEBIAN) if one.half == half]
    folders = {"sample": SAMPLE / "corpus"}
    for package in sorted({one.name.partition("/")[0] for one in theirs}):
        folders[package] = unpacked(package, cache / "benchmarks", say)
    say(f"reading {len(ours) + len(theirs)} documents")
    return [replace(one, excerpt=_excerpt(one.name, folders)) for one in [*ours, *theirs]]


def _excerpt(name: str, folders: dict[str, Path]) -> Excerpt:
    package, _, path = name.partition("/")
    file = folders[package] / path
    if not file.is_file():
        raise CommandError(
            f"expected {path} in {package}, whose version may have changed; take its line out of "
            f"{DEBIAN.name}, or give the document's new name there"
        )
    data, called = file.read_bytes(), file.name
    if file.suffix == ".gz":
        data, called = gzip.decompress(data), file.stem
    document = read_document(data, called if Path(called).suffix else f"{called}.txt")
    return excerpt_of(name, document.title, list(_headings(document)), document.text)


def _headings(document: Document) -> Iterator[str]:
    for block in document.blocks:
        if block.kind == "heading":
            yield document.text[block.start : block.end]


def measure(found: Sequence[Labelled], classifier: Classifier) -> Figure:
    """Classify documents as the stage does, and hold the types against those given by hand."""
    classifier.classify([found[0].excerpt])  # sentences, and what engines do once
    said: list[DocumentType] = []
    started = time.perf_counter()
    for at in range(0, len(found), BATCH):
        said += classifier.classify([one.excerpt for one in found[at : at + BATCH]])
    seconds = (time.perf_counter() - started) / len(found)
    right = [
        float(given.document_type in one.types) for given, one in zip(said, found, strict=True)
    ]
    return Figure(
        n=len(found),
        accuracy=float(np.mean(right)),
        low=(interval := mean_interval(right)).low,
        high=interval.high,
        by_embedder=_by_embedder(found, classifier),
        slm_share=float(np.mean([given.decided_by == SLM for given in said])),
        seconds=seconds,
    )


def _by_embedder(found: Sequence[Labelled], classifier: Classifier) -> float:
    labels = list(classifier.types)
    nearest = classifier.scores([one.excerpt for one in found]).argmax(axis=1)
    return float(np.mean([labels[at] in one.types for at, one in zip(nearest, found, strict=True)]))


def figure(settings: Settings, profile: Profile, half: Half, say: Say) -> Figure:
    """The figure of one half, by the engines that run."""
    folders = profile, settings.state, settings.cache
    classifier = Classifier(DOCUMENT_TYPES, connect_embedder(*folders), connect(*folders, "slm"))
    return measure(documents(settings.cache, half, say), classifier)


def sentence(found: Figure, half: Half) -> str:
    """What was measured, for a person."""
    return (
        f"{found.n} documents ({half}): right {found.accuracy:.3f} "
        f"[{found.low:.3f}, {found.high:.3f}], {found.by_embedder:.3f} by the embedder alone; "
        f"the small model decided {found.slm_share:.0%}; {found.seconds:.3f} s a document"
    )
