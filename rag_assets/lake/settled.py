"""Whether a partition's tables fit together, so that its rows may go into the index."""

from collections.abc import Mapping

from rag_assets.chunks import stage as cut
from rag_assets.documents import stage as normalise
from rag_assets.enrichments import stage as enrich
from rag_assets.lake.delta import origins, upstream_hashes
from rag_assets.lake.store import LakeStore
from rag_assets.sections import stage as structure
from rag_assets.sources import stage as ingest


def is_settled(store: LakeStore, partition: str) -> bool:
    """Whether every stage's rows come from the rows that the stage before it has now.

    They do not while a run is between two stages, nor after one that failed or was killed there.
    Enrichments may be missing altogether: a source need not want them.
    """
    documents = upstream_hashes(store, normalise.TABLE, partition)
    left_out = structure.known_boilerplate(store, partition)
    inputs = {key: structure.input_hash(of, left_out.get(key)) for key, of in documents.items()}
    return (
        _made_from(store, partition, normalise.REJECTED.name, normalise.TABLE.name)
        == upstream_hashes(store, ingest.TABLE, partition)
        and _made_from(store, partition, structure.TABLE.name) == inputs
        and _made_from(store, partition, cut.TABLE.name)
        == upstream_hashes(store, structure.TABLE, partition)
        and _made_from(store, partition, "embeddings")
        == upstream_hashes(store, cut.TABLE, partition)
        and _made_from(store, partition, enrich.TABLE.name) in ({}, documents)
    )


def _made_from(store: LakeStore, partition: str, *tables: str) -> Mapping[str, str]:
    """Input id -> hash of the input, of the rows in these tables."""
    columns = ["input_id", "input_hash", "fingerprint"]
    rows = (row for table in tables for row in store.rows(table, partition, columns=columns))
    return {key: input_hash for key, (input_hash, _) in origins(rows).items()}
