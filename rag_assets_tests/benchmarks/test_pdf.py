from pathlib import Path

import pytest

from rag_assets_tests.benchmarks import pdf as benchmark
from rag_assets_tests.benchmarks.findings import BenchmarkError
from rag_assets_tests.documents import pdfs
from rag_assets_tests.documents.pdfs import BODY

PAGES = [[("h1", "Rules"), ("p", BODY)], [("p", BODY)], [("table", "Line|Fare\nNorth|40")]]


def given_data(root: Path) -> None:
    book = root / "html-pdf-pairs" / "rules"
    book.mkdir(parents=True)
    (book / "rules.pdf").write_bytes(pdfs.write(PAGES[:2]))
    varied = root / "pdf-varied" / "files"
    varied.mkdir(parents=True)
    (varied / "mixed.pdf").write_bytes(pdfs.write(PAGES))
    (varied / "broken.pdf").write_bytes(b"%PDF-1.7 no")
    (varied / "scan.pdf").write_bytes(pdfs.write_scan())


def test_part_names_speed_tables_words_and_fates(tmp_path: Path) -> None:
    given_data(tmp_path)
    said: list[str] = []
    part = benchmark.measure(tmp_path, said.append)
    speed, grids, words, fates = part.tables
    assert [row[0:2] for row in speed.rows] == [["text pages", "3"], ["pages with tables", "1"]]
    assert list(grids.rows) == [["mixed.pdf", "1", "1", "4", "1.0000", "1.0000"]]
    assert words.rows[0][2] == "1.0000"
    assert list(fates.rows) == [
        ["read", "1"],
        ["rejected: corrupt", "1"],
        ["rejected: no text", "1"],
    ]
    assert [goal.reached for goal in part.goals[1:]] == [True, True]
    assert said


def test_missing_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="pdf-varied"):
        benchmark.measure(tmp_path, print)


def test_frame_around_one_cell_is_no_table() -> None:
    assert benchmark._filled([["all in one", None], [None, None]]) == []
    assert benchmark._filled([["a", "b"], ["c", None]]) == ["a", "b", "c"]


def test_cell_is_found_exactly_in_one_cell_or_one_column_of_rows_that_follow() -> None:
    found = set(benchmark._signs_of_cells("Line | Fare\nNorth | 40\nSouth | 55"))
    assert benchmark._signs("North") in found
    assert benchmark._signs("South\nNorth") in found
    assert benchmark._signs("North 40") not in found
    assert benchmark._signs("Nor") not in found


def test_words_are_single_signs_in_scripts_without_spaces() -> None:
    assert benchmark._words("\u5b87\u5b99 a dust com\ufffe\r\npiled") == [
        "\u5b87", "\u5b99", "dust", "compiled",
    ]  # fmt: skip
