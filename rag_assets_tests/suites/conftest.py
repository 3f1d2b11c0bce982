"""Fixtures of the suites' tests."""

from rag_assets_tests.suites.bench import bench
from rag_assets_tests.world import in_process, store, world

__all__ = ["bench", "in_process", "store", "world"]
