"""Where public evaluation data is, for suites, benchmarks and tests: it is not of the project."""

from pathlib import Path

from rag_assets.settings import CHECKOUT, Settings, load_settings

BESIDE = CHECKOUT.parent / "shared" / "data"


def evaluation_data(settings: Settings | None = None) -> Path:
    """The folder that RAG_EVAL_DATA names, or the one beside the checkout; there may be none."""
    return (settings or load_settings()).eval_data or BESIDE
