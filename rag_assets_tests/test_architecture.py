"""The plan of the house, held by machine: who may import whom, and who may import Dagster."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rag_assets"
# In the order in which data flows; a room may use what stands before it. lake and models are
# ground: they know nobody, not even one another.
ROOMS = [
    "lake", "models", "sources", "documents", "duplicates", "sections", "chunks", "embeddings",
    "enrichments", "index", "plans", "answers", "evaluations", "serving", "benchmarks",
    "deploy",
]  # fmt: skip
DAGSTER_FILES = {
    "assets.py", "checks.py", "jobs.py", "sensors.py", "schedules.py", "resource.py",
    "definitions.py", "instance.py", "running.py", "execution.py", "on_ray.py", "distributing.py",
}  # fmt: skip
MODULES = sorted(PACKAGE.rglob("*.py"))
IN_ROOMS = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in ROOMS]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_arrows(room: str, source: str) -> list[str]:
    """Imports in a room's module that point up the list, or sideways on the ground."""
    wrong = []
    for name in imported(ast.parse(source)):
        parts = name.split(".")
        if parts[0] != "rag_assets" or len(parts) < 2 or parts[1] not in ROOMS:
            continue
        other = parts[1]
        sideways = {room, other} == {"lake", "models"}
        if ROOMS.index(other) > ROOMS.index(room) or (sideways and room != other):
            wrong.append(name)
    return wrong


# The table of contents and the command line are in no room: they may use all.
@pytest.mark.parametrize("path", IN_ROOMS, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_point_down(path: Path) -> None:
    assert wrong_arrows(path.relative_to(PACKAGE).parts[0], path.read_text()) == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("chunks", "from rag_assets.answers.answerer import Answerer"),
        ("lake", "import rag_assets.sources.folder"),
        ("lake", "from rag_assets.models import tokens"),
        ("evaluations", "from rag_assets import serving"),
    ],
)
def test_an_arrow_turned_round_is_seen(room: str, line: str) -> None:
    assert wrong_arrows(room, line)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_dagster_stays_in_its_files(path: Path) -> None:
    tree = ast.parse(path.read_text())
    uses = any(name.split(".")[0] == "dagster" for name in imported(tree))
    assert not uses or path.name in DAGSTER_FILES


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_postponed_annotations_beside_dagster(path: Path) -> None:
    # They break the resolution of Config and resource parameters.
    if path.name in DAGSTER_FILES:
        assert "from __future__ import annotations" not in path.read_text()


def test_rooms_are_all_on_the_list() -> None:
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert folders == set(ROOMS)


def _modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "banned"),
    [
        ("import rag_assets.cli.main", {"dagster", "torch", "vllm", "lancedb", "pdfplumber"}),
        ("import rag_assets.definitions", {"torch", "vllm", "transformers", "pdfplumber"}),
        ("import rag_assets.serving.process", {"dagster", "torch", "vllm", "transformers"}),
        ("import rag_assets.answers.answerer", {"dagster", "torch", "vllm", "transformers"}),
    ],
)
def test_imports_stay_light(statement: str, banned: set[str]) -> None:
    assert _modules_after(statement) & banned == set()
