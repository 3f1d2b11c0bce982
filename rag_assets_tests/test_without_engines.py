"""Without vLLM and torch: import, definitions, reading, a refresh, and engines elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

from rag_assets.models.engines.state import read_states
from rag_assets.settings import CHECKOUT
from rag_assets_tests.embedding_server import embedding_server

SCRIPT = '''
import sys
from importlib.machinery import PathFinder
from pathlib import Path


class Without(PathFinder):
    """Finds no package that only engines need."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "vllm", "transformers"):
            return None
        return super().find_spec(name, path, target)


sys.meta_path[:] = [Without if one is PathFinder else one for one in sys.meta_path]

if __name__ == "__main__":  # the processes that read files import this module, too
    from tokenizers import Tokenizer as RustTokenizer
    from tokenizers import models, pre_tokenizers

    from rag_assets import Answerer, Pipeline, build_defs, read_document
    from rag_assets.models.clients.openai_http import HttpEmbedder
    from rag_assets.models.clients.tokens import Tokenizer
    from rag_assets.models.profile_files import load_profile
    from rag_assets_tests.fakes import FakeChat
    from rag_assets_tests.answers.fakes import ScriptedChat, copies
    from rag_assets_tests.world import say_labels

    place, url = Path(sys.argv[1]), sys.argv[2]
    assert build_defs().get_repository_def().get_job("refresh_job")
    assert read_document(b"<h1>Ferries</h1><p>They sail at nine.", "a.html").title
    words = RustTokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    embedder = HttpEmbedder(load_profile("cpu").spec("embedder"), Tokenizer(words, {}), url)
    done = Pipeline(place / "docs", place / "lake", embedder=embedder, slm=FakeChat([say_labels]))
    assert done.refresh().stages["embeddings"].new == 1
    chat = ScriptedChat("slm", copies)
    with Answerer.open(place / "lake", slm=chat, llm=chat, embedder=embedder) as answerer:
        print(answerer.answer("When was MV Tern built?").answer)
'''


def test_all_but_the_engines_works_without_their_packages(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "tern.md").write_text("# MV Tern\n\nMV Tern was built in 2003.\n")
    script = tmp_path / "without.py"
    script.write_text(SCRIPT)
    with embedding_server(tmp_path / "state"):
        url = read_states(tmp_path / "state")["embedder"].url
        done = subprocess.run(
            [sys.executable, script, tmp_path, url], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},  # of rag_assets_tests
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2003" in done.stdout
