"""Stage 2, the part that is global: bring the ``duplicates`` table up to date."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from rag_assets.documents import normalise
from rag_assets.documents.signatures import shingles
from rag_assets.duplicates.grouping import Fingerprinted, find_aliases
from rag_assets.lake.identity import data_version
from rag_assets.lake.schemas import DUPLICATES
from rag_assets.lake.store import LakeStore, batches, quoted

CODE_VERSION = "1"


@dataclass(frozen=True, slots=True)
class CollapseReport:
    """What the stage found; ``changed`` counts aliases that appeared, vanished or moved."""

    n_documents: int
    by_kind: dict[str, int]
    changed: int
    data_version: str


def collapse_duplicates(store: LakeStore) -> CollapseReport:
    """Group all documents of all partitions; write only if an alias changed.

    Signatures (512 bytes a document) are held in memory, texts only of candidate pairs.
    """
    # While a source's buckets are being split a document may stand in two partitions for a moment.
    by_id = {document.document_id: (document, where) for document, where in _fingerprints(store)}
    documents = [document for document, _ in by_id.values()]

    @lru_cache(maxsize=512)
    def shingles_of(document_id: str) -> np.ndarray:
        rows = store.rows(
            normalise.TABLE.name,
            by_id[document_id][1],
            columns=["text"],
            where=f"document_id = {quoted([document_id])}",
        )
        return shingles(rows[0]["text"])

    aliases = find_aliases(documents, shingles_of)
    rows = [asdict(alias) for alias in aliases]
    before = {tuple(row.values()) for row in store.rows("duplicates")}
    after = {tuple(row.values()) for row in rows}
    if before != after or store.table("duplicates") is None:
        store.overwrite("duplicates", pa.Table.from_pylist(rows, schema=DUPLICATES))
    return CollapseReport(
        n_documents=len(documents),
        by_kind=dict(Counter(alias.kind for alias in aliases)),
        changed=len({row[0] for row in before ^ after}),
        data_version=data_version((a.document_id, f"{a.canonical_id}/{a.kind}") for a in aliases),
    )


def _fingerprints(store: LakeStore) -> Iterator[tuple[Fingerprinted, str]]:
    columns = ["document_id", "uri", "text_hash", "bands"]
    for partition in store.partitions(normalise.TABLE.name):
        table = store.table(normalise.TABLE.name, partition)
        if table is None:
            continue
        for batch in batches(table, columns=columns):
            for row in batch.to_pylist():
                row["bands"] = np.array(row["bands"], dtype=np.uint32)
                yield Fingerprinted(**row), partition
