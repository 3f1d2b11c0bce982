"""Seeded samples: the same seed draws the same questions, and a smaller sample begins a larger."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from rag_assets.lake.identity import value_hash


class Identified(Protocol):
    """Anything with an id."""

    @property
    def id(self) -> str:
        """Stable and unique in its data set."""


T = TypeVar("T", bound=Identified)


def sample(
    items: Iterable[T],
    n: int,
    *,
    seed: int,
    stratify_by: Callable[[T], str] | None = None,
    key: Callable[[T], str] | None = None,
) -> list[T]:
    """The ``n`` items whose hash with the seed is lowest, in that order.

    Neither the order of the items nor what else is in the file changes who comes before whom, and
    a smaller sample is the beginning of a larger one, so results on both can be compared.

    Args:
        items: with unique ids.
        n: how many; all of them if there are fewer.
        seed: another seed, another sample.
        stratify_by: names an item's stratum; each then gets its share of ``n``, rounded so that
            samples stay nested (Sainte-Laguë's method: by (rank in stratum - 1/2) / its size).
        key: what is hashed, the id by default. With ``parallel_id`` here and the language as
            stratum each language gives the same questions.

    Raises:
        ValueError: ``n`` is negative.
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")

    def place(item: T) -> tuple[str, str]:
        return value_hash([seed, key(item) if key else item.id]), item.id

    ordered = sorted(items, key=place)
    if stratify_by is None:
        return ordered[:n]
    sizes = Counter(stratify_by(item) for item in ordered)
    ranks: dict[str, int] = defaultdict(int)
    placed = []
    for position, item in enumerate(ordered):
        stratum = stratify_by(item)
        ranks[stratum] += 1
        placed.append(((ranks[stratum] - 0.5) / sizes[stratum], position, item))
    return [item for _, _, item in sorted(placed, key=lambda entry: entry[:2])[:n]]
