"""Stage 7: from ``documents`` to ``enrichments``, through a cache by excerpt and model."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from rag_assets.documents import stage as normalise
from rag_assets.enrichments.classification import SCHEMA, SYSTEM, Labels, classify, describe
from rag_assets.lake import cache
from rag_assets.lake.delta import Progress, Report, StageTable, refresh, upstream_hashes
from rag_assets.lake.identity import value_hash
from rag_assets.lake.schemas import ENRICHMENTS, stage_rows
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.models.clients.openai_http import ChatModel

CODE_VERSION = "1"
CACHE = "enrichment_cache"
N_PARALLEL = 8  # requests in flight: batching triples a small model's tokens per second
TABLE = StageTable("enrichments", ENRICHMENTS, "document_id")


def fingerprint(model_id: str, revision: str) -> str:
    """Of the stage with this small model."""
    return value_hash(["enrichments", CODE_VERSION, SYSTEM, SCHEMA, model_id, revision])


def cache_key(excerpt: str, made_by: str) -> str:
    """Where the cache keeps an excerpt's labels; ``made_by`` is the stage's fingerprint."""
    return value_hash([excerpt, made_by])


def enrich_documents(
    store: LakeStore,
    partition: str,
    *,
    model: ChatModel,
    run_id: str,
    wanted: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Describe what is new or changed among the documents.

    Args:
        store: the lake.
        partition: partition key.
        model: the small model.
        run_id: of the Dagster run.
        wanted: False for a source that is not to be enriched; what it had of labels goes.
        progress: called with (documents done, documents to do).

    Raises:
        EngineUnavailableError: documents are new and the model does not answer.
    """
    made_by = fingerprint(model.model_id, model.revision)
    return refresh(
        store,
        [TABLE],
        partition,
        upstream=lambda: upstream_hashes(store, normalise.TABLE, partition) if wanted else {},
        compute=lambda ids: {TABLE.name: _enrich(store, partition, ids, model, made_by)},
        fingerprint=made_by,
        run_id=run_id,
        batch_inputs=2 * N_PARALLEL,
        progress=progress,
    )


def _enrich(
    store: LakeStore, partition: str, ids: Sequence[str], model: ChatModel, made_by: str
) -> pa.Table:
    hashes, excerpts = _read(store, partition, ids)
    keys = {text: cache_key(text, made_by) for text in excerpts.values()}
    known = cache.lookup(store, CACHE, list(keys.values()))
    missing = [text for text, key in keys.items() if key not in known]
    with ThreadPoolExecutor(N_PARALLEL) as pool:
        made = dict(
            zip(missing, pool.map(lambda text: classify(model, text), missing), strict=True)
        )
    fresh = {
        keys[text]: json.dumps(asdict(labels)).encode()
        for text, labels in made.items()
        if labels.outcome == "ok"
    }
    cache.remember(store, CACHE, fresh)
    for text, key in keys.items():
        if key in known:
            made[text] = Labels(**json.loads(known[key]))
    rows = [
        {
            **asdict(made[text]),
            "input_id": document_id,
            "input_hash": hashes[document_id],
            "document_id": document_id,
        }
        for document_id, text in excerpts.items()
    ]
    return stage_rows(ENRICHMENTS, rows)


def read_excerpts(store: LakeStore, partition: str, ids: Sequence[str]) -> dict[str, str]:
    """Document id -> what the model reads of it."""
    return _read(store, partition, ids)[1]


def _read(
    store: LakeStore, partition: str, ids: Sequence[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Document id -> hash of its row; document id -> what the model reads of it."""
    documents = store.rows(
        normalise.TABLE.name,
        partition,
        columns=["document_id", "title", "text", "blocks", normalise.TABLE.passes],
        where=f"document_id IN ({quoted(ids)})",
    )
    return (
        {d["document_id"]: d[normalise.TABLE.passes] for d in documents},
        {d["document_id"]: _excerpt(d["title"], d["text"], d["blocks"]) for d in documents},
    )


def _excerpt(title: str, text: str, blocks: Sequence[dict[str, Any]]) -> str:
    headings = [text[b["start"] : b["end"]] for b in blocks if b["kind"] == "heading"]
    return describe(title, headings, text)
