"""Where vLLM and torch are not installed, all but starting engines works."""

import os
import subprocess
import sys
from pathlib import Path

from rag_assets.models.engines.state import read_states
from rag_assets.settings import CHECKOUT
from rag_assets_tests.embedding_server import embedding_server

BEGIN = "import sys; from pathlib import Path\n"
FORBID = """
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "vllm", "transformers", "compressed_tensors"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
DEFINITIONS = """
from rag_assets.definitions import defs
from dagster import Definitions
Definitions.validate_loadable(defs())
"""
READERS = """
from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.reading import read_document
read = 0
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        try:
            read += bool(read_document(path.read_bytes(), path.name).text)
        except RejectedError:
            pass
print(read)
"""
ENGINE_ELSEWHERE = """
from tokenizers import Tokenizer as Rust, models, pre_tokenizers
from rag_assets.models.clients.openai_http import HttpEmbedder
from rag_assets.models.profile_files import load_profile
from rag_assets.models.clients.tokens import Tokenizer
rust = Rust(models.WordLevel({"[UNK]": 0, "bread": 1}, unk_token="[UNK]"))
rust.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
spec = load_profile("cpu").spec("embedder")
print(HttpEmbedder(spec, Tokenizer(rust, {}), sys.argv[1]).embed(["bread"]).shape)
"""


def without_engines(home: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEGIN + FORBID + code, *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "RAG_HOME": str(home)},
    )  # fmt: skip


def test_the_forbidden_cannot_be_imported(tmp_path: Path) -> None:
    assert "No module named 'torch'" in without_engines(tmp_path, "import torch").stderr


def test_definitions_load(tmp_path: Path) -> None:
    done = without_engines(tmp_path, DEFINITIONS)
    assert done.returncode == 0, done.stderr


def test_documents_are_read(tmp_path: Path) -> None:
    done = without_engines(tmp_path, READERS, str(CHECKOUT / "data" / "sample" / "corpus"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "50"  # and two that are rejected


def test_engines_elsewhere_are_asked(tmp_path: Path) -> None:
    with embedding_server(tmp_path / "state"):
        url = read_states(tmp_path / "state")["embedder"].url
        done = without_engines(tmp_path, ENGINE_ELSEWHERE, url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 384)"
