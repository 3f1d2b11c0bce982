"""Fixtures of the benchmarks' tests."""

from rag_assets_tests.evaluations.lab import bench
from rag_assets_tests.world import in_process, store, world

__all__ = ["bench", "in_process", "store", "world"]
