"""What texts say and share with others: read once, kept between runs, texts held only a few."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rag_assets.documents.signatures import n_shared, shingles
from rag_assets.duplicates.facts import N_KEYS, keys_of
from rag_assets.lake.schemas import TEXT, required

TEXTS_AT_ONCE = 128

VERIFIED_PAIRS: Final = pa.schema(  # of texts, so that no later run reads them again
    [
        required("left_hash", TEXT),  # text_hash
        required("right_hash", TEXT),
        required("n_left", pa.int64()),  # distinct shingles
        required("n_right", pa.int64()),
        required("n_shared", pa.int64()),
    ]
)

TEXT_KEYS: Final = pa.schema(  # of texts that share bands with others
    [
        required("text_hash", TEXT),
        required("keys", pa.list_(pa.uint64(), N_KEYS)),  # ``facts.keys_of``
    ]
)

MOST_HASHES = 2**22  # of shingles kept for the next comparison: 32 MB


@dataclass(frozen=True, slots=True)
class Content:
    """What is compared of a text."""

    shingles: np.ndarray  # sorted, distinct
    keys: tuple[int, int, int]  # ``facts.keys_of``

    @classmethod
    def of(cls, text: str) -> Self:
        """Of a text."""
        return cls(shingles(text), keys_of(text))


ReadContents = Callable[[Sequence[int]], Sequence[Content]]


@dataclass(frozen=True, slots=True)
class Overlaps:
    """What one document's shingles share with those of k others, each (k,)."""

    own: np.ndarray  # distinct shingles of the one
    others: np.ndarray  # distinct shingles of each other
    shared: np.ndarray  # shingles that both have

    @property
    def jaccard(self) -> np.ndarray:
        """Jaccard similarity, float64 in [0, 1]."""
        similarity: np.ndarray = self.shared / (self.own + self.others - self.shared)
        return similarity

    @property
    def containment(self) -> np.ndarray:
        """Share of the smaller one's shingles that the larger has, float64 in [0, 1]."""
        share: np.ndarray = self.shared / np.minimum(self.own, self.others)
        return share


class _Shelf:
    """Contents by position; the last used are kept, up to ``MOST_HASHES``."""

    def __init__(self, read: ReadContents) -> None:
        self._read = read
        self._kept: OrderedDict[int, Content] = OrderedDict()
        self._n_hashes = 0
        self.n_read = 0

    def of(self, positions: Sequence[int]) -> list[Content]:
        """Of these; reads, in one go, what is not kept."""
        missing = [position for position in positions if position not in self._kept]
        if missing:
            self.n_read += len(missing)
            for position, content in zip(missing, self._read(missing), strict=True):
                self._kept[position] = content
                self._n_hashes += len(content.shingles)
        for position in positions:
            self._kept.move_to_end(position)
        found = [self._kept[position] for position in positions]
        while self._n_hashes > MOST_HASHES and self._kept:
            self._n_hashes -= len(self._kept.popitem(last=False)[1].shingles)
        return found


class Verifier:
    """Compares texts by their shingles, or remembers what an earlier run found.

    Texts are named by position, ``range(n)``. A pair is asked for at most once between two calls
    of ``settle``.

    Args:
        text_hashes: of all texts there are, distinct, (n,) string.
        known: rows of ``VERIFIED_PAIRS``; pairs of texts that are gone are passed over.
        keyed: rows of ``TEXT_KEYS``; texts that are gone are passed over.
        read: positions -> the texts' contents in the same order; asked for at most
            ``TEXTS_AT_ONCE``.
    """

    def __init__(
        self, text_hashes: pa.Array, known: pa.Table, keyed: pa.Table, read: ReadContents
    ) -> None:
        self._hashes = text_hashes
        self._shelf = _Shelf(read)
        self._keyed = keyed
        self._new: list[np.ndarray] = []  # each (k, 4): key, and n_left, n_right, n_shared
        self.n_verified = 0
        left, right = (
            pc.fill_null(pc.index_in(known[name], value_set=text_hashes), -1).to_numpy()
            for name in ("left_hash", "right_hash")
        )
        counts = [known[name].to_numpy() for name in ("n_left", "n_right", "n_shared")]
        rows = np.column_stack([self._keys(left, right), *counts]).astype(np.int64)
        swapped = left > right
        rows[swapped, 1], rows[swapped, 2] = rows[swapped, 2], rows[swapped, 1]
        rows = rows[(left >= 0) & (right >= 0)]
        self._rows = rows[np.argsort(rows[:, 0])]
        self._used = np.zeros(len(self._rows), dtype=bool)

    @property
    def n_read(self) -> int:
        """Texts read so far."""
        return self._shelf.n_read

    def _keys(self, left: np.ndarray | int, right: np.ndarray) -> np.ndarray:
        keys: np.ndarray = np.minimum(left, right, dtype=np.int64) * len(self._hashes)
        keys += np.maximum(left, right)
        return keys

    def _find(self, position: int, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row of each pair (valid where known), and whether it is known; both (k,)."""
        keys = self._keys(position, others)
        at = np.searchsorted(self._rows[:, 0], keys)
        known = at < len(self._rows)
        known[known] = self._rows[at[known], 0] == keys[known]
        return at, known

    def keys(self, positions: np.ndarray) -> np.ndarray:
        """The keys of these texts, (k, 3) uint64; those that are not known are read."""
        at = pc.index_in(self._hashes.take(pa.array(positions)), value_set=self._keyed["text_hash"])
        known = at.is_valid().to_numpy(zero_copy_only=False)
        found = np.empty((len(positions), N_KEYS), dtype=np.uint64)
        rows = self._keyed["keys"].combine_chunks().take(at.drop_null())
        found[known] = rows.flatten().to_numpy().reshape(-1, N_KEYS)
        unknown = np.flatnonzero(~known)
        for start in range(0, len(unknown), TEXTS_AT_ONCE):
            some = unknown[start : start + TEXTS_AT_ONCE]
            contents = self._shelf.of(positions[some].tolist())
            found[some] = np.array([content.keys for content in contents], dtype=np.uint64)
        hashes = self._hashes.take(pa.array(positions))
        lists = pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), N_KEYS)
        self._keyed = pa.table([hashes, lists], schema=TEXT_KEYS)
        return found

    def keyed(self) -> pa.Table:
        """Rows of ``TEXT_KEYS`` for the texts whose keys were asked for last."""
        return self._keyed

    def unknown(self, position: int, others: np.ndarray) -> np.ndarray:
        """Those of the others that have not been compared with this one."""
        new: np.ndarray = others[~self._find(position, others)[1]]
        return new

    def warm(self, positions: Sequence[int]) -> None:
        """Read the first ``TEXTS_AT_ONCE`` of these, which will be compared soon, in one go."""
        self._shelf.of(positions[:TEXTS_AT_ONCE])

    def compare(self, position: int, others: np.ndarray) -> Overlaps:
        """What a text shares with later ones, by their positions, (k,)."""
        at, known = self._find(position, others)
        rows = np.empty((len(others), 4), dtype=np.int64)
        rows[known] = self._rows[at[known]]
        self._used[at[known]] = True
        if not known.all():
            rows[~known] = self._verify(position, others[~known])
            self._new.append(rows[~known])
            self.n_verified += int(np.count_nonzero(~known))
        return Overlaps(rows[:, 1], rows[:, 2], rows[:, 3])

    def _verify(self, position: int, others: np.ndarray) -> np.ndarray:
        keys = self._keys(position, others)
        own = self._shelf.of([position])[0].shingles
        counts = [
            (len(own), len(content.shingles), n_shared(own, content.shingles))
            for start in range(0, len(others), TEXTS_AT_ONCE)
            for content in self._shelf.of(others[start : start + TEXTS_AT_ONCE].tolist())
        ]
        return np.column_stack([keys, np.array(counts, dtype=np.int64)])

    def settle(self) -> None:
        """Make what was verified known, so that it may be asked for again."""
        rows = np.concatenate([self._rows, *self._new])
        used = np.append(self._used, np.ones(len(rows) - len(self._used), dtype=bool))
        order = np.argsort(rows[:, 0], kind="stable")
        self._rows, self._used, self._new = rows[order], used[order], []

    def used(self) -> pa.Table:
        """Rows of ``VERIFIED_PAIRS`` for all pairs that were asked for; n = their number."""
        self.settle()
        rows = self._rows[self._used]
        left, right = np.divmod(rows[:, 0], max(len(self._hashes), 1))
        hashes = [self._hashes.take(pa.array(positions)) for positions in (left, right)]
        return pa.table([*hashes, *rows[:, 1:].T], schema=VERIFIED_PAIRS)
