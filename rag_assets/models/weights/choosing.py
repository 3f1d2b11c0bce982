"""Which weights of a profile are used: those that it prefers, or a fallback that is here."""

from pathlib import Path

from rag_assets.models.profile_files import wanted_profile
from rag_assets.models.profiles import Profile
from rag_assets.models.weights.pulling import as_pulled, cache_root


def active_profile(name: str = "", cache_dir: Path | None = None) -> Profile:
    """The profile of a name or path, with the weights that are here; by default the environment's.

    Weights are only looked for; ``pulling.pull`` fetches what is missing.

    Args:
        name: "": that of RAG_PROFILE, by default cpu.
        cache_dir: None: that of the environment.
    """
    return as_pulled(wanted_profile(name), cache_dir or cache_root())
