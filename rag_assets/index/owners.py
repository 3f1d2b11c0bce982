"""Where documents belong that stand in more than one partition."""

from collections.abc import Mapping

import numpy as np
import xxhash


class Owners:
    """Which partition a document belongs to: the last that holds it; 12 bytes a document.

    While a source's buckets are split, documents stand in two partitions for a moment, and would
    have the same chunks in the index twice.
    """

    def __init__(self, ids: Mapping[str, np.ndarray]) -> None:
        """Partition -> hashes of its documents' ids, (n,) uint64."""
        self._names = list(ids)
        hashes = np.concatenate([np.zeros(0, np.uint64), *ids.values()])
        numbers = np.repeat(np.arange(len(ids), dtype=np.int32), [len(of) for of in ids.values()])
        order = np.argsort(hashes, kind="stable")
        hashes, numbers = hashes[order], numbers[order]
        is_last = np.append(hashes[1:] != hashes[:-1], np.ones(min(len(hashes), 1), dtype=bool))
        self._hashes, self._numbers = hashes[is_last], numbers[is_last]
        self._elsewhere: dict[str, set[int]] = {}
        for digest, number in zip(hashes[~is_last], numbers[~is_last], strict=True):
            self._elsewhere.setdefault(self._names[number], set()).add(int(digest))

    def elsewhere(self, partition: str) -> set[int]:
        """Hashes of the partition's documents that belong to another one."""
        return self._elsewhere.get(partition, set())

    def of(self, document_id: str) -> str | None:
        """The document's partition, None of one that no partition holds."""
        digest = np.uint64(id_hash(document_id))
        at = int(np.searchsorted(self._hashes, digest))
        found = at < len(self._hashes) and self._hashes[at] == digest
        return self._names[self._numbers[at]] if found else None


def id_hash(document_id: str) -> int:
    """Of a document's id, 64 bits of xxh3."""
    return xxhash.xxh3_64_intdigest(document_id.encode())
