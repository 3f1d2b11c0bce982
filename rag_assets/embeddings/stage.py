"""Stage 5: from ``chunks`` to ``embeddings``, through a cache by text and model."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from rag_assets.chunks import stage as cut
from rag_assets.chunks.chunking import embedded_text
from rag_assets.lake import cache
from rag_assets.lake.delta import Progress, Report, StageTable, refresh, upstream_hashes
from rag_assets.lake.identity import value_hash
from rag_assets.lake.schemas import embeddings, stage_rows
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.models.clients.openai_http import Embedder

CODE_VERSION = "1"
CACHE = "embedding_cache"


def fingerprint(model_id: str, revision: str) -> str:
    """Of the stage with this embedder."""
    return value_hash(["embeddings", CODE_VERSION, model_id, revision])


def cache_key(embedded_hash: str, model: str) -> str:
    """Where the cache keeps a text's vector; ``model`` is the stage's fingerprint."""
    return cache.key_of(embedded_hash, model)


def table(dimension: int) -> StageTable:
    """The stage's table; text and model determine the vector, so it is not hashed."""
    return StageTable("embeddings", embeddings(dimension), "chunk_id", frozenset({"vector"}))


def embed_chunks(
    store: LakeStore,
    partition: str,
    *,
    embedder: Embedder,
    run_id: str,
    progress: Progress | None = None,
    meter: Callable[[int], None] | None = None,
) -> Report:
    """Embed what is new or changed among the chunks; a text once embedded never is again.

    Args:
        store: the lake.
        partition: its key.
        embedder: makes the vectors.
        run_id: of the Dagster run.
        progress: called with (chunks done, chunks to do).
        meter: called with the tokens of texts that were embedded.

    Raises:
        EngineUnavailableError: texts are new and the embedder does not answer.
    """
    model = fingerprint(embedder.model_id, embedder.revision)
    stage = table(embedder.dimension)
    return refresh(
        store,
        [stage],
        partition,
        upstream=lambda: upstream_hashes(store, cut.TABLE, partition),
        compute=lambda ids: {stage.name: _embed(store, partition, ids, embedder, model, meter)},
        fingerprint=model,
        run_id=run_id,
        batch_inputs=512,
        progress=progress,
    )


def _embed(
    store: LakeStore,
    partition: str,
    ids: Sequence[str],
    embedder: Embedder,
    model: str,
    meter: Callable[[int], None] | None,
) -> pa.Table:
    chunks = store.rows(
        cut.TABLE.name,
        partition,
        columns=["chunk_id", "header", "text", "embedded_hash", "n_tokens"],
        where=f"chunk_id IN ({quoted(ids)})",
    )
    texts = {c["embedded_hash"]: embedded_text(c["header"], c["text"]) for c in chunks}
    found, made = _vectors(store, texts, embedder, model)
    if meter is not None:
        sizes = {chunk["embedded_hash"]: chunk["n_tokens"] for chunk in chunks}
        meter(sum(sizes[digest] for digest in made))
    rows = [
        {
            "input_id": chunk["chunk_id"],
            "input_hash": chunk[cut.TABLE.passes],
            "chunk_id": chunk["chunk_id"],
            "embedded_hash": chunk["embedded_hash"],
            "model_id": embedder.model_id,
            "model_revision": embedder.revision,
            "vector": found[chunk["embedded_hash"]],
        }
        for chunk in chunks
    ]
    return stage_rows(embeddings(embedder.dimension), rows)


def vectors(
    store: LakeStore, texts: Mapping[str, str], embedder: Embedder, model: str
) -> dict[str, np.ndarray]:
    """Vectors of texts by their hashes, out of the lake's cache or newly made and kept there.

    Args:
        store: whose cache.
        texts: by ``text_hash``.
        embedder: makes what is missing.
        model: hash of it, part of the cache's keys.
    """
    return _vectors(store, texts, embedder, model)[0]


def _vectors(
    store: LakeStore, texts: Mapping[str, str], embedder: Embedder, model: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The vectors, and the hashes of texts that the cache had not."""
    keys = {digest: cache_key(digest, model) for digest in texts}
    known = cache.lookup(store, CACHE, list(keys.values()))
    missing = [digest for digest, key in keys.items() if key not in known]
    if missing:
        made = embedder.embed([texts[digest] for digest in missing])
        fresh = {
            keys[digest]: np.asarray(vector, dtype="<f4").tobytes()
            for digest, vector in zip(missing, made, strict=True)
        }
        cache.remember(store, CACHE, fresh)
        known |= fresh
    found = {digest: np.frombuffer(known[key], dtype="<f4") for digest, key in keys.items()}
    return found, missing
