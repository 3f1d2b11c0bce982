"""The plan of the house, held by machine: who may import whom, and who may import Dagster."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rag_assets"
# From the ground up; a room may use what stands before it. A room's own modules may use its
# sub-rooms or be used by them, as they stand in the list.
ROOMS = [
    "errors", "yaml_files", "files", "process_identity", "watching", "settings", "quick_imports",
    "progress", "markup", "plugins", "telemetry",
    "lake", "access",
    "models", "models.weights", "models.engines", "models.clients", "sources", "documents.readers",
    "documents", "duplicates", "sections", "chunks", "embeddings", "enrichments", "index",
    "contracts", "pipeline", "retrieval", "questions", "answers", "evaluations", "serving",
    "batches", "installation", "orchestration", "definitions", "cli", "__main__",
]  # fmt: skip
STRANGERS = [  # pairs that do not know each other, though the list would allow it
    ("lake", "models"),
    ("evaluations", "serving"),
]
STAGE_ROOMS = [
    "sources", "documents", "duplicates", "sections", "chunks", "embeddings", "enrichments",
]  # fmt: skip
UPSTREAM = {  # whose `stage` a stage's room may import
    "documents": {"sources"},
    "duplicates": {"documents"},
    "sections": {"documents"},
    "chunks": {"sections"},
    "embeddings": {"chunks"},
    "enrichments": {"documents"},
}
DAGSTER = ("orchestration", "definitions")
PRIVATE = "rag_assets.orchestration.dagster_private"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


def room_of(module: str) -> str:
    """The room of a module of the package; "" of the package itself."""
    parts = module.split(".")[1:]
    for n in (2, 1):
        if ".".join(parts[:n]) in ROOMS:
            return ".".join(parts[:n])
    return ".".join(parts)


def of_package(source: str) -> list[str]:
    return [name for name in imported(ast.parse(source)) if name.split(".")[0] == "rag_assets"]


def wrong_arrows(module: str, source: str) -> list[str]:
    """Imports that point up the list, between strangers, or to another stage's thinking."""
    room, wrong = room_of(module), []
    if not room:  # the public face, which loads on demand
        return []
    for name in of_package(source):
        other = room_of(name)
        if not other or other == room:
            continue
        pair = tuple(sorted((room.partition(".")[0], other.partition(".")[0])))
        if (
            ROOMS.index(other) > ROOMS.index(room)
            or pair in STRANGERS
            or (
                room in STAGE_ROOMS
                and name == f"rag_assets.{other}.stage"
                and other not in UPSTREAM.get(room, set())
            )
        ):
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_down(module: str) -> None:
    assert wrong_arrows(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("rag_assets.chunks.chunking", "from rag_assets.answers.answerer import Answerer"),
        ("rag_assets.lake.store", "import rag_assets.sources.folder"),
        ("rag_assets.lake.store", "from rag_assets.models.clients import tokens"),
        ("rag_assets.evaluations.lab", "from rag_assets.serving import client"),
        ("rag_assets.models.profiles", "from rag_assets.models.engines import state"),
        ("rag_assets.documents.readers.html.page", "from rag_assets.documents import cleaning"),
        ("rag_assets.embeddings.stage", "from rag_assets.sections import stage"),
        ("rag_assets.chunks.stage", "from rag_assets.pipeline.stages import STAGES"),
        ("rag_assets.retrieval.searching", "from rag_assets.answers import policy"),
        ("rag_assets.orchestration.jobs", "from rag_assets.definitions import defs"),
    ],
)
def test_an_arrow_turned_round_is_seen(module: str, line: str) -> None:
    assert wrong_arrows(module, line)


def test_no_circle() -> None:
    graph = {
        module: {name for name in of_package(path.read_text()) if name in MODULES} - {module}
        for module, path in MODULES.items()
        if module != "rag_assets"
    }
    TopologicalSorter(graph).prepare()  # raises where there is one


def uses(module: str, source: str, package: str) -> bool:
    return any(name.split(".")[0] == package for name in imported(ast.parse(source)))


@pytest.mark.parametrize("module", MODULES)
def test_dagster_stays_in_its_rooms(module: str) -> None:
    source = MODULES[module].read_text()
    if uses(module, source, "dagster") or uses(module, source, "dagster_shared"):
        assert room_of(module) in DAGSTER
        # Postponed annotations break the resolution of Config and resource parameters.
        assert "from __future__ import annotations" not in source
    if uses(module, source, "ray"):
        assert module == "rag_assets.orchestration.on_ray"


def private_names(source: str) -> set[str]:
    """What is imported of Dagster that is no public API."""
    return {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
        and node.module
        and (node.module.startswith("dagster._") or node.module.startswith("dagster_shared"))
        for alias in node.names
    }


@pytest.mark.parametrize("module", MODULES)
def test_private_api_of_dagster_is_in_one_module(module: str) -> None:
    source = MODULES[module].read_text()
    if module != PRIVATE:
        assert not private_names(source)
        assert "._metadata_accumulator" not in source


def test_each_private_name_has_its_reason() -> None:
    why = {
        "ASSET_PARTITION_RANGE_START_TAG": "a run over a range is asked for by these tags alone",
        "ASSET_PARTITION_RANGE_END_TAG": "likewise",
        "PARTITION_NAME_TAG": "a run that is created, not executed, takes its partition so",
        "CheckRunHealthResult": "what a launcher says of a run's worker",
        "ConfigurableClass": "a class that dagster.yaml names must be one",
        "ConfigurableClassData": "what such a class is made with",
        "DagsterStorage": "base of the storage that is chosen by environment",
        "DagsterSqliteStorage": "the choice without a server",
        "ExecuteRunArgs": "the command that executes one run",
        "IStepContext": "annotation of a step executor's hook",
        "InProcessExecutor": "for jobs that stay beside the answerer when steps go to Ray",
        "KnownExecutionState": "how often a step was tried",
        "LaunchRunContext": "what a launcher is given",
        "ReconstructableRepository": "a job by module and name, for a node of a cluster",
        "RetryMode": "lets a step whose node died begin again",
        "RunLauncher": "base of the launcher that is chosen by environment",
        "SerializableErrorInfo": "annotation of a step executor's hook",
        "StepDelegatingExecutor": "each step as a job of its own",
        "StepRetryData": "the event that starts a step again",
        "WorkspaceFileTarget": "the workspace that the UI shows",
        "WorkspaceProcessContext": "what Dagster's web application is made with",
        "WorkerStatus": "how a launcher says that a worker lives",
        "get_python_environment_entry_point": "starts a run by this environment's interpreter",
    }
    found = private_names(MODULES[PRIVATE].read_text())
    assert found == set(why)


def test_rooms_are_all_on_the_list() -> None:
    rooms = {room_of(module) for module in MODULES} - {""}
    assert rooms <= set(ROOMS)


def _modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "banned"),
    [
        ("import rag_assets.cli.main", {"dagster", "torch", "vllm", "lancedb", "pdfplumber"}),
        ("import rag_assets.definitions", {"torch", "vllm", "transformers", "pdfplumber"}),
        (
            "import rag_assets.serving.process",
            {"dagster", "torch", "vllm", "transformers", "opentelemetry.sdk"},
        ),
        ("import rag_assets.answers.answerer", {"dagster", "torch", "vllm", "transformers"}),
        ("import rag_assets.pipeline.stages", {"dagster", "torch", "vllm", "transformers"}),
    ],
)
def test_imports_stay_light(statement: str, banned: set[str]) -> None:
    assert _modules_after(statement) & banned == set()
