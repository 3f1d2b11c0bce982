import csv
import io
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.tables import has_header, names_groups, table_blocks
from rag_assets.documents.readers.text.records import read_csv, read_json, read_jsonl, sniff

letters = st.text("abc äß'#-+!", min_size=1, max_size=6).filter(lambda text: text.strip())
cells = letters | st.integers(0, 99).map(str)
anything = st.text(st.sampled_from('ab ;|\t,"\n\r1äß'), max_size=8)
values = st.recursive(
    st.text("abcä ", min_size=1, max_size=5).filter(str.strip) | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("kxyz", min_size=1), inner),
    max_leaves=8,
)


def written(rows: list[list[str]], **dialect: str | int) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, **dialect).writerows(rows)  # type: ignore[arg-type]
    return stream.getvalue().encode()


def lines(data: bytes) -> list[str]:
    """Of the table's rows, without the header that was made for a table without one."""
    (block,) = read_csv(data).blocks
    assert block.kind == "table"
    return [line for line in block.text.split("\n") if not line.startswith("column 1 |")]


def folded(rows: list[list[str]]) -> list[str]:
    return [" | ".join(" ".join(cell.split()) for cell in row) for row in rows]


@given(st.integers(2, 5), st.sampled_from(",;\t|"), st.data())
def test_cells_come_back(width: int, delimiter: str, data: st.DataObject) -> None:
    row = st.lists(cells, min_size=width, max_size=width)
    rows = data.draw(st.lists(row, min_size=2, max_size=6))
    assert lines(written(rows, delimiter=delimiter)) == folded(rows)


@given(st.integers(2, 4), st.sampled_from(",;\t|"), st.data())
def test_quoted_cells_may_hold_anything(width: int, delimiter: str, data: st.DataObject) -> None:
    row = st.lists(anything, min_size=width, max_size=width)
    rows = data.draw(st.lists(row.filter(lambda r: any(c.strip() for c in r)), min_size=2))
    encoded = written(rows, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    fits = sniff(encoded.decode(), is_named=True)
    assume(fits is not None and (fits.delimiter, fits.width) == (delimiter, width))
    assert lines(encoded) == folded(rows)


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("a,b\n1,2\n", "a | b\n1 | 2"),
        ("\ufeffa;b\r\n1,5;2,5\r\n", "a | b\n1,5 | 2,5"),
        ("1,5;2,5\n3,5;4,5\n", "column 1 | column 2\n1,5 | 2,5\n3,5 | 4,5"),
        ("a\tb, c and d\n1\tx, y\n", "a | b, c and d\n1 | x, y"),
        ("sep=;\na;b\n1;2\n", "a | b\n1 | 2"),
        ('a,b\n"one\ntwo","say ""hi"""\n', 'a | b\none two | say "hi"'),
        ('a\tb\n1\t6" pipe\n2\t"x\n', 'a | b\n1 | 6" pipe\n2 | "x'),
        ("a,b\n,\n\n1,2\n", "a | b\n1 | 2"),
        ("a,b\r1,2\r", "a | b\n1 | 2"),
        ("country,2019,2020\nSE,1,2\n", "country | 2019 | 2020\nSE | 1 | 2"),
        ("Ann,3\nBo,4\n", "column 1 | column 2\nAnn | 3\nBo | 4"),
        ("a,b\n1,2,3\n", "a | b\n1 | 2 | 3"),
        ("one\ntwo\n", "one\ntwo"),
    ],
)
def test_by_hand(text: str, table: str) -> None:
    (block,) = read_csv(text.encode()).blocks
    assert (block.kind, block.text) == ("table", table)


def test_lines_above_the_table_are_paragraphs() -> None:
    found = read_csv(b"Report of May\n\nid;name;fare\n1;Ann;3\n2;Bo;4\n")
    assert [(b.kind, b.text) for b in found.blocks] == [
        ("paragraph", "Report of May"),
        ("table", "id | name | fare\n1 | Ann | 3\n2 | Bo | 4"),
    ]


def test_a_quote_that_never_closes_costs_no_row() -> None:
    rows = "".join(f"{n},x{n}\n" for n in range(3000))
    (block,) = read_csv(f'a,b\n{rows}"open,1\n{rows}'.encode()).blocks
    assert block.text.count("\n") == 6001
    assert block.text.endswith("2999 | x2999")


def test_rows_with_prose_are_records() -> None:
    prose = "word " * 50
    found = read_csv(f'id,text,note\n1,"{prose}",\n2,"{prose}\n\nend",x\n'.encode())
    assert [b.kind for b in found.blocks] == ["paragraph", "paragraph"]
    assert found.blocks[0].text == f"id: 1\ntext: {prose.strip()}"
    assert found.blocks[1].text.startswith("id: 2\ntext: word")
    assert found.blocks[1].text.endswith("end\nnote: x")


def test_one_long_cell_in_many_rows_leaves_a_table() -> None:
    rows = [["id", "text"], *([str(n), "short"] for n in range(20)), ["21", "word " * 50]]
    assert [b.kind for b in table_blocks(rows)] == ["table"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (["id", "name"], True),
        (["", "name", "age"], True),
        (["", "", "age"], False),
        (["country", "2019", "2020"], True),
        (["2019", "2020"], False),
        (["Ann", "3"], False),
        (["id", "id"], False),
        (["day", "2020-01-01"], False),
        (["fare", "$3.50"], False),
    ],
)
def test_header(row: list[str], expected: bool) -> None:
    assert has_header([row, ["x"] * len(row)]) == expected


COUNTS = ["Month", "cars", "people", "cars", "people"]


@pytest.mark.parametrize(
    ("first", "second", "third", "expected"),
    [
        (["", "North", "", "South", ""], COUNTS, ["May", "1", "2", "3", "4"], True),
        (["", "2023", "", "2024", ""], COUNTS, ["May", "1", "2", "3", "4"], True),
        (["", "2023", "2023", "2024", "2024"], COUNTS, ["May", "1", "2", "3", "4"], True),
        (["Month", "North", "", "South"], ["", *COUNTS[1:]], ["May", "1", "2", "3", "4"], True),
        (["2023", "2024"], COUNTS, ["May", "1", "2", "3", "4"], True),  # cells over several columns
        (["A", "Q1", "", "Q2", "", "All"], ["", "x", "y", "x", "y"], ["b", *"12345"], True),
        (["", "v", "v"], ["", "mean", "std"], ["a", "1", "2"], True),
        (["", "North", "", "South", ""], COUNTS, ["May", "few", "few", "3", "many"], False),
        (["", "cars", "people"], ["May", "none", "none"], ["June", "3", "4"], False),  # a corner
        (["pier", "fare"], ["North", "free"], ["South", "3"], False),
        (["Name", "length", "mass"], ["", "m", "kg"], ["a", "1", "2"], False),  # nothing is shared
        (["pier", "fare", "fare"], ["North", "3", "4"], ["South", "5", "6"], False),
        (["Feature", "Free", "Pro", ""], ["Search", *["yes"] * 3], ["Mail", *["no"] * 3], False),
        (["North", "3"], COUNTS, ["May", "1", "2", "3", "4"], False),
    ],
)  # fmt: skip
def test_groups_of_columns(
    first: list[str], second: list[str], third: list[str], expected: bool
) -> None:
    assert names_groups(first, second, third) == expected
    (block,) = table_blocks([first, second, third])
    is_named = has_header([first]) or expected
    assert block.text.count("\n") == (2 if is_named else 3)  # else "column 1 | column 2"


def test_long_tables_do_not_hang() -> None:  # what is quadratic would take hours
    rows = "".join(f"{i},name {i},Oslo\n" for i in range(40_000))
    (block,) = read_csv(("id,name,city\n" + rows).encode()).blocks
    assert block.text.count("\n") == 40_000


@settings(max_examples=50)
@given(st.dictionaries(st.text("abc", min_size=1), values, min_size=1), st.integers(0, 2))
def test_values_survive(record: dict[str, object], shape: int) -> None:
    whole: object = [record, {"list": [record]}, record][shape]
    texts = [block.text for block in read_json(json.dumps(whole).encode()).blocks]
    found = "\n".join(texts)
    for leaf in leaves(record):
        assert leaf in found
    assert (
        read_jsonl(json.dumps(record).encode()).blocks
        == read_json(json.dumps([record]).encode()).blocks
    )


def leaves(value: object) -> list[str]:
    if isinstance(value, dict):
        return [leaf for member in value.values() for leaf in leaves(member)]
    if isinstance(value, list):
        return [leaf for member in value for leaf in leaves(member)]
    return [str(value).lower() if isinstance(value, bool) else str(value).strip()]


@pytest.mark.parametrize(
    ("source", "blocks"),
    [
        ('{"a": 1.10, "b": {"c": [1, 2], "d": null}}', [("paragraph", "a: 1.10\nb.c: 1, 2")]),
        ('[{"a": 1}, {"a": true}]', [("paragraph", "a: 1"), ("paragraph", "a: true")]),
        ('["x", "y", ""]', [("paragraph", "x, y")]),
        (
            '{"name": "L", "stops": [{"at": "A"}, {"at": "B"}]}',
            [("paragraph", "name: L"), ("heading", "stops"),
             ("paragraph", "at: A"), ("paragraph", "at: B")],
        ),
        (
            '[{"by": [{"n": "Ann", "y": 1}, {"n": "Bo"}]}]',
            [("paragraph", "by.n: Ann\nby.y: 1\nby.n: Bo")],
        ),
        ("{}", [("paragraph", "")]),
    ],
)  # fmt: skip
def test_json_by_hand(source: str, blocks: list[tuple[str, str]]) -> None:
    assert [(b.kind, b.text) for b in read_json(source.encode()).blocks] == blocks


def test_a_line_that_is_no_json_is_kept_as_it_stands() -> None:
    found = read_jsonl(b'{"a": "x"}\r\n\n[1, 2]\n{"a": "cut o')
    assert [b.text for b in found.blocks] == ["a: x", "1, 2", '{"a": "cut o']


@pytest.mark.parametrize("source", [b"{", b"[" * 100_000, b"nonsense"])
def test_what_is_no_json(source: bytes) -> None:
    with pytest.raises(RejectedError) as caught:
        read_json(source)
    assert caught.value.reason == "corrupt"
