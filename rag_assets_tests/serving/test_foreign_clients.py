"""What LlamaIndex and LangChain make of our answers; see ``foreign_clients`` for how to run it."""

import json
import os
import subprocess

import pytest

from rag_assets.serving.service import Service
from rag_assets_tests.serving import foreign_clients
from rag_assets_tests.serving.listening import listening

PYTHON = os.environ.get("RAG_CLIENTS_PYTHON", "")
TOLD = "MV Tern was built in 2003 by Solvik Marine [1]."


@pytest.mark.skipif(not PYTHON, reason="RAG_CLIENTS_PYTHON names no environment with the clients")
def test_foreign_clients(kept_service: Service) -> None:
    with listening(kept_service) as url:
        done = subprocess.run(
            [PYTHON, foreign_clients.__file__, f"{url}/v1"],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    unknown = {"code": "model_not_found", "param": None, "status_code": 404}
    for client in ("llama_index", "langchain"):
        for way in ("whole", "streamed", "async"):
            assert told[client][way].startswith(TOLD), (client, way)
            assert "Sources:\n1. [MV Tern](http://" in told[client][way]
        assert told[client]["error"] == unknown
    assert told["llama_index"]["complete"].startswith(TOLD)
    assert told["llama_index"]["citations"] == 1
    assert told["langchain"]["usage"] == told["langchain"]["streamed_usage"] > 0
    assert told["langchain"]["tools"] == {
        "code": "unsupported_parameter", "param": "tools", "status_code": 400
    }  # fmt: skip
