import io
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.signatures import bands, shingles, sketch
from rag_assets_tests.benchmarks import books
from rag_assets_tests.benchmarks.books import measure
from rag_assets_tests.benchmarks.findings import BenchmarkError


def chapter(book: str, n: int) -> str:
    return " ".join(f"{book}{n}word{i}" for i in range(600))


def read(data: bytes, name: str) -> SimpleNamespace:
    """Instead of the readers: the text is the bytes."""
    if not data:
        raise RejectedError("no text", "nothing")
    text = data.decode()
    hashes = shingles(text)
    return SimpleNamespace(text=text, flags=[], bands=bands(hashes), sketch=sketch(hashes))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(books, "read_document", read)
    for book in ("one", "two"):
        folder = tmp_path / books.DATA_SET / book
        folder.mkdir(parents=True)
        chapters = [chapter(book, n) for n in range(4)]
        pages = {f"{n}.html": said for n, said in enumerate(chapters)}
        pages |= {
            "search.html": "",
            "all.html": f"{' '.join(chapters)}\nPage 1 of 1",
            "style.css": "x",
        }
        with tarfile.open(folder / f"{book}-html.tar.xz", "w:xz") as archive:
            for name, said in pages.items():
                member = tarfile.TarInfo(name)
                member.size = len(said)
                archive.addfile(member, io.BytesIO(said.encode()))
        (folder / f"{book}.pdf").write_text(" ".join(chapters))
        (folder / "copyright.txt").write_text("free")
    return tmp_path


def test_pages_are_found_in_their_own_book(data: Path) -> None:
    said: list[str] = []
    part = measure(data, said.append)
    pages, summary = part.tables
    assert len(said) == 2 * 7
    assert [row[-1] for row in pages.rows] == [*["contained"] * 4, "collapsed"] * 2
    assert summary.rows[0] == ["one", "5", "5", "5", "1", "30", "0"]
    assert [goal.reached for goal in part.goals] == [True, True]


def test_what_is_not_in_the_book_is_not_recognised(data: Path) -> None:
    (data / books.DATA_SET / "two" / "two.pdf").write_text(chapter("another", 1))
    part = measure(data, lambda _line: None)
    assert [row[-1] for row in part.tables[0].rows][5:] == ["no relation"] * 5


def test_books_that_were_not_read_miss_the_goal(data: Path) -> None:
    for book in ("one", "two"):
        (data / books.DATA_SET / book / f"{book}.pdf").write_text(chapter(f"not{book}", 1))
    assert [goal.reached for goal in measure(data, lambda _line: None).goals] == [False, True]


def test_missing_books_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="html-pdf-pairs"):
        measure(tmp_path, print)
