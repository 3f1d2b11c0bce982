"""Stage 5: from ``chunks`` to ``embeddings``, through a cache by text and model."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from rag_assets.chunks import stage as chunks
from rag_assets.chunks.chunking import embedded_text
from rag_assets.lake import cache
from rag_assets.lake.delta import Cache, StageTable
from rag_assets.lake.schemas import TEXT, required, stage_rows, stage_schema
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.models.errors import ModelRequestError
from rag_assets.models.protocols import Embedder

VERSION = "1"
CACHE = Cache("embedding_cache", column="embedded_hash")


def schema(dimension: int) -> pa.Schema:
    """Arrow schema for an embedder of ``dimension`` floats a vector."""
    return stage_schema(
        required("chunk_id", TEXT),
        required("embedded_hash", TEXT),
        required("model_id", TEXT),
        required("model_revision", TEXT),
        required("vector", pa.list_(pa.float32(), dimension)),  # unit length
    )


# Text and model determine the vector, so it is not hashed. Its length is the model's.
TABLE = StageTable("embeddings", schema(0), "chunk_id", frozenset({"vector"}))


def embed(
    store: LakeStore,
    partition: str,
    ids: Sequence[str],
    embedder: Embedder,
    fingerprint: str,
    meter: Callable[[int], None],
) -> Mapping[str, pa.Table]:
    """Embed chunks; a text that was embedded once never is again.

    Args:
        store: the lake.
        partition: its key.
        ids: of chunks.
        embedder: makes the vectors.
        fingerprint: of the stage, part of the cache's keys.
        meter: called with the tokens of texts that were embedded.

    Raises:
        EngineUnavailableError: texts are new and the embedder does not answer.
    """
    found = store.rows(
        chunks.TABLE.name,
        partition,
        columns=["chunk_id", "header", "text", "embedded_hash", "n_tokens"],
        where=f"chunk_id IN ({quoted(ids)})",
    )
    texts = {c["embedded_hash"]: embedded_text(c["header"], c["text"]) for c in found}
    vector_of, made = vectors(store, texts, embedder, fingerprint)
    sizes = {chunk["embedded_hash"]: chunk["n_tokens"] for chunk in found}
    meter(sum(sizes[digest] for digest in made))
    rows = [
        {
            "input_id": chunk["chunk_id"],
            "input_hash": chunk[chunks.TABLE.passes],
            "chunk_id": chunk["chunk_id"],
            "embedded_hash": chunk["embedded_hash"],
            "model_id": embedder.model_id,
            "model_revision": embedder.revision,
            "vector": vector_of[chunk["embedded_hash"]],
        }
        for chunk in found
    ]
    return {TABLE.name: stage_rows(schema(embedder.dimension), rows)}


def _check(made: np.ndarray, expected: tuple[int, int], embedder: Embedder) -> None:
    """Refuse what must not be kept: under the same text and model it would be found for ever."""
    if made.shape != expected:
        said = f"got {made.shape}"
    elif not np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-2):  # neither of NaN
        said = "some are not of length 1"
    else:
        return
    raise ModelRequestError(
        f"expected vectors of shape {expected} and length 1 of the embedder {embedder.model_id}, "
        f"{said}; nothing of them was kept. Test it with rag_assets.contracts.check_embedder"
    )


def vectors(
    store: LakeStore, texts: Mapping[str, str], embedder: Embedder, model: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Vectors of texts by their hashes, out of the lake's cache or newly made and kept there.

    Args:
        store: whose cache.
        texts: by ``text_hash``.
        embedder: makes what is missing.
        model: hash of it, part of the cache's keys.

    Returns:
        The vectors, and the hashes of texts that the cache had not.
    """
    keys = {digest: cache.key_of(digest, model) for digest in texts}
    known = cache.lookup(store, CACHE.name, list(keys.values()))
    missing = [digest for digest, key in keys.items() if key not in known]
    if missing:
        made = np.asarray(embedder.embed([texts[digest] for digest in missing]))
        _check(made, (len(missing), embedder.dimension), embedder)
        fresh = {
            keys[digest]: np.asarray(vector, dtype="<f4").tobytes()
            for digest, vector in zip(missing, made, strict=True)
        }
        cache.remember(store, CACHE.name, fresh)
        known |= fresh
    found = {digest: np.frombuffer(known[key], dtype="<f4") for digest, key in keys.items()}
    return found, missing
