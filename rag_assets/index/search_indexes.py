"""The search indexes of ``chunk_index``: when they are made, and how they take in new rows."""

from datetime import timedelta

from lancedb.index import FTS, BTree, IvfSq
from lancedb.table import Table

MIN_ROWS_FOR_ANN = 50_000  # below it an exact scan takes less than 100 ms and loses nothing
TEXT = "search_text"
# The text index last: by what it lacks, a build that was killed on the way is known.
COLUMN_INDEXES = ("chunk_id", "section_id", "document_id", "partition", "uri", TEXT)
MOST_FILES = 32  # of the vector index, each searched; a build adds one, making it anew joins them


def index_table(table: Table) -> None:
    """Make the search indexes where they are missing, and let them take in what is new.

    A text index made on an empty table never catches up (recall 0), so it waits for rows.

    LanceDB's ``optimize`` does three things, none of which can be had alone: it joins neighbouring
    fragments that the same index files cover, gives each index the new rows, and cleans up. A
    vector index takes them in as a file more, so the fragments stay apart and no row is rewritten.
    Without one, ``optimize`` would rewrite all rows and write each index twice: for ten rows more
    than 40,000 that is 11.4 processor seconds and 175 MB, where the scalar indexes made anew take
    6.4 and 44. The text index is written as a whole either way; that is nearly all of the cost. It
    is made anew, not given to ``optimize``, which holds 2.2 GB for a million rows, where this holds
    0.9 and takes no longer (figures: ``benchmarks``). Readers pin a version, and so do not see that
    it is missing meanwhile.
    """
    n_rows = table.count_rows()
    if n_rows == 0:
        return
    existing = {column: index.name for index in table.list_indices() for column in index.columns}
    has_vectors, is_behind = "vector" in existing, n_unindexed(table) > 0
    if is_behind and has_vectors:
        if TEXT in existing:
            table.drop_index(existing.pop(TEXT))
        table.optimize(cleanup_older_than=timedelta(days=3650))  # cleaning up is not its task here
    for column in COLUMN_INDEXES:
        if column not in existing or (is_behind and not has_vectors):
            table.create_index(column, config=_column_index(column), replace=True)
    if has_vectors:
        is_due = is_behind and _n_vector_files(table) > MOST_FILES
    else:
        is_due = n_rows >= MIN_ROWS_FOR_ANN
    if is_due:
        table.create_index("vector", config=vector_index(), replace=True)


def vector_index() -> IvfSq:
    """Vectors with one byte for each number, in groups; a search reads the nearest groups.

    With a graph in each group (IVF_HNSW_SQ) a search is no faster, finds less, and the index takes
    sixty times as long to make and eighty times to rewrite: benchmark ``vectors``.
    """
    return IvfSq(distance_type="cosine")


def _column_index(column: str) -> BTree | FTS:
    return FTS(with_position=False) if column == TEXT else BTree()


def _n_vector_files(table: Table) -> int:
    (name,) = (index.name for index in table.list_indices() if index.columns == ["vector"])
    stats = table.index_stats(name)
    return 0 if stats is None else int(stats.num_indices or 0)


def n_unindexed(table: Table) -> int:
    """Rows that the text index does not cover; all of them if there is none."""
    for index in table.list_indices():
        stats = table.index_stats(index.name) if index.columns == [TEXT] else None
        if stats is not None:
            return int(stats.num_unindexed_rows)
    return int(table.count_rows())
