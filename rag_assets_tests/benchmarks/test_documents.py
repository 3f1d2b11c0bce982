import json
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag_assets_tests.benchmarks import documents, findings
from rag_assets_tests.benchmarks.__main__ import app
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Table

PART = Part(
    "pdf",
    "Pages",
    [Table("Speed", ("reader", "pages/s"), [("ours|fast", "10.0"), ("plain", "1.0")])],
    [Goal("at least 20 times", "10.0 times", False), Goal("all tables", "3 of 3", True)],
    ["Interleaved by file."],
)


def test_parts_exist_and_are_named_as_they_are_asked_for() -> None:
    for module, function in documents.PARTS.values():
        assert callable(getattr(import_module(module), function))


def test_a_missed_goal_is_shown_as_missed() -> None:
    text = findings.markdown(PART)
    assert "| ours\\|fast | 10.0 |" in text
    assert "| at least 20 times | 10.0 times | **no** |" in text
    assert "| all tables | 3 of 3 | yes |" in text
    assert json.loads(findings.as_json(PART))["goals"][0]["reached"] is False


def test_missing_data_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="RAG_EVAL_DATA"):
        documents.run(["outcomes"], tmp_path, lambda _: None, lambda _: None)


def test_unknown_part_is_refused() -> None:
    result = CliRunner().invoke(app, ["documents", "--part", "speed"])
    assert result.exit_code != 0
    assert "expected parts out of pdf" in str(result.exception)
