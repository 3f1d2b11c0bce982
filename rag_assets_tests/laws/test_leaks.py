"""The law of access, in a form that a test run has time for."""

from pathlib import Path

import pytest

from rag_assets.access.views import View
from rag_assets.lake.store import LakeStore
from rag_assets_tests.laws.leaks import run


@pytest.fixture
def store(tmp_path: Path) -> LakeStore:
    return LakeStore(str(tmp_path / "lake"))


def test_nothing_leaks_and_nothing_is_lost(store: LakeStore) -> None:
    counted = run(store, 120, seed=19, n_documents=60)
    assert counted["about a forbidden document"] > 100
    assert counted["nearest rows"] > 400
    assert (counted["LEAKS"], counted["NEAREST ROWS NOT FOUND"]) == (0, 0)


@pytest.mark.parametrize(
    ("part", "wrong"),
    [("sees", lambda self, uri: True), ("where", property(lambda self: "true"))],
)
def test_a_leak_is_seen(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch, part: str, wrong: object
) -> None:
    monkeypatch.setattr(View, part, wrong)
    assert run(store, 12, seed=19, n_documents=30)["LEAKS"] > 0
