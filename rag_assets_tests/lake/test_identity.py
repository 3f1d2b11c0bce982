import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.lake.identity import (
    bucket_of,
    bytes_hash,
    data_version,
    row_id,
    text_hash,
    value_hash,
)

texts = st.text(st.characters(codec=None, exclude_categories=()))  # lone surrogates, too


def test_hashes_are_those_of_other_machines() -> None:
    assert bytes_hash(b"") == "99aa06d3014798d86001c324468d497f"  # xxh3_128 of nothing, reference
    assert row_id("doc", "a", 1) == row_id("doc", "a", 1)
    assert row_id("doc", "sample:a.md") == "doc_" + value_hash(["sample:a.md"])


@given(st.lists(texts, max_size=3), st.lists(texts, max_size=3))
def test_ids_do_not_collide_by_joining(left: list[str], right: list[str]) -> None:
    assert (row_id("x", *left) == row_id("x", *right)) == (left == right)


@given(texts, texts)
def test_texts_differ_as_their_hashes_do(left: str, right: str) -> None:
    assert (text_hash(left) == text_hash(right)) == (left == right)


def test_key_order_does_not_enter() -> None:
    assert value_hash({"a": 1, "b": 2}) == value_hash({"b": 2, "a": 1})


def test_value_without_json_form_is_refused() -> None:
    with pytest.raises(TypeError):
        value_hash({1, 2})


@given(texts, st.integers(0, 10))
def test_doubling_splits_a_bucket_in_two(uri: str, power: int) -> None:
    before = bucket_of(uri, 2**power)
    assert bucket_of(uri, 2 ** (power + 1)) in (before, before + 2**power)


@pytest.mark.parametrize("buckets", [0, -1, 3, 6])
def test_buckets_that_do_not_split_cleanly_are_refused(buckets: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        bucket_of("a", buckets)


@given(st.lists(st.tuples(texts, texts), unique=True))
def test_data_version_ignores_order_only(rows: list[tuple[str, str]]) -> None:
    assert data_version(rows) == data_version(reversed(rows))
    if rows:
        assert data_version(rows) != data_version(rows[1:])
