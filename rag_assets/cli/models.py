"""Commands on models."""

from rag_assets.cli.app import models_app
from rag_assets.cli.console import say
from rag_assets.settings import load_settings


@models_app.command("pull")
def models_pull() -> None:
    """Fetch and verify the profile's weights, and convert them to the served format."""
    from rag_assets.models.profiles import active_profile
    from rag_assets.orchestration.processes import pull_weights

    pull_weights(load_settings(), active_profile(), say)
