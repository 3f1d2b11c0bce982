"""How much text an embedder takes; its tokenizer tells, no engine is needed."""

from pathlib import Path
from typing import NamedTuple

from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.profiles import Profile
from rag_assets.models.weights.pulling import model_dir, require_pulled


class EmbedderWindow(NamedTuple):
    """What chunking must know of the embedder."""

    tokenizer: Tokenizer
    identity: str  # model and revision
    max_tokens: int  # for text; the special tokens that the model adds are already taken off


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
    return EmbedderWindow(tokenizer, identity, spec.max_model_len - tokenizer.n_special)
