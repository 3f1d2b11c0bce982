"""Which document represents which others, and which documents are merely related.

The rule: documents that say the same are one, and the most preferred of them represents the others
in the index. They say the same if nothing but layout and page furniture tells them apart (``facts``
has the rule). A word more or another word may be a fact: both stay.

Standing documents are related by the Jaccard similarity of their shingles. As every changed word
touches three, 0.8 means one word in 27 changed and 0.7 one in 17. From 0.8 on they are siblings,
such as contracts that differ in a name and an amount; from 0.7 to 0.8 they are similar. A document
that another one contains, such as a page of a book, is related to it and is the more exact
citation.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rag_assets.duplicates.candidates import Postings, contained_candidates, near_candidates
from rag_assets.duplicates.verifying import TEXTS_AT_ONCE, Overlaps, Verifier

SIBLING_THRESHOLD = 0.8  # Jaccard from which two standing documents are siblings
SIMILAR_THRESHOLD = 0.7  # Jaccard from which they are related
CONTAINED_THRESHOLD = 0.7  # share of the smaller one's shingles in the larger
MOST_SIMILAR = 8  # candidates looked at for standing texts that are similar to one
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
    kind: str  # sibling | similar | contained
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


def group_near(owners: np.ndarray, n_texts: int, verifier: Verifier) -> Grouping:
    """Collapse texts that say the same, each under the most preferred one.

    Every text has the words of its own leader, so nothing is lost along a chain. A running head
    may be missing from the leader; then all that have one there have the same.

    ``owners`` are positions of the texts to look at, ascending, those that share bands with others.
    Positions are in order of preference.
    """
    grouping = Grouping(np.arange(n_texts), np.ones(n_texts, dtype=np.float32))
    leader_of: dict[int, int] = {}  # any key of a leader -> the leader
    leader_with: dict[int, int] = {}  # a leader's first key, its heads included -> the leader
    heads_under: dict[int, int] = {}  # leader -> first key of those with a head that it lacks
    members: dict[int, list[int]] = {}
    for text, keys in zip(owners.tolist(), verifier.keys(owners).tolist(), strict=True):
        first = keys[0]
        leader = leader_of.get(first)
        if leader is None:
            leader = next((leader_with[key] for key in keys if key in leader_with), None)
            if leader is not None and heads_under.setdefault(leader, first) != first:
                leader = None
        if leader is not None:
            members.setdefault(leader, []).append(text)
            continue
        leader_with[first] = text
        for key in keys:
            leader_of.setdefault(key, text)
    leaders = np.array(sorted(members), dtype=np.int64)
    for leader, others in _in_turn(leaders, lambda leader: np.array(members[leader]), verifier):
        grouping.leader[others] = leader
        grouping.similarity[others] = verifier.compare(leader, others).jaccard
    verifier.settle()
    return grouping


def find_related(near: Postings, sampled: Postings, verifier: Verifier) -> list[Related]:
    """Pairs of standing texts that are similar, or of which one contains the other; sorted.

    Of one text's similar ones among those after it the ``MOST_SIMILAR`` likeliest are looked at.
    Both have the standing texts, ``near`` by their bands, ``sampled`` by their sketches.
    """

    def candidates_of(one: int) -> np.ndarray:
        return np.union1d(
            near_candidates(near, one)[:MOST_SIMILAR],
            contained_candidates(sampled, one, _SAMPLED_SHARE),
        )

    owners = np.union1d(near.owners(), sampled.owners())
    related: list[Related] = []
    for one, others in _in_turn(owners, candidates_of, verifier):
        related += _related(one, others, verifier.compare(one, others))
    verifier.settle()
    return sorted(related, key=lambda pair: (pair.small, pair.large))


def _in_turn(
    owners: np.ndarray,
    candidates_of: Callable[[int], np.ndarray],
    verifier: Verifier,
) -> Iterator[tuple[int, np.ndarray]]:
    """Owners in order, each with its candidates; texts to be read are read together."""
    ahead: list[tuple[int, np.ndarray]] = []
    to_read: dict[int, None] = {}  # an ordered set
    for owner in owners.tolist():
        candidates = candidates_of(owner)
        if not len(candidates):
            continue
        ahead.append((owner, candidates))
        unknown = verifier.unknown(owner, candidates).tolist()
        to_read |= dict.fromkeys([owner, *unknown] if unknown else [])
        if max(len(to_read), len(ahead)) >= TEXTS_AT_ONCE:
            verifier.warm(list(to_read))
            yield from ahead
            ahead, to_read = [], {}
    verifier.warm(list(to_read))
    yield from ahead


def _related(one: int, others: np.ndarray, overlaps: Overlaps) -> Iterator[Related]:
    jaccard, containment = overlaps.jaccard, overlaps.containment
    similar = jaccard >= SIMILAR_THRESHOLD
    for at in np.flatnonzero(similar | (containment >= CONTAINED_THRESHOLD)).tolist():
        pair = (one, int(others[at]))
        small, large = pair if overlaps.own[at] < overlaps.others[at] else pair[::-1]
        kind = "similar" if similar[at] else "contained"
        kind = "sibling" if jaccard[at] >= SIBLING_THRESHOLD else kind
        yield Related(small, large, kind, float(jaccard[at]), float(containment[at]))
