"""The public names, and what it takes to import them."""

import subprocess
import sys
from importlib.resources import files

import pytest

import rag_assets

NAMES = {
    "STAGES", "Answer", "Answerer", "Block", "ChatModel", "Completion", "Document", "Embedder",
    "Extracted", "Filters", "FoundFile", "Listing", "Pipeline", "RagError", "Reader", "Refreshed",
    "RejectedError", "Source", "SourceKind", "Stage", "build_defs", "changed", "read_document",
}  # fmt: skip


def test_the_public_names_are_these_and_documented() -> None:
    assert set(rag_assets.__all__) == NAMES == set(rag_assets._PLACES)
    assert sorted(rag_assets.__all__) == dir(rag_assets)
    for name in NAMES:
        found = getattr(rag_assets, name)
        assert name == "STAGES" or found.__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'Pipelines'"):
        _ = rag_assets.Pipelines
    assert files("rag_assets").joinpath("py.typed").is_file()


def test_importing_the_package_brings_nothing() -> None:
    """Its time is that of the modules that it brings."""
    code = """
import sys
before = set(sys.modules)
import rag_assets
print(*sorted({name for name in set(sys.modules) - before}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    brought = set(done.stdout.split())
    heavy = {"torch", "dagster", "lancedb", "numpy", "pyarrow", "pydantic", "httpx", "yaml"}
    assert {name.partition(".")[0] for name in brought}.isdisjoint(heavy)
    ours = {name for name in brought if name.startswith("rag_assets")}
    assert ours == {"rag_assets", "rag_assets.quick_imports"}
