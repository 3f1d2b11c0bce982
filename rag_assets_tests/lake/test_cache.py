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
