"""File names, versions and days of documents."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from rag_assets.index.paths import file_name, path_words
from rag_assets.retrieval.marks import UNDATED, day_of, marks, version_key, version_mark
from rag_assets_tests.answers.world import FERRIES, chunks_of

CHUNK = chunks_of(FERRIES[0])[0]


@pytest.mark.parametrize(
    ("uri", "name", "words"),
    [
        ("docs:fares-2025.md", "fares-2025.md", "fares 2025"),
        ("docs:a b/My%20notes.final.docx", "My notes.final.docx", "a b My notes final"),
        ("web:https://x.org/wiki/Tern_Point/?q=1#top", "Tern_Point", "https x org wiki Tern Point"),
        ("zip:all.zip!in/rev_c.txt", "rev_c.txt", "all zip in rev c"),
        ("docs:v2.10", "v2.10", "v2 10"),
    ],
)
def test_names_of_files(uri: str, name: str, words: str) -> None:
    assert (file_name(uri), path_words(uri)) == (name, words)


@pytest.mark.parametrize(
    ("title", "uri", "mark"),
    [
        ("Release 2.10 of the ticket software", "docs:2-10.md", "Release 2.10"),
        ("Handbook", "docs:handbook/v2.1/index.md", "v2.1"),
        ("Plan, rev C", "docs:plan.pdf", "rev C"),
        ("Plan", "docs:plan_rev-c.pdf", "rev-c"),
        ("Review of vessels", "docs:revenue/version.md", ""),
    ],
)
def test_versions(title: str, uri: str, mark: str) -> None:
    assert version_mark(replace(CHUNK, title=title, uri=uri)) == mark


def test_versions_are_in_order() -> None:
    ordered = ["v1", "v2.1", "v2.2", "v2.10", "v3"]
    assert sorted(ordered, key=version_key) == ordered
    assert version_key("rev B") < version_key("rev C")


def test_the_day_is_the_documents_own_or_its_files() -> None:
    assert day_of(CHUNK) == date(2024, 5, 1)
    assert day_of(replace(CHUNK, stated="2023-01-31")) == date(2023, 1, 31)
    assert day_of(replace(CHUNK, modified_at=UNDATED)) is None


def test_marks_say_nothing_twice() -> None:
    modified = datetime(2025, 2, 1, tzinfo=UTC)
    old = replace(CHUNK, uri="docs:v2.1/fees.md", title="Fees", modified_at=modified)
    assert marks(old) == "fees.md, v2.1, 2025-02-01"
    assert marks(replace(old, title="Fees V2.1")) == "fees.md, 2025-02-01"
    assert marks(replace(old, modified_at=UNDATED, uri="docs:fees-v2.1.md")) == "fees-v2.1.md"
