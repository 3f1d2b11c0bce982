"""Find duplicates among documents and choose which one stands for the others.

Candidates for near duplicates come from MinHash LSH: 128 signature numbers in 32 bands of 4 rows.
Two documents of Jaccard similarity ``s`` share a band with probability ``1 - (1 - s**4)**32``:
0.99999998 at 0.8, 0.97 at 0.57, 0.56 at 0.4. Every candidate pair is then verified by its true
Jaccard similarity, so the bands cost time when they are too wide, never a wrong collapse.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rag_assets.documents.signatures import jaccard
from rag_assets.lake.schemas import N_BANDS

NEAR_THRESHOLD = 0.8  # two revisions that differ in a few words; forms filled in differently do not


@dataclass(frozen=True, slots=True)
class Fingerprinted:
    """What is needed of a document to group it."""

    document_id: str
    uri: str
    text_hash: str
    bands: np.ndarray  # (32,) uint32


@dataclass(frozen=True, slots=True)
class Alias:
    """A document that another one stands for; similarity is Jaccard in [0, 1]."""

    document_id: str
    uri: str
    canonical_id: str
    canonical_uri: str
    kind: str  # exact | near
    similarity: float


def preference(document: Fingerprinted) -> tuple[int, int, str]:
    """Sort key: the canonical is the least nested uri, then the shortest, then the first by name.

    A copy usually lies deeper or has a longer name ("archive/2023/copy-of-x") than its original.
    """
    return (document.uri.count("/"), len(document.uri), document.uri)


def find_aliases(
    documents: Sequence[Fingerprinted], shingles_of: Callable[[str], np.ndarray]
) -> list[Alias]:
    """Aliases among the documents, sorted by id; a document in none is its own canonical.

    Every alias is itself similar enough to its canonical: chains (a like b, b like c) do not
    pull a document under one that it does not resemble.

    Args:
        documents: with unique ids.
        shingles_of: document id -> sorted distinct shingle hashes; asked for candidates only.
    """
    ordered = sorted(documents, key=preference)
    first_with: dict[str, Fingerprinted] = {}
    aliases: dict[str, Alias] = {}
    for document in ordered:
        original = first_with.setdefault(document.text_hash, document)
        if original is not document:
            aliases[document.document_id] = _alias(document, original, "exact", 1.0)
    distinct = list(first_with.values())
    rank = {document.document_id: n for n, document in enumerate(distinct)}
    similar: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for left, right in _candidates(distinct):
        similarity = jaccard(
            shingles_of(distinct[left].document_id), shingles_of(distinct[right].document_id)
        )
        if similarity >= NEAR_THRESHOLD:
            similar[left].append((right, similarity))
    for left in range(len(distinct)):
        if distinct[left].document_id in aliases:
            continue
        for right, similarity in sorted(similar[left]):
            document = distinct[right]
            if document.document_id not in aliases:
                aliases[document.document_id] = _alias(document, distinct[left], "near", similarity)
    return sorted(
        (_resolved(alias, aliases, distinct, rank) for alias in aliases.values()),
        key=lambda alias: alias.document_id,
    )


def _resolved(
    alias: Alias, aliases: dict[str, Alias], distinct: list[Fingerprinted], rank: dict[str, int]
) -> Alias:
    """An exact copy of a near duplicate stands under the near duplicate's canonical."""
    above = aliases.get(alias.canonical_id)
    if above is None:
        return alias
    canonical = distinct[rank[above.canonical_id]]
    return Alias(
        alias.document_id, alias.uri, canonical.document_id, canonical.uri, "near", above.similarity
    )


def _alias(
    document: Fingerprinted, canonical: Fingerprinted, kind: str, similarity: float
) -> Alias:
    return Alias(
        document.document_id,
        document.uri,
        canonical.document_id,
        canonical.uri,
        kind,
        float(np.float32(similarity)),
    )


def _candidates(documents: Sequence[Fingerprinted]) -> Iterator[tuple[int, int]]:
    """Pairs (left < right) of positions that share a band, each once."""
    seen: set[tuple[int, int]] = set()
    for band in range(N_BANDS):
        buckets: dict[int, list[int]] = defaultdict(list)
        for position, document in enumerate(documents):
            buckets[int(document.bands[band])].append(position)
        for members in buckets.values():
            for pair in combinations(members, 2):
                if pair not in seen:
                    seen.add(pair)
                    yield pair
