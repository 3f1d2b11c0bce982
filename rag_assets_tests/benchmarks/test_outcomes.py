import io
import tarfile
from pathlib import Path

import pytest

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.worker import ParsingWorker
from rag_assets_tests.benchmarks import outcomes
from rag_assets_tests.benchmarks.findings import BenchmarkError
from rag_assets_tests.documents import pdfs


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "pdf-varied").mkdir()
    (tmp_path / "pdf-varied" / "good.pdf").write_bytes(pdfs.write([[("p", pdfs.BODY)]]))
    (tmp_path / "pdf-varied" / "bad.pdf").write_bytes(b"%PDF-1.4 and no more")
    for name in ("fuzz-html", "encodings"):
        (tmp_path / name).mkdir()
        with tarfile.open(tmp_path / name / "files.tar.xz", "w:xz") as archive:
            for file, content in (("x/a.html", b"<p>The ferry sails daily.</p>"), ("x/b", b"")):
                member = tarfile.TarInfo(file)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return tmp_path


def test_every_file_is_counted_with_its_reason(data: Path) -> None:
    part = outcomes.measure(data, lambda _: None)
    counts = {row[0]: row[1:4] for row in part.tables[0].rows}
    assert counts == {name: ("2", "1", "1") for name in outcomes.SETS}
    assert {row[2] for row in part.tables[1].rows} == {"corrupt", "empty"}
    assert all(goal.reached for goal in part.goals)


def test_a_crash_is_a_missed_goal(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(self: ParsingWorker, *_given: object) -> None:
        raise RejectedError("crash", "signal SIGSEGV")

    monkeypatch.setattr(ParsingWorker, "read", crash)
    goal = outcomes.measure(data, lambda _: None).goals[0]
    assert not goal.reached
    assert "pdf-varied/good.pdf: crash" in goal.measured


def test_a_set_without_files_is_missing(data: Path) -> None:
    for path in (data / "pdf-varied").glob("*.pdf"):
        path.unlink()
    with pytest.raises(BenchmarkError, match="RAG_EVAL_DATA"):
        outcomes.measure(data, lambda _: None)


def test_memory_is_the_workers() -> None:
    with ParsingWorker() as worker:
        found = outcomes.read(worker, "a.txt", b"some text in it")
    assert 2**24 < found.peak_bytes < 2**32
    assert found.media_type == "text/plain"
