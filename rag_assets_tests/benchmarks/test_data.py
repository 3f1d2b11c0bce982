import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag_assets_tests.benchmarks.data import json_lines, members
from rag_assets_tests.benchmarks.findings import BenchmarkError


def test_files_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        folder = tarfile.TarInfo("x")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in (("x/a", b"one"), ("b", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert list(members(path)) == [("x/a", b"one"), ("b", b"")]


def test_lines_may_hold_line_separators(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.write('{"text": "a\u2028b"}\n{"text": "c"}\n')
    assert [row["text"] for row in json_lines(path)] == ["a\u2028b", "c"]


@pytest.mark.parametrize("read", [members, json_lines])
def test_missing_data_is_a_sentence(
    tmp_path: Path, read: Callable[[Path], Iterator[object]]
) -> None:
    with pytest.raises(BenchmarkError, match="RAG_EVAL_DATA"):
        list(read(tmp_path / "none"))
