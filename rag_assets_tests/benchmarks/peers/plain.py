"""What the arms without a chunker of their own share: a page's text, token windows, vectors.

Imports nothing else of the project: it also runs in the peers' environments.
"""

import base64
import hashlib
import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import trafilatura
from tokenizers import Tokenizer

TABLE = "chunks"  # of each arm's LanceDB folder; its columns are at least page and vector
N_PROCESSES = 2  # that read pages, in every arm
EMBED_BATCH = 32  # texts a request; the engine's speed is the same from 8 to 64
_TIMEOUT_S = 600.0  # the peers send many requests at once, and two cores serve them in turn
_CHARS_A_TOKEN = 16  # no text has more on average; so much is tokenised to fill a window


@dataclass(frozen=True, slots=True)
class Arm:
    """What an arm is given, as JSON on its command line."""

    pages: str  # folder of the pages
    home: str  # folder of the arm's own: its database, its state
    url: str  # of the embedder, OpenAI-compatible
    model: str  # its served name
    tokenizer: str  # tokenizer.json of it
    max_tokens: int  # of a chunk, special tokens not counted

    @property
    def lance(self) -> str:
        """The arm's LanceDB folder."""
        return f"{self.home}/lance"

    def paths(self) -> list[str]:
        """The pages that are there, sorted."""
        return sorted(map(str, Path(self.pages).glob("*.html")))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a page's text; its id follows from place and text."""

    id: str
    page: str
    text: str


def main(refresh: Callable[[Arm], Mapping[str, int]]) -> None:
    """Refresh once, and say on standard output how long it took without start and imports."""
    arm = Arm(**json.loads(sys.argv[1]))
    # Processes that read pages would import the arm's script again, with all that it imports:
    # 12 CPU seconds a refresh for LlamaIndex. What they need stands here.
    script = sys.modules["__main__"]
    script.__spec__ = script.__file__ = None
    started = time.perf_counter()
    figures = refresh(arm)
    seconds = time.perf_counter() - started
    sys.stdout.write("\n" + json.dumps({"seconds": seconds, **figures}) + "\n")


def load_tokenizer(path: str) -> Any:  # noqa: ANN401 - tokenizers ships no types
    """The embedder's tokenizer, made to neither cut nor pad."""
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def count(tokenizer: Any, text: str) -> int:  # noqa: ANN401
    """Tokens of a text, special ones not counted."""
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


def page_text(path: str) -> str:
    """A page's main content as trafilatura gives it by default; "" where it finds none."""
    return trafilatura.extract(Path(path).read_bytes()) or ""


def readers() -> ProcessPoolExecutor:
    """Processes that read pages."""
    # spawn: Arrow and tokenizers run threads, and a forked copy of their locks hangs
    return ProcessPoolExecutor(N_PROCESSES, mp_context=get_context("spawn"))


def page_texts(paths: Sequence[str]) -> list[str]:
    """Texts of pages, in their order."""
    with readers() as pool:
        return list(pool.map(page_text, paths, chunksize=8))


def windows(text: str, tokenizer: Any, max_tokens: int) -> Iterator[str]:  # noqa: ANN401
    """Consecutive pieces of at most ``max_tokens`` tokens each; only white space is lost.

    A piece that was cut out can have more tokens than it had in the text (a word cut in two splits
    anew): it is shortened until it fits.
    """
    start = 0
    while start < len(text):
        ahead = text[start : start + _CHARS_A_TOKEN * max_tokens]
        offsets = tokenizer.encode(ahead, add_special_tokens=False).offsets[:max_tokens]
        if not offsets:  # white space alone
            start += len(ahead)
            continue
        n_tokens = len(offsets)
        piece = ahead[: offsets[n_tokens - 1][1]]
        while n_tokens > 1 and count(tokenizer, piece) > max_tokens:
            n_tokens -= 1
            piece = ahead[: offsets[n_tokens - 1][1]]
        yield piece.strip()
        start += len(piece)


def chunks_of(path: str, text: str, tokenizer: Any, max_tokens: int) -> list[Chunk]:  # noqa: ANN401
    """The chunks of one page."""
    page = Path(path).name
    return [
        Chunk(hashlib.sha256(f"{page}\0{n}\0{piece}".encode()).hexdigest()[:32], page, piece)
        for n, piece in enumerate(windows(text, tokenizer, max_tokens))
    ]


def embed(arm: Arm, texts: Sequence[str]) -> list[np.ndarray]:
    """Vectors of at most a batch of texts, (dimension,) float32 each, in one request."""
    body = {"model": arm.model, "input": list(texts), "encoding_format": "base64"}
    request = urllib.request.Request(
        f"{arm.url}/v1/embeddings", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT_S) as answer:
        rows = sorted(json.load(answer)["data"], key=lambda row: row["index"])
    return [np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in rows]
