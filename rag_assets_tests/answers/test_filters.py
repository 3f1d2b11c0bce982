"""Filters: what they leave, what they refuse, and that no value is read as SQL."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_assets.answers.answerer import NO_DOCUMENTS, Answerer
from rag_assets.answers.filters import MOST_VALUES, FilterError, Filters
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import INDEX
from rag_assets.lake.store import LakeStore
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.answers.world import Doc, build, rows_of

DOCS = [
    Doc(uri, f"Page {n}", (("Fares", f"A bicycle costs {n} euro."),))
    for n, uri in enumerate(["docs:a.md", "docs:b.md", "docs-old:c.md", "mail:d'oh.md", "mail:e"])
]
# type, topics, language, page, stated, modified
FACTS: list[tuple[str, list[str], str, int | None, str | None, datetime]] = [
    ("report", ["fares"], "en", 1, "2024-01-31", datetime(2020, 1, 1, tzinfo=UTC)),
    ("log", ["fares", "O'Hara"], "en", 7, "", datetime(2024, 3, 31, 23, tzinfo=UTC)),
    ("report", [], "de", None, "2023-12-31", datetime(2026, 1, 1, tzinfo=UTC)),
    ("", ["mail"], "en", None, None, datetime(2025, 6, 1, tzinfo=UTC)),
    ("log", [], "fr", 2, "", datetime.fromtimestamp(0, UTC)),  # of no known day
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> IndexReader:
    store, embedder = LakeStore(str(tmp_path_factory.mktemp("filters"))), WordEmbedder()
    made = build(store, DOCS, embedder)
    rows = rows_of(DOCS, embedder).to_pylist()
    for row, facts in zip(rows, FACTS, strict=True):
        names = ("document_type", "topics", "language", "page", "stated", "modified_at")
        row |= dict(zip(names, facts, strict=True))
    table = store.table(INDEX)
    assert table is not None
    table.delete("true")
    table.add(pa.Table.from_pylist(rows, schema=table.schema))
    return IndexReader(store, replace(made, index_version=table.version))


def left(reader: IndexReader, **given: Any) -> str:  # noqa: ANN401 - as JSON brings them
    """The numbers of the documents that the filters leave."""
    where = Filters.of(given).sql(reader)
    narrow = reader if where is None else reader.narrowed(where)
    return "".join(sorted(one.title[-1] for one in narrow.documents()))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "01234"),
        ({"source": "docs"}, "01"),
        ({"source": ["docs", "mail"]}, "0134"),
        ({"source": "doc"}, ""),
        ({"type": "report"}, "02"),
        ({"type": ["report", "log"]}, "0124"),
        ({"language": "en"}, "013"),
        ({"since": "2024"}, "013"),
        ({"since": "2024-02"}, "13"),
        ({"since": "2024-03-31"}, "13"),
        ({"since": "2024-04-01"}, "3"),
        ({"until": "2023"}, "2"),
        ({"until": "2024-01"}, "02"),
        ({"since": "2024-01", "until": "2024-03"}, "01"),
        ({"source": "docs", "type": "log"}, "1"),
        ({"where": "page >= 2"}, "14"),
        ({"where": ["page >= 2", "page < 7"]}, "4"),
        ({"where": "title='Page 3'"}, "3"),
        ({"where": "uri = mail:d'oh.md"}, "3"),
        ({"where": "uri != docs:a.md"}, "1234"),
        ({"where": "topics = fares"}, "01"),
        ({"where": "topics = O'Hara"}, "1"),
        ({"where": "topics != fares"}, "234"),
        ({"where": "stated < 2024"}, "2"),
        ({"where": "modified_at = 2024-03"}, "1"),
        ({"where": "modified_at != 2024"}, "023"),
        ({"where": "modified_at > 2024"}, "23"),
        ({"where": "modified_at <= 2024"}, "01"),
        ({"where": "document_type = "}, FilterError),
    ],
)
def test_what_filters_leave(reader: IndexReader, filters: dict[str, Any], expected: Any) -> None:  # noqa: ANN401
    if expected is FilterError:
        with pytest.raises(FilterError):
            left(reader, **filters)
    else:
        assert left(reader, **filters) == expected


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"where": "size > 3"}, "no column 'size'; there are uri, title, language, document_type"),
        ({"where": "aliases = hr:a.md"}, "no column 'aliases'"),
        ({"where": "superseded_by != x"}, "no column"),
        ({"where": "text = x"}, "no column"),
        ({"where": "page = 1 OR 1 = 1"}, "page to be compared with a number, got '1 OR 1 = 1'"),
        ({"where": "page >= \u0663"}, "page to be compared with a number"),
        ({"since": "\u0662\u0660\u0662\u0664"}, "a day such as"),
        ({"where": "1 = 1"}, "no column '1'"),
        ({"where": "page IS NULL"}, "expected a comparison such as"),
        ({"where": "lower(title) = x"}, "expected a comparison such as"),
        ({"where": "topics < a"}, "topics is a list"),
        ({"where": "modified_at > soon"}, "a day such as 2024, 2024-03"),
        ({"since": "2024-13"}, "a day such as .* got '2024-13'"),
        ({"since": "0000"}, "a day such as"),
        ({"until": "2024' OR true"}, "a day such as"),
        ({"source": "docs' OR true --"}, "the name of a source"),
        ({"source": ["a"] * (MOST_VALUES + 1)}, "101 values, at most 100"),
        ({"source": 5}, "source to be text or a list of texts, got 5"),
        ({"since": ["2024"]}, "since to be text, got"),
        ({"sources": "docs"}, "no filter 'sources'; known: source, type"),
    ],
)
def test_what_means_nothing_is_refused(
    reader: IndexReader, filters: dict[str, Any], said: str
) -> None:
    with pytest.raises(FilterError, match=said):
        left(reader, **filters)


def test_a_list_is_no_filter() -> None:
    with pytest.raises(FilterError, match="filters as an object, got list"):
        Filters.of(["source"])  # type: ignore[arg-type]


def test_no_value_is_read_as_sql(reader: IndexReader) -> None:
    @settings(max_examples=25)
    @given(st.text(max_size=30) | st.sampled_from(["' OR ''='", "\\' OR 1=1 --", "x') OR (true"]))
    def hostile(value: str) -> None:
        assert left(reader, type=value, source="docs") in ("", "0", "1")
        assert left(reader, language=value, where="uri = docs:a.md") in ("", "0")
        if value.strip():
            assert left(reader, where=[f"title = {value}", f"topics = {value}"]) == ""

    hostile()


def test_only_what_they_leave_is_read(reader: IndexReader, embedder: WordEmbedder) -> None:
    chat = ScriptedChat("llm", copies)
    answerer = Answerer(reader, chat, chat, embedder)
    asked = "What does a bicycle cost?"
    only = Filters(source=["docs"], type=["log"])
    answer = answerer.answer(asked, filters=only)
    assert {one.uri for one in answer.citations} == {"docs:b.md"}
    both = answerer.answer(asked, filters=only, where="uri = 'docs:a.md'")
    assert both.abstained
    none = answerer.answer(asked, filters=Filters(source=["nowhere"]))
    assert NO_DOCUMENTS in none.answer
    assert none.repairs == (NO_DOCUMENTS,)
    found = answerer.find(asked, filters=only)
    assert ([hit.citation.uri for hit in found.hits], found.n_chunks) == (["docs:b.md"], 1)
