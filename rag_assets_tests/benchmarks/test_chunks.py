import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rag_assets.chunks.stage import chunk_rows
from rag_assets.models.protocols import Counter
from rag_assets_tests.benchmarks import chunks
from rag_assets_tests.benchmarks.chunks import measure
from rag_assets_tests.benchmarks.findings import BenchmarkError
from rag_assets_tests.world import WordCounter

PAGE = "<html><title>Fares</title><body><h1>Fares</h1><p>{}</p></body></html>"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.md").write_text("# A\n\n" + "word " * 70 + "\n\n## B\n\nTwo.")
    monkeypatch.setattr(chunks, "SAMPLE", corpus)
    for name in (chunks.PAGES, chunks.ARTICLES, f"{chunks.PDFS}/files"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / chunks.PDFS / "files" / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    with tarfile.open(tmp_path / chunks.PAGES / "pages.tar.xz", "w:xz") as archive:
        page = PAGE.format("The ferry leaves at seven. " * 12).encode()
        member = tarfile.TarInfo("page.html")
        member.size = len(page)
        archive.addfile(member, io.BytesIO(page))
    with gzip.open(tmp_path / chunks.ARTICLES / "documents.jsonl.gz", "wt") as lines:
        lines.write(json.dumps({"text": "One article.\n\nOf two paragraphs."}) + "\n")
    return tmp_path


def test_sets_are_cut_and_counted(data: Path) -> None:
    said: list[str] = []
    part = measure(data, said.append, n_rounds=2, tokenizer=WordCounter(), window=40)
    speeds, shapes = part.tables
    assert [row[:2] for row in speeds.rows] == [
        ("sample corpus", "2"), (chunks.PAGES, "1"), (chunks.PDFS, "0"),
        (chunks.ARTICLES, "1"), ("all", "4"),
    ]  # fmt: skip
    of_sample, *_, of_all = shapes.rows
    assert [of_sample[1], *of_sample[3:]] == ["3", "1", "1", "0"]
    assert of_all[-1] == "0"
    assert part.goals[2].reached
    assert len(said) == 3


def test_a_wrong_size_is_seen(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_too_many(
        sections: Sequence[Mapping[str, Any]], counter: Counter, window: int
    ) -> list[dict[str, Any]]:
        rows = chunk_rows(sections, counter, window)
        return [{**row, "n_tokens": row["n_tokens"] + 1} for row in rows]

    monkeypatch.setattr(chunks, "chunk_rows", one_too_many)
    part = measure(data, lambda _: None, n_rounds=1, tokenizer=WordCounter(), window=40)
    assert not part.goals[2].reached


def test_missing_data_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="RAG_EVAL_DATA"):
        measure(tmp_path, lambda _: None, tokenizer=WordCounter(), window=40)
