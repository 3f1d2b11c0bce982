"""The floor: read, cut, embed, write, once through; a plain script that knows no yesterday.

Everything that a pipeline adds (deltas, duplicates, quality, lineage, indexes, a gate) is missing.
It uses the product's own client of the embedder, so what the product takes longer is not that.
"""

from collections.abc import Mapping

import lancedb
import numpy as np
import pyarrow as pa

from rag_assets.models.clients.openai_http import connect_embedder
from rag_assets.models.weights.choosing import active_profile
from rag_assets.settings import load_settings
from rag_assets_tests.benchmarks.peers.plain import (
    TABLE,
    Arm,
    chunks_of,
    load_tokenizer,
    main,
    page_texts,
)


def refresh(arm: Arm) -> Mapping[str, int]:
    """All pages into a new table."""
    settings, paths = load_settings(), arm.paths()
    embedder = connect_embedder(active_profile(), settings.state, settings.cache)
    tokenizer = load_tokenizer(arm.tokenizer)
    chunks = [
        chunk
        for path, text in zip(paths, page_texts(paths), strict=True)
        for chunk in chunks_of(path, text, tokenizer, arm.max_tokens)
    ]
    vectors = embedder.embed([chunk.text for chunk in chunks])
    rows = {
        "id": [chunk.id for chunk in chunks],
        "page": [chunk.page for chunk in chunks],
        "text": [chunk.text for chunk in chunks],
        "vector": pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(vectors).ravel()), vectors.shape[1]
        ),
    }
    lancedb.connect(arm.lance).create_table(TABLE, pa.table(rows), mode="overwrite")
    return {"chunks": len(chunks)}


if __name__ == "__main__":
    main(refresh)
