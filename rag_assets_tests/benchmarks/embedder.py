"""``bench embedder``: the profile's embedder in each number format that it can compute in.

Every format has an engine of its own, as the profile starts it. All are up at once and get the same
texts in turns, through the product's client. Texts are windows of the embedder's tokens over the
pages of ``bench refresh``.
"""

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.profiles import Profile, computed_in
from rag_assets.models.protocols import Embedder
from rag_assets.models.weights.pulling import require_pulled
from rag_assets.settings import Settings
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table
from rag_assets_tests.benchmarks.pages import fetched, sampled
from rag_assets_tests.benchmarks.peers.plain import load_tokenizer, page_text, windows
from rag_assets_tests.suites.engine_alone import dtype_of, serving_embedder

EXACT, FORMATS = "float32", ("float32", "bfloat16")
N_TEXTS = 512
N_PAGES = 200  # of which the texts are the first; some are short
N_ROUNDS = 5
MIN_COSINE = 0.999  # of a vector to that of float32

Vectors = NDArray[np.float32]


def measure(
    settings: Settings, profile: Profile, say: Say, *, pages_from: Path | None = None
) -> Part:
    """Start an engine a format and let them embed in turns.

    Args:
        settings: whose weights; the engines' state goes below its home.
        profile: of the embedder.
        say: told lines of progress.
        pages_from: a folder of HTML pages; None: the package's, fetched.

    Raises:
        BenchmarkError: there are fewer than ``N_PAGES`` pages, or no text in them.
        NotPulledError: the embedder's weights are missing.
        ProfileError: the profile leaves the number format to vLLM.
        EngineError: an engine does not start.
    """
    spec = profile.spec("embedder")
    folder = require_pulled(spec, settings.cache)
    tokenizer = Tokenizer.from_dir(folder)
    pages = sampled(pages_from or fetched(settings.cache, say), N_PAGES)
    cut = _windows(pages, folder / "tokenizer.json", spec.max_model_len - tokenizer.n_special)
    texts = list(islice(cut, N_TEXTS))
    if not texts:
        raise BenchmarkError(f"expected pages with main content, got {N_PAGES} without any")
    chosen = dtype_of(profile, "embedder")
    n_tokens = sum(tokenizer.count(text) + tokenizer.n_special for text in texts)
    with ExitStack() as stack:
        engines = {}
        for dtype in dict.fromkeys((*FORMATS, chosen)):
            serving = serving_embedder(
                computed_in(profile, {"embedder": dtype}),
                cache_dir=settings.cache,
                state_dir=settings.home / "bench" / "embedder" / dtype,
            )
            engines[dtype] = stack.enter_context(serving)
            say(f"{dtype}: ready")
        seconds, vectors = _in_turns(engines, texts, say)
    return report(seconds, vectors, n_tokens, len(texts), chosen=chosen)


def _windows(pages: Sequence[Path], tokenizer: Path, max_tokens: int) -> Iterator[str]:
    loaded = load_tokenizer(str(tokenizer))
    for page in pages:
        yield from windows(page_text(str(page)), loaded, max_tokens)


def _in_turns(
    engines: Mapping[str, Embedder], texts: Sequence[str], say: Say
) -> tuple[dict[str, list[float]], dict[str, Vectors]]:
    """Seconds of each round and the vectors, both by format; what comes first does not count."""
    for engine in engines.values():
        engine.embed(texts[:64])
    seconds: dict[str, list[float]] = {dtype: [] for dtype in engines}
    vectors: dict[str, Vectors] = {}
    for number in range(N_ROUNDS):
        for dtype, engine in engines.items():
            began = time.perf_counter()
            vectors[dtype] = engine.embed(texts)
            seconds[dtype].append(time.perf_counter() - began)
            say(f"round {number + 1} of {N_ROUNDS}, {dtype}: {seconds[dtype][-1]:.1f} s")
    return seconds, vectors


def report(
    seconds: Mapping[str, Sequence[float]],
    vectors: Mapping[str, Vectors],
    n_tokens: int,
    n_texts: int,
    *,
    chosen: str,
) -> Part:
    """Speed of each format, its time over that of float32, and how near its vectors are.

    Args:
        seconds: of each round, by format.
        vectors: (n, d), of length 1, by format.
        n_tokens: of all texts, special tokens included.
        n_texts: how many.
        chosen: the format that the profile has on this processor.
    """
    rows, least = [], {}
    for dtype, taken in seconds.items():
        ratios = [one / exact for one, exact in zip(taken, seconds[EXACT], strict=True)]
        cosines = (vectors[dtype] * vectors[EXACT]).sum(axis=1)
        least[dtype] = float(cosines.min())
        rows.append(
            (
                f"{dtype} (the profile's here)" if dtype == chosen else dtype,
                f"{n_tokens / statistics.median(taken):,.0f}",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                f"{cosines.mean():.5f}",
                f"{least[dtype]:.5f}",
            )
        )
    fastest = min(seconds, key=lambda dtype: statistics.median(seconds[dtype]))
    return Part(
        "embedder",
        f"The embedder in {len(rows)} number formats, {n_texts} texts of {n_tokens / n_texts:.0f} "
        f"tokens, {N_ROUNDS} rounds in turns",
        [
            Table(
                "Speed, and how near the vectors are",
                ("computed in", "tokens/s, median", f"time, times {EXACT}'s (range)",
                 f"cosine to {EXACT}, mean", "least"),
                rows,
            )
        ],
        [
            Goal("the profile computes in what is fastest here", fastest, fastest == chosen),
            Goal(f"cosine to {EXACT} at least {MIN_COSINE}", f"{least[chosen]:.5f}",
                 least[chosen] >= MIN_COSINE),
        ],
    )  # fmt: skip
