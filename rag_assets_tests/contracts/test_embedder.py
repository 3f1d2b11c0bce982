"""What every Embedder does: the fake of the unit tests and the real engine alike."""

import pytest

from rag_assets.contracts import check_embedder
from rag_assets.models.protocols import Embedder
from rag_assets_tests.conftest import Engines
from rag_assets_tests.fakes import FakeEmbedder


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engines)])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "fake":
        return FakeEmbedder()
    engines: Engines = request.getfixturevalue("engines")
    return engines.embedder()


def test_keeps_the_contract(embedder: Embedder) -> None:
    check_embedder(embedder)


def test_a_full_window_is_taken_and_one_token_more_refused(embedder: Embedder) -> None:
    room = embedder.max_tokens - embedder.count("")
    full = " ".join(["bread"] * room)
    assert embedder.count(full) == embedder.max_tokens
    assert embedder.embed([full]).shape == (1, embedder.dimension)
    with pytest.raises(ValueError, match="text 1 has"):
        embedder.embed(["short", full + " bread"])


def test_a_broken_one_is_told_why() -> None:
    class Long(FakeEmbedder):
        def embed(self, texts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            return super().embed(texts) * 2

    with pytest.raises(AssertionError, match="expected vectors of length 1"):
        check_embedder(Long())
