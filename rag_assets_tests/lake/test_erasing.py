"""A scrubbed table has its rows, and no byte of what was deleted from it."""

import os
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
from lancedb.index import FTS

from rag_assets.lake import erasing
from rag_assets.lake.store import LakeStore, state_of

SCHEMA = pa.schema([("key", pa.string()), ("text", pa.string())])
SECRET = "zqberthol"
N_ROWS = 100  # one of them deleted is less than what makes LanceDB write a file anew by itself


@pytest.fixture
def full(store: LakeStore) -> LakeStore:
    """A table of which a row is deleted, with a text index made before that."""
    table = store.open_or_create("pages", "all", SCHEMA)
    texts = [f"the pier {n} is of oak" for n in range(N_ROWS)]
    texts[7] = f"the clerk is {SECRET}"
    table.add(pa.table([[str(n) for n in range(N_ROWS)], texts], schema=SCHEMA))
    table.create_index("text", config=FTS(with_position=False))
    table.delete("key = '7'")
    return store


def holding(store: LakeStore, word: str = SECRET) -> list[Path]:
    files = [path for path in Path(store.uri).rglob("*") if path.is_file()]
    return [path for path in files if word.encode() in path.read_bytes()]


def test_what_was_deleted_is_in_no_file(full: LakeStore) -> None:
    assert {path.parent.name for path in holding(full)} >= {"data"}
    before = full.rows("pages")
    made = full.state_of("pages").partition(".")[0]
    erasing.scrub(full, "pages")
    assert holding(full) == []
    assert sorted(full.rows("pages"), key=str) == sorted(before, key=str)
    table = full.table("pages")
    assert table is not None
    assert len(table.list_versions()) == 1
    assert state_of(table).startswith(made)  # the same table still


def test_nothing_to_merge_is_nothing_to_keep(full: LakeStore) -> None:
    table = full.table("pages")
    assert table is not None
    table.optimize()  # what upkeep does leaves it where it is
    assert holding(full)
    table.delete("true")
    erasing.scrub(full, "pages")
    assert holding(full, "oak") == []
    table.checkout_latest()
    table.add(pa.table([["a"], ["b"]], schema=SCHEMA))
    assert full.rows("pages") == [{"key": "a", "text": "b"}]


def test_appends_beside_it_stay(full: LakeStore) -> None:
    def append() -> None:
        for n in range(20):
            table = LakeStore(full.uri).open_or_create("pages", "all", SCHEMA)
            table.add(pa.table([[f"new {n}"], ["appended"]], schema=SCHEMA))

    thread = threading.Thread(target=append)
    thread.start()
    table = full.table("pages")
    assert table is not None
    erasing.rewrite(table)
    thread.join()
    erasing.scrub(full, "pages")
    keys = {row["key"] for row in full.rows("pages")}
    assert len(keys) == N_ROWS - 1 + 20


def test_a_file_of_a_killed_writer_goes_once_it_is_old(full: LakeStore) -> None:
    folder = Path(full.uri) / "tables" / "pages" / "all.lance" / "data"
    old, young = folder / "old.lance", folder / "young.lance"
    for path in (old, young):
        path.write_text(SECRET)
    ago = time.time() - 2 * erasing.ABANDONED.total_seconds()
    os.utime(old, (ago, ago))
    erasing.scrub(full, "pages")
    assert holding(full) == [young]
