import fcntl
import os
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from rag_assets.lake.identity import bytes_hash
from rag_assets.lake.store import FORMAT, FORMAT_RECORD, LakeError, LakeStore, batches, quoted

SCHEMA = pa.schema([("key", pa.string()), ("n", pa.int64())])


def fill(store: LakeStore, n_rows: int, partition: str = "p.0") -> None:
    table = store.open_or_create("things", partition, SCHEMA)
    rows = {"key": [f"k'{i}" for i in range(n_rows)], "n": list(range(n_rows))}
    table.add(pa.table(rows, schema=SCHEMA))


def test_blob_is_kept_once_under_its_hash(store: LakeStore, tmp_path: Path) -> None:
    data = b"\x00\xff" * 100
    digest = bytes_hash(data)
    assert not store.has_blob(digest)
    store.put_blob(digest, data)
    written = (tmp_path / "lake" / "raw" / digest[:2] / digest).stat().st_mtime_ns
    store.put_blob(digest, data)
    assert store.get_blob(digest) == data
    assert (tmp_path / "lake" / "raw" / digest[:2] / digest).stat().st_mtime_ns == written


def test_missing_blob_is_named(store: LakeStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.get_blob("0" * 32)


def test_records_come_back(store: LakeStore) -> None:
    assert store.get_record("live") is None
    assert store.records("generations") == []
    store.put_record("generations/b", {"ä": [1, None]})
    store.put_record("generations/a", 1)
    assert store.get_record("generations/b") == {"ä": [1, None]}
    assert store.records("generations") == ["a", "b"]


def test_record_is_replaced_wholly_or_not_at_all(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_record("live", "old")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            store.put_record("live", "new" * 1000)
    assert store.get_record("live") == "old"
    assert store.records("") == ["live"]  # what the kill left behind is no record
    store.put_record("live", "new")
    assert store.get_record("live") == "new"


def test_unwritable_path_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LakeError, match="RAG_LAKE"):
        LakeStore(str(tmp_path / "file" / "lake")).put_record("a", 1)


def test_absent_tables_have_no_rows(store: LakeStore) -> None:
    assert store.table("things", "p.0") is None
    assert store.read("things", "p.0") is None
    assert store.rows("things", "p.0") == []
    assert store.partitions("things") == []


def test_partitions_columns_and_filters(store: LakeStore) -> None:
    fill(store, 3)
    fill(store, 1, "p.1")
    assert store.partitions("things") == ["p.0", "p.1"]
    wanted = ["k'1", "k'2"]
    where = f"key IN ({quoted(wanted)})"
    assert store.rows("things", "p.0", columns=["n"], where=where) == [{"n": 1}, {"n": 2}]


def test_a_scan_has_no_hidden_limit(store: LakeStore) -> None:
    fill(store, 5000)
    assert len(store.rows("things", "p.0", where="n >= 0")) == 5000
    table = store.table("things", "p.0")
    assert table is not None
    sizes = [batch.num_rows for batch in batches(table, columns=["n"], batch_size=512)]
    assert sum(sizes) == 5000
    assert max(sizes) <= 512


@pytest.mark.parametrize(
    "other",
    [
        pa.schema([("key", pa.string())]),
        pa.schema([("key", pa.string()), ("n", pa.string())]),
        pa.schema([("key", pa.string()), ("n", pa.list_(pa.float32(), 3))]),
    ],
)
def test_other_columns_are_refused(store: LakeStore, other: pa.Schema) -> None:
    fill(store, 1)
    with pytest.raises(LakeError, match=r"n \(int64\)"):
        store.open_or_create("things", "p.0", other)
    assert len(store.rows("things", "p.0")) == 1


def test_overwrite_replaces_in_one_commit(store: LakeStore) -> None:
    store.overwrite("all_of_it", pa.table({"key": ["a"], "n": [1]}, schema=SCHEMA))
    store.overwrite("all_of_it", pa.table({"key": ["b"], "n": [2]}, schema=SCHEMA))
    assert store.rows("all_of_it") == [{"key": "b", "n": 2}]


def test_locks_are_where_all_who_see_the_lake_see_them(store: LakeStore, tmp_path: Path) -> None:
    """Not in a folder for temporary files: services and containers have one each."""
    held = Path(store.uri) / "locks" / "writers.lock"
    with store.locked("writers"), held.open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    by_another_path = tmp_path / "link"
    by_another_path.symlink_to(store.uri)
    with (
        LakeStore(str(by_another_path)).locked("writers"),
        held.open("w") as other,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_quotes_are_doubled() -> None:
    assert quoted(["a", "o'b"]) == "'a', 'o''b'"


def test_a_lake_of_a_newer_version_is_refused_with_a_sentence(store: LakeStore) -> None:
    fill(store, 1)
    assert store.get_record(FORMAT_RECORD) == {"format": FORMAT, "private": True}
    store.put_record(FORMAT_RECORD, {"format": FORMAT + 1})
    opened = LakeStore(store.uri)
    said = f"newer version of rag_assets: expected format {FORMAT} or less, got {FORMAT + 1}"
    for use in (
        lambda: opened.table("things", "p.0"),
        lambda: opened.get_record("live"),
        lambda: opened.open_or_create("things", "p.0", SCHEMA),
        lambda: opened.put_record("live", {}),
    ):
        with pytest.raises(LakeError, match=said):
            use()
    assert LakeStore(store.uri + "-of-its-own").table("things") is None


def test_a_lake_of_an_earlier_version_gets_the_format_of_this_one(store: LakeStore) -> None:
    fill(store, 1)
    store.put_record(FORMAT_RECORD, {"format": FORMAT - 1})
    opened = LakeStore(store.uri)
    assert opened.table("things", "p.0") is not None
    assert opened.get_record(FORMAT_RECORD) == {"format": FORMAT - 1}  # reading changes nothing
    opened.open_or_create("things", "p.0", SCHEMA)
    assert opened.get_record(FORMAT_RECORD) == {"format": FORMAT, "private": True}


def test_a_lake_from_before_lakes_were_private_is_closed_once(store: LakeStore) -> None:
    fill(store, 1)
    store.put_record(FORMAT_RECORD, {"format": FORMAT})
    folder = Path(store.uri)
    for opened, left in ((0o755, 0o700), (0o750, 0o750)):  # the second time the owner meant it
        folder.chmod(opened)
        LakeStore(store.uri).open_or_create("things", "p.0", SCHEMA)
        assert folder.stat().st_mode & 0o777 == left


def test_bytes_that_changed_are_not_read(store: LakeStore) -> None:
    digest = bytes_hash(b"the contract of 2024")
    store.put_blob(digest, b"the contract of 2024")
    (Path(store.uri) / "raw" / digest[:2] / digest).write_bytes(b"the contract of 2025")
    with pytest.raises(LakeError, match=f"{digest} are not those that were written there"):
        store.get_blob(digest)


def test_a_new_lake_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        LakeStore(str(tmp_path / "new" / "lake")).put_record("live", {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / "lake").stat().st_mode) == 0o700
