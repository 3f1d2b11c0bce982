import pytest

from rag_assets.lake import cache
from rag_assets.lake.store import LakeStore


def test_what_was_remembered_is_found(store: LakeStore) -> None:
    assert cache.lookup(store, "things", ["a"]) == {}
    cache.remember(store, "things", {})
    values = {f"k{i}": bytes([i % 256]) for i in range(2500)}
    cache.remember(store, "things", values)
    assert cache.lookup(store, "things", [*values, "absent"]) == values
    assert cache.lookup(store, "things", []) == {}


def test_two_writers_of_one_key_do_not_disturb(store: LakeStore) -> None:
    cache.remember(store, "things", {"a": b"1"})
    cache.remember(store, "things", {"a": b"1"})
    assert cache.lookup(store, "things", ["a"]) == {"a": b"1"}


def test_keys_are_indexed_from_time_to_time(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MOST_UNINDEXED", 20)
    indexed = []
    for batch in range(9):
        cache.remember(store, "things", {f"k{batch}.{n}": b"%d" % batch for n in range(8)})
        table = store.table("things")
        assert table is not None
        indexed.append(
            sum(table.index_stats(i.name).num_indexed_rows for i in table.list_indices())
        )
    assert indexed == [0, 0, 24, 24, 24, 48, 48, 48, 72]
    values = {f"k{batch}.{n}": b"%d" % batch for batch in range(9) for n in range(8)}
    assert cache.lookup(store, "things", [*values, "absent"]) == values
