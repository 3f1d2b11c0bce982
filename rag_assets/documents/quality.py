"""Pages that are no use as evidence, told by stated rules."""

from collections.abc import Sequence

from rag_assets.documents.blocks import Span


def quality_flags(text: str, blocks: Sequence[Span], link_share: float) -> list[str]:
    """Why a document is no page to answer from; none for one that is."""
    return []
