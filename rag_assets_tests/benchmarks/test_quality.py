import gzip
import io
import json
import random
import tarfile
from pathlib import Path

import pytest

from rag_assets_tests.benchmarks import quality
from rag_assets_tests.benchmarks.findings import BenchmarkError
from rag_assets_tests.suites.datasets import DATASETS


def lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def row(key: str, number: int, text: str) -> dict[str, object]:
    return {key: str(number), "title": "", "text": text, "lang": "en"}


def archive(path: Path, pages: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz") as out:
        for name, page in pages.items():
            member = tarfile.TarInfo(name)
            member.size = len(page.encode())
            out.addfile(member, io.BytesIO(page.encode()))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    drawn = random.Random(3)
    vocabulary = [
        "ferry",
        "island",
        "harbour",
        "storm",
        "captain",
        *(f"place{n}" for n in range(900)),
    ]
    for spec in DATASETS.values():
        texts = [" ".join(drawn.choices(vocabulary, k=60)) for _ in range(30)]
        home = tmp_path / spec.folder
        if spec.form == "qa":
            rows = [row("id", n, text) for n, text in enumerate(texts)]
            lines(home / "documents.jsonl.gz", rows)
            lines(home / "questions.jsonl.gz", [])
        else:
            rows = [row("_id", n, text) for n, text in enumerate(texts)]
            lines(home / "corpus.jsonl.gz", rows)
            lines(home / "queries.jsonl.gz", [])
            (home / "qrels").mkdir()
            (home / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n")
            lines(home / "claims.jsonl.gz", [])
    page = "<html><body><p>The ferry sails daily from the island to the harbour.</p></body></html>"
    for name in quality.WEB:
        archive(tmp_path / name / "pages.tar.xz", {"a.html": page})
    for name in quality.BOOKS:
        archive(tmp_path / "html-pdf-pairs" / name / f"{name}-html.tar.xz", {"a.html": page})
    return tmp_path


def test_goals_are_reached_on_plain_passages(data: Path) -> None:
    part = quality.measure(data, lambda _: None)
    assert [goal.reached for goal in part.goals] == [True] * 4
    good, junk, boilerplate, planted = part.tables
    assert len(good.rows) == len(DATASETS) + len(quality.WEB)
    assert [row[0] for row in junk.rows] == list(quality.JUNK)
    assert len(boilerplate.rows) == len(DATASETS) + len(quality.BOOKS)
    assert [row[1] for row in planted.rows] == ["yes", "yes", "yes", "no"]


def test_a_flagged_passage_misses_the_goal(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "quality_flags", lambda *_: ["gibberish"])
    part = quality.measure(data, lambda _: None)
    assert [goal.reached for goal in part.goals] == [False, True, True, True]


def test_a_rejected_page_misses_the_goal(data: Path) -> None:
    for name in quality.WEB:
        archive(data / name / "pages.tar.xz", {"a.html": ""})
    part = quality.measure(data, lambda _: None)
    assert [goal.reached for goal in part.goals] == [False, True, True, True]
    assert part.tables[0].rows[-1] == (quality.WEB[-1], "1", "1 (100.00%)", "rejected: empty")


def test_missing_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="RAG_EVAL_DATA"):
        quality.measure(tmp_path, lambda _: None)
