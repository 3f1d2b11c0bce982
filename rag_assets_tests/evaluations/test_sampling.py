from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.evaluations.sampling import sample


@dataclass(frozen=True)
class Item:
    id: str
    language: str


def items_of(ids: Sequence[str], language: str = "en") -> list[Item]:
    return [Item(i, language) for i in ids]


ids = st.lists(st.text(min_size=1), unique=True, max_size=40)


@given(ids, st.integers(0, 50), st.integers(0, 50), st.integers(), st.randoms(), st.booleans())
def test_samples_are_nested_whatever_the_order(
    names: list[str], small: int, large: int, seed: int, random: object, stratified: bool
) -> None:
    small, large = sorted((small, large))
    items = items_of(names)
    stratify_by = (lambda d: str(len(d.id) % 3)) if stratified else None
    drawn = sample(items, large, seed=seed, stratify_by=stratify_by)
    random.shuffle(items)  # type: ignore[attr-defined]
    assert sample(items, small, seed=seed, stratify_by=stratify_by) == drawn[:small]
    assert len(drawn) == min(large, len(items))
    assert len({d.id for d in drawn}) == len(drawn)


@given(st.integers(0, 100), st.integers())
def test_strata_get_their_share(n: int, seed: int) -> None:
    names = [str(i) for i in range(100)]
    items = items_of(names[:50], "a") + items_of(names[50:80], "b") + items_of(names[80:], "c")
    drawn = Counter(
        d.language for d in sample(items, n, seed=seed, stratify_by=lambda d: d.language)
    )
    for language, share in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        assert abs(drawn[language] - share * n) <= 1


def test_another_seed_is_another_sample() -> None:
    items = items_of([str(i) for i in range(200)])
    assert set(sample(items, 20, seed=1)) != set(sample(items, 20, seed=2))


def test_parallel_questions_are_drawn_together() -> None:
    items = [Item(f"{i}-{lang}", lang) for i in range(30) for lang in ("de", "en", "zh")]
    drawn = sample(
        items, 12, seed=3, stratify_by=lambda d: d.language, key=lambda d: d.id.split("-")[0]
    )
    assert set(Counter(d.id.split("-")[0] for d in drawn).values()) == {3}


def test_negative_sample() -> None:
    with pytest.raises(ValueError, match="n must not be negative, got -1"):
        sample([], -1, seed=0)
