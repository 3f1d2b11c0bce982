"""Which documents to compare: those that hold the same keys, found by sorting.

Near duplicates hold the same LSH bands: 128 signature numbers in 32 bands of 4. Two documents of
Jaccard similarity ``s`` share a given band with probability ``p = s**4``, and at least two of the
32 with ``1 - (1-p)**32 - 32 p (1-p)**31``:

======  =====  =====  ======  ======  ========  ==========
s       0.2    0.3    0.5     0.6     0.7       0.8
one     0.050  0.229  0.873   0.988   0.99985   0.99999995
two     0.001  0.028  0.603   0.932   0.9983    0.999999
======  =====  =====  ======  ======  ========  ==========

Two are asked for: that loses 2 pairs of 1,000 at 0.7, none at 0.8, and spares eight of nine
comparisons of documents that share a fifth to a third, the common case in a corpus of one house.

A document that another one contains need not share bands with it. Both hold the same sampled
shingle hashes, though (the sketch, one shingle in 32), so these are its keys.
"""

from collections.abc import Iterable, Iterator
from typing import Self

import numpy as np

MIN_BANDS = 2
MIN_SKETCH = 4  # sampled hashes; about 130 shingles: with fewer a sample says nothing
MIN_SHARED = 2  # sampled hashes; one in common is a turn of phrase
# A hash in more documents is boilerplate. It would tie each of n pages to all others: n**2 pairs.
MOST_HOLDERS = 64
# Ten thousand contracts of one template hold the same bands: of a band's holders the next ones are
# looked at, by the order of preference, in which versions of a document often stand together.
MOST_OF_A_BAND = 128
# Sorting all sketches at once would take three times their size beside them.
_SHARES = 8
_SHARE_SHIFT = np.uint64(40)  # away from the low bits, which are 0 in all of them


class Postings:
    """Who holds the same keys: from an owner to the others that share keys with it.

    Only keys of at least two holders are kept: 12 bytes for each time one is held, and 8 a key.

    Attributes:
        n_keys: how many keys each owner has, shared or not, without the too common; (n,) int64.
    """

    def __init__(self, n_owners: int, lists: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Keep inverted lists.

        Args:
            n_owners: owners are ``range(n_owners)``.
            lists: (owners, sizes) in parts: owners of one key stand together, ``sizes`` says how
                many they are, key by key.
        """
        parts = [(owners.astype(np.int32), sizes) for owners, sizes in lists]
        none = np.zeros(0, dtype=np.int32)
        self._holders = np.concatenate([none, *(owners for owners, _ in parts)])
        sizes = np.concatenate([none, *(sizes for _, sizes in parts)]).astype(np.int64)
        self._key_starts = np.concatenate([[0], np.cumsum(sizes)])
        by_owner = np.argsort(self._holders, kind="stable")
        self._places = by_owner  # in ``_holders``, owner by owner
        self._owner_starts = np.searchsorted(self._holders[by_owner], np.arange(n_owners + 1))
        self.n_keys = np.zeros(n_owners, dtype=np.int64)

    @classmethod
    def of_bands(cls, bands: np.ndarray, wanted: np.ndarray | None = None) -> Self:
        """The postings of the signatures' bands, (n, 32) uint32; of those wanted, (n,) bool."""
        owners = np.arange(len(bands), dtype=np.int32)
        if wanted is not None:
            owners = owners[wanted]
        columns = (column[owners] for column in bands.T)
        return cls(len(bands), (_shared(*_by_key(column, owners)) for column in columns))

    @classmethod
    def of_sketches(cls, keys: np.ndarray, owners: np.ndarray, n_owners: int) -> Self:
        """The postings of sampled hashes, (m,) uint64, and the owner of each, (m,) int32."""
        by_owner = np.argsort(owners, kind="stable")
        keys, owners = keys[by_owner], owners[by_owner]
        n_keys = np.zeros(n_owners, dtype=np.int64)
        shares = (keys >> _SHARE_SHIFT).astype(np.uint8) % _SHARES

        def lists() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for share in range(_SHARES):
                is_mine = shares == share
                by_key, sizes = _by_key(keys[is_mine], owners[is_mine])
                is_telling = sizes <= MOST_HOLDERS
                kept = by_key[np.repeat(is_telling, sizes)]
                np.add(n_keys, np.bincount(kept, minlength=n_owners), out=n_keys)
                yield _shared(kept, sizes[is_telling])

        postings = cls(n_owners, lists())
        postings.n_keys = n_keys
        return postings

    def owners(self, n_shared: int = 1) -> np.ndarray:
        """Those that share so many of their keys with somebody, ascending."""
        return np.flatnonzero(np.diff(self._owner_starts) >= n_shared)

    def sharing(self, owner: int) -> tuple[np.ndarray, np.ndarray]:
        """Later owners that share keys with this one, and how many; both (k,).

        Of each key the next ``MOST_OF_A_BAND`` holders are looked at.
        """
        mine = self._places[self._owner_starts[owner] : self._owner_starts[owner + 1]]
        starts = mine + 1
        ends = self._key_starts[np.searchsorted(self._key_starts, mine, side="right")]
        sizes = np.minimum(ends - starts, MOST_OF_A_BAND)
        before = np.cumsum(sizes) - sizes
        places = np.arange(sizes.sum()) + np.repeat(starts - before, sizes)
        others = self._holders[places]
        others.sort()
        firsts = np.flatnonzero(_is_first(others))
        return others[firsts], np.diff(firsts, append=len(others))


def _is_first(ordered: np.ndarray) -> np.ndarray:
    """Where a run of equal values begins, (n,) bool."""
    firsts = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=firsts[1:])
    return firsts


def _by_key(keys: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Owners ordered by their keys, and how many each key has."""
    order = np.argsort(keys, kind="stable")
    sizes = np.diff(np.flatnonzero(_is_first(keys[order])), append=len(keys))
    return owners[order], sizes


def _shared(by_key: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The owners, ordered by key, of keys that two or more hold."""
    return by_key[np.repeat(sizes > 1, sizes)], sizes[sizes > 1]


def near_candidates(postings: Postings, owner: int) -> np.ndarray:
    """Later owners that share at least two bands with this one, those that share most first."""
    others, counts = postings.sharing(owner)
    others, counts = others[counts >= MIN_BANDS], counts[counts >= MIN_BANDS]
    found: np.ndarray = others[np.argsort(-counts, kind="stable")]
    return found


def contained_candidates(postings: Postings, owner: int, share: float) -> np.ndarray:
    """Later owners, ascending, that may contain this one or be contained in it.

    Both must hold this ``share``, in [0, 1], of the smaller one's sampled hashes.
    """
    others, counts = postings.sharing(owner)
    smaller = np.minimum(postings.n_keys[others], postings.n_keys[owner])
    enough = np.maximum(MIN_SHARED, share * smaller)
    found: np.ndarray = others[(smaller >= MIN_SKETCH) & (counts >= enough)]
    return found
