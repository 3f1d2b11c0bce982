"""Fixtures of the plans' tests."""

from rag_assets_tests.world import in_process, store, world

__all__ = ["in_process", "store", "world"]
