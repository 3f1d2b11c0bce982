"""Fixtures of the ingestion tests, and the embedder of the tests of answers."""

from rag_assets_tests.answers.conftest import embedder
from rag_assets_tests.world import in_process, store, world

__all__ = ["embedder", "in_process", "store", "world"]
