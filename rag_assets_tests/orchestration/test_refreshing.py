from dataclasses import replace
from pathlib import Path

import pytest

from rag_assets.orchestration.refreshing import refresh_roles
from rag_assets.settings import load_settings

SOURCES = """sources:
  - {name: plain, kind: folder, where: a, enrich: false}
  - {name: described, kind: folder, where: b}
"""


@pytest.mark.parametrize(
    ("partitions", "roles"),
    [
        (["plain.0"], ["embedder"]),
        (["described.0"], ["embedder", "slm"]),
        (["plain.0", "described.0"], ["embedder", "slm"]),
    ],
)
def test_a_refresh_starts_the_engines_that_it_asks(
    tmp_path: Path, partitions: list[str], roles: list[str]
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "sources.yaml").write_text(SOURCES)
    settings = replace(load_settings(), home=tmp_path, lake_uri=str(tmp_path / "lake"))
    assert refresh_roles(settings, partitions) == roles
