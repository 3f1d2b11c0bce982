"""Fixtures of the ingestion tests."""

from collections.abc import Iterator

import pytest

from rag_assets_tests.sources.site import Site, running
from rag_assets_tests.world import in_process, store, world

__all__ = ["in_process", "site", "store", "world"]


@pytest.fixture
def site() -> Iterator[Site]:
    with running() as made:
        yield made
