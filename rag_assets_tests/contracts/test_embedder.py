"""What every Embedder does: the fake of the unit tests and the real engine alike."""

import numpy as np
import pytest

from rag_assets.models.clients.openai_http import Embedder
from rag_assets_tests.conftest import Engines
from rag_assets_tests.fakes import FakeEmbedder

TEXTS = ["how to bake bread", "bake bread at home", "quantum field theory", "", "Grüße 🎉"]


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engines)])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "fake":
        return FakeEmbedder()
    engines: Engines = request.getfixturevalue("engines")
    return engines.embedder()


def test_vectors_are_unit_float32_in_order(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    alone = np.vstack([embedder.embed([text]) for text in TEXTS])
    assert (alone * vectors).sum(axis=1).min() > 0.999  # bfloat16: a batch changes last bits


def test_texts_about_the_same_thing_are_nearer(embedder: Embedder) -> None:
    bread, also_bread, physics = embedder.embed(TEXTS[:3])
    assert bread @ also_bread > bread @ physics + 0.2


def test_many_texts_keep_their_order(embedder: Embedder) -> None:
    texts = [f"number {i} " + "and so on " * (i % 20) for i in range(75)]
    vectors = embedder.embed(texts)
    for position in (0, 31, 32, 74):
        assert int((vectors @ embedder.embed([texts[position]])[0]).argmax()) == position


def test_nothing_gives_an_empty_table(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_a_full_window_is_taken_and_one_token_more_refused(embedder: Embedder) -> None:
    room = embedder.max_tokens - embedder.count("")
    full = " ".join(["bread"] * room)
    assert embedder.count(full) == embedder.max_tokens
    assert embedder.embed([full]).shape == (1, embedder.dimension)
    with pytest.raises(ValueError, match="text 1 has"):
        embedder.embed(["short", full + " bread"])
