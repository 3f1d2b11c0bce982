import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_assets.chunks.headers import Header, column_names, make_headers, table_body
from rag_assets.chunks.sizes import measure
from rag_assets_tests.world import WordCounter


@pytest.mark.parametrize(
    ("title", "path", "max_tokens", "header"),
    [
        ("T", ["A", "B"], 40, "T > A > B"),
        ("T", ["T", "B"], 40, "T > B"),
        ("T", ["A\nof B"], 40, "T > A of B"),  # the lines below it are rows of a table
        ("", [], 40, ""),
        ("T", ["A", "B", "C", "D"], 20, "T > C > D"),  # the middle goes first
        ("a b c d e f", [], 16, "a b c d"),
    ],
)
def test_header(title: str, path: list[str], max_tokens: int, header: str) -> None:
    assert make_headers([(title, path)], WordCounter(), max_tokens) == [
        Header(header, WordCounter().count(header))
    ]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.text(max_size=60), st.lists(st.text(max_size=30))), max_size=4))
def test_header_takes_a_quarter_of_the_window(paths: list[tuple[str, list[str]]]) -> None:
    headers = make_headers(paths, WordCounter(), 32)
    assert len(headers) == len(paths)
    for header in headers:
        assert WordCounter().count(header.line) == header.n_tokens <= 8
        assert "\n" not in header.line


@pytest.mark.parametrize(
    ("names", "limit", "repeated"),
    [
        ("| North | South\nMonth | cars | people | cars | people", 40, None),
        ("| | North | | South | |\n|---|---|---|---|---|\n| Day | in | out | in | out |", 40, None),
        ("| 2023 | 2024\nDay | in | out | in | out", 11, "2024\nDay | in | out | in"),
        ("Month | cars | people", 40, None),
        ("| cars | people", 40, None),
    ],
)  # fmt: skip
def test_rows_that_name_columns(names: str, limit: int, repeated: str | None) -> None:
    table = f"{names}\nMay | 1 | 2 | 3 | 4\nJune | 5 | 6 | 7 | 8"
    (sizes,) = measure([table], WordCounter())
    names_end = column_names(table, 0, len(table), sizes, limit)
    assert table[:names_end].endswith(repeated or names)
    assert table[table_body(table, names_end, len(table)) :].startswith("May")
