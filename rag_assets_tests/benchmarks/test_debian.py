from pathlib import Path

import pytest

from rag_assets_tests.benchmarks.debian import unpacked
from rag_assets_tests.benchmarks.findings import BenchmarkError


def test_a_package_that_is_there_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "some-doc").mkdir()
    assert unpacked("some-doc", tmp_path, print) == tmp_path / "some-doc"


@pytest.mark.parametrize("otherwise", ["", "or take another"])
def test_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, otherwise: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    end = f"put its files into {tmp_path / 'some-doc'}" + (f", {otherwise}" if otherwise else "")
    with pytest.raises(BenchmarkError, match=f"{end}$"):
        unpacked("some-doc", tmp_path, lambda line: None, otherwise=otherwise)
