"""How much text an embedder takes; its tokenizer tells, no engine is needed."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.profiles import Profile
from rag_assets.models.protocols import Counter, Embedder
from rag_assets.models.weights.pulling import model_dir, require_pulled

_PIECE = re.compile(r"\w{1,4}|[^\w\s]")  # about what a token is, in most languages and tokenizers


class EmbedderWindow(NamedTuple):
    """What chunking must know of the embedder."""

    tokenizer: Counter
    identity: str  # model and revision
    max_tokens: int  # for text, without a document's prefix and the tokens that the model adds


class _Pieces(list[tuple[int, int]]):
    """Places in a text where tokens may be, as an Encoding."""

    @property
    def offsets(self) -> Sequence[tuple[int, int]]:
        return self

    def token_to_chars(self, token: int) -> tuple[int, int]:
        return self[token]


class _Counting:
    """A tokenizer made of an embedder that can only count.

    Where its tokens are is guessed; as it is not additive, each chunk is counted after the cut.
    """

    is_additive = False

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.n_special = embedder.count("")

    def count(self, text: str) -> int:
        return self._embedder.count(text) - self.n_special

    def counts(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]

    def encode(self, texts: Sequence[str]) -> list[_Pieces]:
        return [_Pieces(piece.span() for piece in _PIECE.finditer(text)) for text in texts]


def embedder_window(profile: Profile, cache: Path) -> EmbedderWindow:
    """The window of a profile's embedder.

    Args:
        profile: names it.
        cache: folder of the weights.

    Raises:
        NotPulledError: the weights are not in the cache.
    """
    spec = profile.spec("embedder")
    require_pulled(spec, cache)
    tokenizer = Tokenizer.from_dir(model_dir(spec, cache))
    identity = f"{spec.model_id}@{spec.revision}"
    taken = tokenizer.n_special + tokenizer.count(spec.document_prefix)
    return EmbedderWindow(tokenizer, identity, spec.max_model_len - taken)


def window_of(embedder: Embedder) -> EmbedderWindow:
    """The window of any embedder, by what it counts."""
    counting = _Counting(embedder)
    identity = f"{embedder.model_id}@{embedder.revision}"
    return EmbedderWindow(counting, identity, embedder.max_tokens - counting.n_special)
