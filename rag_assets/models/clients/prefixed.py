"""An embedder whose texts all begin alike: some models were trained with a word before each text.

What is a question and what is a document is known where texts are embedded, so there is one such
embedder for each, and neither the index nor the search know of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag_assets.models.protocols import Embedder


class Prefixes(NamedTuple):
    """What comes before a question, and before a document."""

    query: str
    document: str


def prefixes_of(served: object) -> Prefixes:
    """Those of an engine, an endpoint or an embedder of one's own, which need not have any."""
    return Prefixes(getattr(served, "query_prefix", ""), getattr(served, "document_prefix", ""))


def vectors_revision(revision: str, prefix: str) -> str:
    """What tells vectors from others of the model: the weights, and the prefix if there is one."""
    return f"{revision} after {prefix!r}" if prefix else revision


class PrefixedEmbedder:
    """An Embedder that puts a prefix before each text; it counts as part of the text."""

    def __init__(self, model: Embedder, prefix: str) -> None:
        self._model, self._prefix = model, prefix
        self.model_id = model.model_id
        self.revision = vectors_revision(model.revision, prefix)

    @property
    def dimension(self) -> int:
        """See :class:`Embedder`."""
        return self._model.dimension

    @property
    def max_tokens(self) -> int:
        """See :class:`Embedder`."""
        return self._model.max_tokens

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :class:`Embedder`."""
        return self._model.embed([self._prefix + text for text in texts])

    def count(self, text: str) -> int:
        """See :class:`Embedder`."""
        return self._model.count(self._prefix + text)


def with_prefix(model: Embedder, prefix: str) -> Embedder:
    """The embedder of texts that get this prefix; the same one if it is empty."""
    return PrefixedEmbedder(model, prefix) if prefix else model
