"""What of a question the embedder reads."""

from rag_assets.models.protocols import Embedder
from rag_assets.retrieval.asked import condensed


def embeddable(question: str, embedder: Embedder) -> str:
    """All of the question, or what of it asks and matters to that, as far as the window holds."""
    return condensed(question, lambda text: embedder.count(text) <= embedder.max_tokens)
