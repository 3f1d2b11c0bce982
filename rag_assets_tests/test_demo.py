"""The demonstration on the whole sample corpus, with the session's engines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rag_assets_tests.conftest import Engines

SAMPLE = Path(__file__).parent.parent / "data"


@pytest.mark.engines
def test_demo_answers_a_lookup_and_a_synthesis_and_abstains(
    engines: Engines, tmp_path: Path
) -> None:
    declared = yaml.safe_load((SAMPLE / "sources.yaml").read_text())
    for source in declared["sources"]:
        source["where"] = str(SAMPLE / source["where"])
        source["golden"] = str(SAMPLE / source["golden"])
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
    for said in ("model: slm", "model: llm", "do not answer", "rag up", "is new and is live"):
        assert said in done.stdout
    assert "stopping engines" not in done.stdout  # they were there before, so they stay
