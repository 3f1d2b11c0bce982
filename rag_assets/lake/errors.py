"""The error of this room."""

from rag_assets.errors import RagError


class LakeError(RagError):
    """The lake cannot be read or written as asked; the message says what to do."""
