import numpy as np
import pyarrow as pa
import pytest
from lancedb.table import Table

from rag_assets.index import search_indexes
from rag_assets.lake.store import LakeStore


def numbered(numbers: range) -> pa.Table:
    """Rows of an index with vectors of four floats, whose words name their number."""
    drawn = np.random.default_rng(numbers.start).standard_normal((len(numbers), 4))
    rows = [
        {"chunk_id": f"c{n}", "search_text": f"word{n}", "vector": vector}
        for n, vector in zip(numbers, drawn.tolist(), strict=True)
    ]
    schema = pa.schema(
        [("chunk_id", pa.string()), ("partition", pa.string()), ("section_id", pa.string()),
         ("document_id", pa.string()), ("uri", pa.string()), ("search_text", pa.string()),
         ("vector", pa.list_(pa.float32(), 4))]
    )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


def unindexed(table: Table) -> dict[str, int]:
    return {
        index.columns[0]: table.index_stats(index.name).num_unindexed_rows
        for index in table.list_indices()
    }


@pytest.mark.parametrize("min_rows_for_ann", [100, 10_000])
def test_few_new_rows_rewrite_no_others(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch, min_rows_for_ann: int
) -> None:
    monkeypatch.setattr(search_indexes, "MIN_ROWS_FOR_ANN", min_rows_for_ann)
    monkeypatch.setattr(search_indexes, "MOST_FILES", 3)
    first = numbered(range(300))
    table = store.open_or_create("chunk_index", "all", first.schema)
    table.add(first)
    search_indexes.index_table(table)
    columns = {*search_indexes.COLUMN_INDEXES, *(["vector"] if min_rows_for_ann == 100 else [])}
    assert unindexed(table) == dict.fromkeys(columns, 0)

    def data_files() -> set[str]:
        return {file.base_name for file in store.files("tables/chunk_index/all.lance/data")}

    n_files, n_written = [], []
    for n in range(300, 320, 5):
        before = data_files()
        table.delete(f"chunk_id = 'c{n - 300}'")
        table.add(numbered(range(n, n + 5)))
        search_indexes.index_table(table)
        n_written.append(len(data_files() - before))
        assert unindexed(table) == dict.fromkeys(columns, 0)
        if "vector" in columns:
            n_files.append(search_indexes._n_vector_files(table))
        (hit,) = table.search(f"word{n + 4}", query_type="fts").to_list()
        assert hit["chunk_id"] == f"c{n + 4}"
    if "vector" in columns:  # when its files are joined, so are the fragments, in the next build
        assert (n_files, n_written) == ([2, 3, 1, 2], [1, 1, 1, 2])
    else:
        assert n_written == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("min_rows_for_ann", "dying"), [(10_000, "document_id"), (100, search_indexes.TEXT)]
)
def test_index_that_was_killed_on_the_way_is_finished(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch, min_rows_for_ann: int, dying: str
) -> None:
    """Also after the text index was dropped, to be made anew."""
    monkeypatch.setattr(search_indexes, "MIN_ROWS_FOR_ANN", min_rows_for_ann)
    first = numbered(range(300))
    table = store.open_or_create("chunk_index", "all", first.schema)
    table.add(first)
    search_indexes.index_table(table)
    pinned = table.version
    table.add(numbered(range(300, 310)))
    make = search_indexes._column_index

    def die(column: str) -> object:
        if column == dying:
            raise KeyboardInterrupt
        return make(column)

    with monkeypatch.context() as patch:
        patch.setattr(search_indexes, "_column_index", die)
        with pytest.raises(KeyboardInterrupt):
            search_indexes.index_table(table)
    assert unindexed(table).get(dying, 10) == 10
    search_indexes.index_table(table)
    vectors = ["vector"] if min_rows_for_ann == 100 else []
    assert unindexed(table) == dict.fromkeys([*search_indexes.COLUMN_INDEXES, *vectors], 0)
    table.checkout(pinned)  # readers saw none of that
    assert search_indexes.n_unindexed(table) == 0
    assert len(table.search("word7", query_type="fts").to_list()) == 1
