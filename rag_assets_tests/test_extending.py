"""The examples of docs/extending.md run as they stand there."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"
EXAMPLES = dict(
    re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.M)
)
MODULES = [name.removesuffix(".py") for name in EXAMPLES if name.startswith("our_")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, code in EXAMPLES.items():
        (tmp_path / name).write_text(code, "utf-8")
    for module in MODULES:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_every_example_names_its_file() -> None:
    assert len(EXAMPLES) == PAGE.read_text("utf-8").count("```python")


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.startswith("test_")])
def test_contracts_are_kept(folder: Path, name: str) -> None:
    runpy.run_path(str(folder / name))


def test_a_folder_is_refreshed_and_asked(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "refresh.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_definitions_hold_a_teams_own(folder: Path) -> None:
    defs = runpy.run_path(str(folder / "our_definitions.py"))["defs"]
    graph = defs.get_repository_def().asset_graph
    assert graph.get(dg.AssetKey("word_report")).parent_keys == {dg.AssetKey("word_counts")}
