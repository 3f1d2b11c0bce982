"""The sample corpus is what its README says, and its golden questions can be answered from it."""

import html
import importlib.util
import json
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pypdfium2
import pytest

from rag_assets.evaluations.facts import holds

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
CORPUS = SAMPLE / "corpus"
GOLDEN: list[dict[str, Any]] = [
    json.loads(line) for line in (SAMPLE / "golden.jsonl").read_text("utf-8").splitlines()
]
QUOTED = [  # the others are unanswerable, or computed from what the documents say
    row for row in GOLDEN if row["kind"] != "unanswerable" and not row.get("derived")
]
EMPTY = "notices/2024-12-draft.txt"
CORRUPT = "archive/timetable-1998-scan.pdf"
WINDOWS_1252 = "archive/fares-2003.txt"
IDENTICAL = ("notices/2024-02-lissmar-linkspan.txt", "archive/copy-of-lissmar-linkspan-notice.txt")
SAME_TEXT = ("safety/incident-tern-2022-08.txt", "archive/copies/tern-net-report-dos.txt")
NEAR = [
    (
        "handbook/weather-and-tide-procedures.md",
        "archive/weather-and-tide-procedures-rev3.md",
    ),
    ("passengers/passenger-charter.md", "archive/passenger-charter-2023.md"),
]


def text_of(relative: str) -> str:
    """The text of a document, read as simply as possible and without the project's readers."""
    path = CORPUS / relative
    if path.suffix == ".pdf":
        with pypdfium2.PdfDocument(path) as pdf:
            return "\n".join(page.get_textpage().get_text_bounded() for page in pdf)
    data = path.read_bytes()
    text = data.decode("cp1252" if relative == WINDOWS_1252 else "utf-8")
    if path.suffix == ".html":
        text = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", text)
        text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    return text


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


@pytest.fixture(scope="module")
def make_pdfs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample_make_pdfs", SAMPLE / "make_pdfs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def files() -> list[Path]:
    return sorted(path for path in CORPUS.rglob("*") if path.is_file())


def test_formats_are_counted_as_in_the_readme() -> None:
    counts = Counter(path.suffix for path in files())
    assert counts == {".html": 14, ".pdf": 8, ".md": 14, ".txt": 16}
    readme = (SAMPLE / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"\| (HTML|PDF|Markdown|Plain text) \| (\d+) \|", readme))
    assert rows == {"HTML": "14", "PDF": "8", "Markdown": "14", "Plain text": "16"}


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in files()) < 1_500_000


def test_some_documents_are_long() -> None:
    words = {
        path.relative_to(CORPUS).as_posix(): len(
            text_of(path.relative_to(CORPUS).as_posix()).split()
        )
        for path in files()
        if path.relative_to(CORPUS).as_posix() != CORRUPT
    }
    assert sum(count >= 1500 for count in words.values()) >= 3
    assert all(count >= 150 for name, count in words.items() if name != EMPTY)


def test_the_broken_files_are_broken() -> None:
    assert (CORPUS / EMPTY).read_bytes() == b""
    assert (CORPUS / CORRUPT).read_bytes().startswith(b"%PDF")
    with pytest.raises(pypdfium2.PdfiumError):
        pypdfium2.PdfDocument(CORPUS / CORRUPT)
    data = (CORPUS / WINDOWS_1252).read_bytes()
    with pytest.raises(UnicodeDecodeError):
        data.decode("utf-8")
    assert {"ö", "€", "£"} <= set(data.decode("cp1252"))


def test_exact_duplicates() -> None:
    first, second = ((CORPUS / name).read_bytes() for name in IDENTICAL)
    assert first == second
    first, second = ((CORPUS / name).read_bytes() for name in SAME_TEXT)
    assert first != second
    assert b"\r\n" in second
    assert [line.rstrip() for line in first.decode().splitlines()] == [
        line.rstrip() for line in second.decode().splitlines()
    ]


@pytest.mark.parametrize("pair", NEAR)
def test_near_duplicates(pair: tuple[str, str]) -> None:
    first, second = (text_of(name) for name in pair)
    assert first != second
    assert len(first.split()) >= 350
    left, right = shingles(first), shingles(second)
    assert len(left & right) / len(left | right) >= 0.8


def test_nothing_else_is_a_near_duplicate() -> None:
    twins = {frozenset(pair) for pair in [IDENTICAL, SAME_TEXT, *NEAR]}
    names = [path.relative_to(CORPUS).as_posix() for path in files()]
    sets = {name: shingles(text_of(name)) for name in names if name not in (EMPTY, CORRUPT)}
    for i, name in enumerate(sets):
        for other in list(sets)[i + 1 :]:
            if frozenset((name, other)) not in twins:
                both, any_ = sets[name] & sets[other], sets[name] | sets[other]
                assert len(both) / len(any_) < 0.5, (name, other)


def test_golden_kinds_and_ids() -> None:
    counts = Counter(row["kind"] for row in GOLDEN)
    assert counts == {"lookup": 28, "multi": 16, "unanswerable": 12}
    assert len({row["id"] for row in GOLDEN}) == len(GOLDEN)
    assert len({row["question"] for row in GOLDEN}) == len(GOLDEN)
    assert all(row["id"].startswith(row["kind"]) for row in GOLDEN)


def test_lookups_cover_every_format() -> None:
    lookups = [row for row in GOLDEN if row["kind"] == "lookup"]
    assert {Path(row["documents"][0]).suffix for row in lookups} == {".html", ".pdf", ".md", ".txt"}
    asked = {row["documents"][0] for row in lookups}
    assert {
        WINDOWS_1252,
        "notices/winterfahrplan-linie-3.html",
        "notices/trafikinfo-torsker-2024.txt",
    } <= asked


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["id"])
def test_golden_documents_exist(row: dict[str, Any]) -> None:
    for name in [*row["documents"], *row.get("also", [])]:
        assert (CORPUS / name).is_file(), name
    wanted = {"lookup": (1,), "multi": (2, 3), "unanswerable": (0,)}[row["kind"]]
    assert len(row["documents"]) in wanted
    assert bool(row["answers"]) == (row["kind"] != "unanswerable")


@pytest.mark.parametrize("row", QUOTED, ids=lambda row: row["id"])
def test_golden_answers_stand_in_their_documents(row: dict[str, Any]) -> None:
    text = "\n".join(text_of(name) for name in row["documents"])
    for forms in [row["answers"], *row.get("answers_all", [])]:
        assert any(holds(text, form) for form in forms), forms
    for name in row.get("also", []):
        if row["kind"] == "lookup":
            assert any(holds(text_of(name), form) for form in row["answers"]), name


def test_pdfs_are_remade_byte_for_byte(make_pdfs: ModuleType, tmp_path: Path) -> None:
    made = {path.relative_to(tmp_path).as_posix() for path in make_pdfs.build(tmp_path)}
    kept = {path.relative_to(CORPUS).as_posix() for path in CORPUS.rglob("*.pdf")}
    assert made == kept
    for name in made:
        assert (tmp_path / name).read_bytes() == (CORPUS / name).read_bytes(), name
