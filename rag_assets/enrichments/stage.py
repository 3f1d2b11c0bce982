"""Stage 7: from ``documents`` to ``enrichments``, through a cache by excerpt and what reads it.

A type and a description are kept apart in the cache: other labels for a source cost no new prose.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass
from functools import partial
from typing import Any, Final, TypeVar

import pyarrow as pa

from rag_assets.documents.stage import TABLE as DOCUMENTS
from rag_assets.enrichments import classification, describing
from rag_assets.enrichments.classification import (
    Classifier,
    DocumentType,
    Excerpt,
    Types,
    excerpt_of,
)
from rag_assets.enrichments.describing import NOTHING, Description, describe
from rag_assets.enrichments.document_types import DOCUMENT_TYPES
from rag_assets.lake import cache
from rag_assets.lake.delta import Cache, StageTable
from rag_assets.lake.figures import Value, counted
from rag_assets.lake.identity import value_hash
from rag_assets.lake.schemas import TEXT, TEXTS, required, stage_rows, stage_schema
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.models.protocols import ChatModel, Embedder
from rag_assets.sources.declaration import Source

VERSION = "3"
CACHE = Cache("enrichment_cache")
BATCH = 64
ENRICHMENTS: Final = stage_schema(
    required("document_id", TEXT),
    required("document_type", TEXT),  # one of its source's labels
    required("certainty", pa.float64()),  # chance that the type is right, by whoever decided
    required("decided_by", TEXT),  # embedder | slm
    required("topics", TEXTS),  # this and the next two: empty unless the source asks for them
    required("summary", TEXT),
    required("questions", TEXTS),  # which the document answers
    required("outcome", TEXT),  # ok | why the small model's part is missing
)
TABLE = StageTable("enrichments", ENRICHMENTS, "document_id", frozenset({"certainty"}))

Model = tuple[str, str]  # id and revision
Made = TypeVar("Made", DocumentType, Description)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a source wants of enrichment.

    Attributes:
        types: its labels, with the sentences that describe them.
        is_described: whether topics, summary and question are wanted, too.
    """

    types: Types
    is_described: bool = False


def wanted_of(source: Source) -> Wanted | None:
    """What the source wants; None if it is not to be enriched."""
    if source.enrich == "none":
        return None
    return Wanted(source.document_types or DOCUMENT_TYPES, source.enrich == "full")


def configuration(wanted: Wanted) -> str:
    """Hash of all that is neither code nor model and decides what comes out."""
    types = [[label, list(sentences)] for label, sentences in wanted.types.items()]
    of_type = [types, classification.SETTINGS]
    return value_hash([of_type, _of_description() if wanted.is_described else None])


def _of_description() -> list[object]:
    return [describing.SYSTEM, describing.SCHEMA, classification.EXCERPT_CHARS]


def parts(source: Source | None, embedder: Model, slm: Model) -> dict[str, str]:
    """What the fingerprint is made of for a source; None stands for one that says nothing."""
    wanted = None if source is None else wanted_of(source)
    return {
        "labels": configuration(wanted or Wanted(DOCUMENT_TYPES)),
        "embedder": embedder[0],
        "embedder revision": embedder[1],
        "small model": slm[0],
        "small model revision": slm[1],
    }


def enrich(
    store: LakeStore,
    partition: str,
    ids: Sequence[str],
    source: Source,
    embedder: Embedder,
    slm: ChatModel,
    version: str = VERSION,
) -> Mapping[str, pa.Table]:
    """Say of what type documents are, and describe them where their source wants that.

    Args:
        store: the lake.
        partition: its key.
        ids: of documents.
        source: that they are of.
        embedder: finds the nearest labels.
        slm: the small model; decides between close ones and writes descriptions.
        version: of the stage's code, part of the cache's keys of types.

    Raises:
        EngineUnavailableError: documents are new and a model does not answer.
    """
    wanted = wanted_of(source) or Wanted(DOCUMENT_TYPES)
    small = slm.model_id, slm.revision
    models = embedder.model_id, embedder.revision, *small
    # the fingerprints of what is kept in the cache
    of_type = value_hash(["type", version, configuration(Wanted(wanted.types)), *models])
    of_description = value_hash(["description", describing.VERSION, _of_description(), *small])
    documents = _read(store, partition, ids)
    excerpts = {document.key: document.excerpt for document in documents}
    classifier = Classifier(wanted.types, embedder, slm)

    def classify(keys: Sequence[str]) -> list[DocumentType]:
        return classifier.classify([excerpts[key] for key in keys])

    types = _cached(store, list(excerpts), of_type, DocumentType, classify)
    words: Mapping[str, Description] = {}
    if wanted.is_described:
        texts = list(dict.fromkeys(document.excerpt.text for document in documents))
        words = _cached(store, texts, of_description, Description, partial(_described, slm))
    rows = [_row(d, types[d.key], words.get(d.excerpt.text, NOTHING)) for d in documents]
    return {TABLE.name: stage_rows(ENRICHMENTS, rows)}


def _described(slm: ChatModel, texts: Sequence[str]) -> list[Description]:
    with ThreadPoolExecutor(classification.N_PARALLEL) as pool:
        return list(pool.map(lambda text: describe(slm, text), texts))


def _cached(
    store: LakeStore,
    texts: Sequence[str],
    made_by: str,
    kind: type[Made],
    make: Callable[[Sequence[str]], Sequence[Made]],
) -> dict[str, Made]:
    """What is made of each text, out of the cache or newly."""
    keys = {text: cache.key_of(text, made_by) for text in texts}
    known = cache.lookup(store, CACHE.name, list(keys.values()))
    missing = [text for text, key in keys.items() if key not in known]
    made: dict[str, Made] = dict(zip(missing, make(missing), strict=True))
    fresh = {
        keys[text]: json.dumps(asdict(one)).encode()
        for text, one in made.items()
        if one.outcome == "ok"
    }
    cache.remember(store, CACHE.name, fresh)
    kept = {text: kind(**json.loads(known[key])) for text, key in keys.items() if key in known}
    return made | kept


@dataclass(frozen=True, slots=True)
class _Document:
    """What is read of a document; ``digest`` is the hash of its row."""

    document_id: str
    digest: str
    excerpt: Excerpt

    @property
    def key(self) -> str:
        """What its type hangs on."""
        return "\n".join(astuple(self.excerpt))


def _read(store: LakeStore, partition: str, ids: Sequence[str]) -> list[_Document]:
    documents = store.rows(
        DOCUMENTS.name,
        partition,
        columns=["document_id", "uri", "title", "text", "blocks", DOCUMENTS.passes],
        where=f"document_id IN ({quoted(ids)})",
    )
    return [
        _Document(
            d["document_id"],
            d[DOCUMENTS.passes],
            excerpt_of(d["uri"], d["title"], _headings(d["text"], d["blocks"]), d["text"]),
        )
        for d in documents
    ]


def _headings(text: str, blocks: Sequence[Mapping[str, Any]]) -> list[str]:
    return [text[b["start"] : b["end"]] for b in blocks if b["kind"] == "heading"]


def _row(document: _Document, kind: DocumentType, words: Description) -> dict[str, Any]:
    failed = [one.outcome for one in (kind, words) if one.outcome != "ok"]
    return {
        **asdict(kind),
        **asdict(words),
        "outcome": "; ".join(failed) or "ok",
        "input_id": document.document_id,
        "input_hash": document.digest,
        "document_id": document.document_id,
    }


def summary(store: LakeStore, partitions: Sequence[str]) -> Mapping[str, Value]:
    """Which types the documents have, who decided, and how many rows are incomplete."""
    kinds: Counter[str] = Counter()
    deciders: Counter[str] = Counter()
    n_failed = 0
    columns = ["document_type", "decided_by", "outcome"]
    for partition in partitions:
        for row in store.rows(TABLE.name, partition, columns=columns):
            kinds[row["document_type"]] += 1
            deciders[row["decided_by"]] += 1
            n_failed += row["outcome"] != "ok"
    return {
        "document_types": counted(kinds),
        "decided_by": counted(deciders),
        "incomplete": n_failed,
    }
