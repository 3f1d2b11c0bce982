"""Which document represents which others, and which documents are merely related.

The rule: if the shingles of two documents have a Jaccard similarity of 0.8 or more, one document
represents both in the index. From 0.7 to 0.8 the two are related, and both stay in the index. As
every changed word touches three shingles, 0.8 means one word in 27 changed and 0.7 one in 17. In
the first case an answer from one is an answer from the other. In the second, what changed may be a
figure or a clause (last year's fares, a form filled in differently). A document that another one
contains, such as a page of a book, is related to it and stays: it is the more exact citation.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rag_assets.duplicates.candidates import Postings, contained_candidates, near_candidates
from rag_assets.duplicates.verifying import TEXTS_AT_ONCE, Overlaps, Verifier

NEAR_THRESHOLD = 0.8  # Jaccard from which one document stands for the other
SIMILAR_THRESHOLD = 0.7  # Jaccard from which two standing documents are related
CONTAINED_THRESHOLD = 0.7  # share of the smaller one's shingles in the larger
# Ten thousand forms filled in otherwise, 0.75 alike, are each other's candidates: n**2 pairs. The
# likeliest come first, so a text is compared until so many in a row were no duplicate.
MOST_IN_VAIN = 256
MOST_SIMILAR = 32  # candidates looked at for standing texts that are similar to one
_ENDING = r"\.[^./]*$"
# A sample of s shingles shows a containment c as c * s of them, give or take: at the threshold 8 of
# 100 pairs are missed where s is 4, 1 where it is 10, by the binomial. Verified afterwards.
_SAMPLED_SHARE = CONTAINED_THRESHOLD / 2


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which text represents which among n distinct texts, in order of preference."""

    # position of the text that stands for each, its own if it stands; (n,) int64
    leader: np.ndarray
    similarity: np.ndarray  # Jaccard with the leader, 1 with itself; (n,) float32

    @property
    def stands(self) -> np.ndarray:
        """Whether each is canonical, (n,) bool."""
        canonical: np.ndarray = self.leader == np.arange(len(self.leader))
        return canonical


@dataclass(frozen=True, slots=True)
class Related:
    """A pair of standing texts; ``small`` has no more shingles than ``large``, both positions."""

    small: int
    large: int
    kind: str  # similar | contained
    similarity: float
    containment: float


def preference(documents: pa.Table) -> pa.Array:
    """Row numbers in the order in which documents are preferred as canonical, (n,) uint64.

    First those without quality flags, then the least nested uri, then the shortest without its
    ending, then the first by name. A copy usually lies deeper or has a longer name
    ("archive/2023/copy-of-x") than its original; which format it has does not tell. ``documents``
    are n rows with ``uri`` and ``flags``.
    """
    keys = pa.table(
        {
            "flagged": pc.greater(pc.list_value_length(documents["flags"]), 0),
            "depth": pc.count_substring(documents["uri"], "/"),
            "length": pc.utf8_length(pc.replace_substring_regex(documents["uri"], _ENDING, "")),
            "uri": documents["uri"],
        }
    )
    return pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])


def group_near(near: Postings, n_texts: int, verifier: Verifier) -> Grouping:
    """Collapse near duplicates, each under the most preferred text that it resembles.

    Every text is compared with its own leader: chains (a like b, b like c) do not pull one under
    another that it does not resemble. Only leaders are compared, and only with texts that nobody
    stands for yet, so a thousand copies of one text cost a thousand comparisons. Where a text
    has more than ``MOST_IN_VAIN`` candidates, those that share few bands are compared only while
    such that share more were duplicates.

    Positions in ``near``, the texts by their bands, are in order of preference.
    """
    grouping = Grouping(np.arange(n_texts), np.ones(n_texts, dtype=np.float32))
    free = np.ones(n_texts, dtype=bool)

    def candidates_of(leader: int) -> np.ndarray:
        return near_candidates(near, leader, free)

    for leader, candidates in _in_turn(near.owners(), candidates_of, free, verifier):
        likeliest = candidates[free[candidates]]
        for start in range(0, len(likeliest), MOST_IN_VAIN):
            others = likeliest[start : start + MOST_IN_VAIN]
            similarity = verifier.compare(leader, others).jaccard
            alike = others[similarity >= NEAR_THRESHOLD]
            free[alike] = False
            grouping.leader[alike] = leader
            grouping.similarity[alike] = similarity[similarity >= NEAR_THRESHOLD]
            if not len(alike):
                break
    verifier.settle()
    return grouping


def find_related(
    near: Postings, sampled: Postings, grouping: Grouping, verifier: Verifier
) -> list[Related]:
    """Pairs of standing texts that are similar, or of which one contains the other; sorted.

    Of one text's similar ones among those after it the ``MOST_SIMILAR`` likeliest are looked at.
    ``near`` has all texts by their bands, ``sampled`` the standing ones by their sketches.
    """
    stands = grouping.stands

    def candidates_of(one: int) -> np.ndarray:
        return np.union1d(
            near_candidates(near, one, stands)[:MOST_SIMILAR],
            contained_candidates(sampled, one, stands, _SAMPLED_SHARE),
        )

    owners = np.union1d(near.owners(), sampled.owners())
    related: list[Related] = []
    for one, others in _in_turn(owners, candidates_of, stands, verifier):
        related += _related(one, others, verifier.compare(one, others))
    verifier.settle()
    return sorted(related, key=lambda pair: (pair.small, pair.large))


def _in_turn(
    owners: np.ndarray,
    candidates_of: Callable[[int], np.ndarray],
    free: np.ndarray,
    verifier: Verifier,
) -> Iterator[tuple[int, np.ndarray]]:
    """Free owners in order, each with its candidates; texts to be read are read together.

    The caller may strike owners from ``free`` on the way: some candidates may be taken by then.
    """
    ahead: list[tuple[int, np.ndarray]] = []
    to_read: dict[int, None] = {}  # an ordered set
    for owner in owners.tolist():
        candidates = candidates_of(owner) if free[owner] else owners[:0]
        if not len(candidates):
            continue
        ahead.append((owner, candidates))
        unknown = verifier.unknown(owner, candidates).tolist()
        to_read |= dict.fromkeys([owner, *unknown] if unknown else [])
        if max(len(to_read), len(ahead)) >= TEXTS_AT_ONCE:
            verifier.warm(list(to_read))
            yield from ((one, others) for one, others in ahead if free[one])
            ahead, to_read = [], {}
    verifier.warm(list(to_read))
    yield from ((one, others) for one, others in ahead if free[one])


def _related(one: int, others: np.ndarray, overlaps: Overlaps) -> Iterator[Related]:
    jaccard, containment = overlaps.jaccard, overlaps.containment
    similar = jaccard >= SIMILAR_THRESHOLD
    for at in np.flatnonzero(similar | (containment >= CONTAINED_THRESHOLD)).tolist():
        pair = (one, int(others[at]))
        small, large = pair if overlaps.own[at] < overlaps.others[at] else pair[::-1]
        kind = "similar" if similar[at] else "contained"
        yield Related(small, large, kind, float(jaccard[at]), float(containment[at]))
