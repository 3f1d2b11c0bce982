"""The demonstration on the whole sample corpus, with the session's engines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rag_assets_tests.conftest import Engines

SAMPLE = Path(__file__).parents[2] / "data"


@pytest.mark.engines
def test_demo_ingests_the_sample_answers_three_questions_and_cleans_up(
    engines: Engines, tmp_path: Path
) -> None:
    declared = yaml.safe_load((SAMPLE / "sources.yaml").read_text())
    for source in declared["sources"]:
        for place in ("where", "golden", "labels"):
            source[place] = str(SAMPLE / source[place])
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump(declared))
    env = {
        **os.environ,
        "RAG_HOME": str(tmp_path),
        "RAG_STATE": str(engines.state_dir),
        "RAG_ANSWERER_PORT": "18480",
    }
    env.pop("DAGSTER_HOME", None)
    done = subprocess.run(
        [sys.executable, "-m", "rag_assets", "demo"],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Which model answers, and whether it is right, is measured by `rag evaluate`, not asserted.
    assert done.stdout.count("answer id") == 3
    for said in ("finish reason", "tokens", "generation: g000001", "is new and is live", "rag up"):
        assert said in done.stdout
    assert "stopping engines" not in done.stdout  # they were there before, so they stay
