import pytest

from rag_assets.orchestration.refreshing import refresh_roles
from rag_assets.sources.declaration import Source

PLAIN = Source("plain", "folder", "/a", enrich="none")
DESCRIBED = Source("described", "folder", "/b")


@pytest.mark.parametrize(
    ("sources", "roles"),
    [
        ([PLAIN], ["embedder"]),
        ([DESCRIBED], ["embedder", "slm"]),
        ([PLAIN, DESCRIBED], ["embedder", "slm"]),
    ],
)
def test_a_refresh_starts_the_engines_that_it_asks(sources: list[Source], roles: list[str]) -> None:
    assert refresh_roles(sources) == roles
