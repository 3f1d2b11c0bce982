"""Without vLLM and torch: definitions, reading, a refresh, and answers of engines elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

from rag_assets.models.engines.state import read_states
from rag_assets.settings import CHECKOUT
from rag_assets_tests.embedding_server import embedding_server

WITHOUT = '''
import sys
from importlib.machinery import PathFinder
from pathlib import Path


class Without(PathFinder):
    """Finds no package that only engines need."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "vllm", "transformers", "compressed_tensors"):
            return None
        return super().find_spec(name, path, target)


sys.meta_path[:] = [Without if one is PathFinder else one for one in sys.meta_path]
'''
DEFINITIONS = """
from dagster import Definitions
from rag_assets import build_defs
Definitions.validate_loadable(build_defs())
"""
READERS = """
from rag_assets import RejectedError, read_document
read = 0
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        try:
            read += bool(read_document(path.read_bytes(), path.name).text)
        except RejectedError:
            pass
print(read)
"""
REFRESH = """
if __name__ == "__main__":  # the processes that read files import this module, too
    from tokenizers import Tokenizer as RustTokenizer
    from tokenizers import models, pre_tokenizers

    from rag_assets import Answerer, Pipeline
    from rag_assets.models.clients.openai_http import HttpEmbedder
    from rag_assets.models.clients.tokens import Tokenizer
    from rag_assets.models.profile_files import load_profile
    from rag_assets_tests.fakes import FakeChat
    from rag_assets_tests.answers.fakes import ScriptedChat, copies
    from rag_assets_tests.world import say_labels

    place, url = Path(sys.argv[1]), sys.argv[2]
    words = RustTokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    embedder = HttpEmbedder(load_profile("cpu").spec("embedder"), Tokenizer(words, {}), url)
    done = Pipeline(place / "docs", place / "lake", embedder=embedder, slm=FakeChat([say_labels]))
    assert done.refresh().stages["embeddings"].new == 1
    chat = ScriptedChat("slm", copies)
    with Answerer.open(place / "lake", slm=chat, llm=chat, embedder=embedder) as answerer:
        print(answerer.answer("When was MV Tern built?").answer)
"""


def without_engines(
    folder: Path, code: str, *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    script = folder / "without.py"
    script.write_text(WITHOUT + code)
    return subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "RAG_HOME": str(folder), "PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip


def test_the_forbidden_cannot_be_imported(tmp_path: Path) -> None:
    assert "No module named 'torch'" in without_engines(tmp_path, "import torch").stderr


def test_definitions_load(tmp_path: Path) -> None:
    done = without_engines(tmp_path, DEFINITIONS)
    assert done.returncode == 0, done.stderr


def test_documents_are_read(tmp_path: Path) -> None:
    done = without_engines(tmp_path, READERS, CHECKOUT / "data" / "sample" / "corpus")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "50"  # and two that are rejected


def test_a_refresh_and_an_answer_ask_engines_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "tern.md").write_text("# MV Tern\n\nMV Tern was built in 2003.\n")
    with embedding_server(tmp_path / "state"):
        url = read_states(tmp_path / "state")["embedder"].url
        done = without_engines(tmp_path, REFRESH, tmp_path, url)
    assert done.returncode == 0, done.stderr
    assert "2003" in done.stdout
