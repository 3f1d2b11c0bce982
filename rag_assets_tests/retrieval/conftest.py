"""Fixtures of the tests of answers."""

from rag_assets_tests.answers.conftest import embedder, ferries, store

__all__ = ["embedder", "ferries", "store"]
