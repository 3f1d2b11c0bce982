from collections.abc import Callable

import numpy as np
import pytest

from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets_tests.world import World


def test_one_unit_vector_a_chunk(world: World) -> None:
    world.write("a.md", "# A\n\nfirst\n\n# B\n\nsecond")
    world.stages()
    rows = world.store.rows("embeddings", world.partition)
    chunks = world.store.rows("chunks", world.partition)
    assert {r["chunk_id"] for r in rows} == {c["chunk_id"] for c in chunks}
    for row in rows:
        assert np.linalg.norm(row["vector"]) == pytest.approx(1, abs=1e-5)
    texts = {c["chunk_id"]: f"{c['header']}\n{c['text']}" for c in chunks}
    (row, *_) = rows
    assert np.allclose(row["vector"], world.embedder.embed([texts[row["chunk_id"]]])[0])


def test_no_text_is_embedded_twice(world: World) -> None:
    path = world.write("a.md", "# Title\n\nsome text")
    world.write("copy.md", "# Title\n\nsome text")
    world.stages()
    assert len(world.embedder.asked) == 1
    path.unlink()
    world.stages()
    assert len(world.store.rows("embeddings", world.partition)) == 1
    world.write("a.md", "# Title\n\nsome text")
    world.stages()
    assert len(world.embedder.asked) == 1
    world.write("a.md", "# Title\n\nsome other text")
    world.stages()
    assert len(world.embedder.asked) == 2


@pytest.mark.parametrize(("name", "value"), [("revision", "2"), ("model_id", "other/embedder")])
def test_another_model_embeds_all_anew(world: World, name: str, value: str) -> None:
    world.write("a.md", "# A\n\nfirst\n\n# B\n\nsecond")
    world.stages()
    before = world.store.rows("embeddings", world.partition)
    setattr(world.embedder, name, value)
    report = world.stages()["embeddings"]
    assert len(report.delta.changed) == 2
    assert len(world.embedder.asked) == 4
    after = world.store.rows("embeddings", world.partition)
    assert {r["row_hash"] for r in before}.isdisjoint(r["row_hash"] for r in after)


def test_engine_is_not_asked_when_nothing_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("a.md", "some text")
    world.stages()

    def refuse(texts: list[str]) -> np.ndarray:
        raise EngineUnavailableError("nobody answers")

    monkeypatch.setattr(world.embedder, "embed", refuse)
    assert world.stages()["embeddings"].is_noop
    world.write("b.md", "other text")
    with pytest.raises(EngineUnavailableError):
        world.stages()
    monkeypatch.undo()
    assert world.step("embeddings").n_rows == {"embeddings": 2}


@pytest.mark.parametrize(
    "spoilt",
    [lambda made: made[:, :-1], lambda made: made[:-1], lambda made: made * np.nan],
    ids=["too short", "too few", "NaN"],
)
def test_vectors_that_are_none_are_refused_and_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, spoilt: Callable[[np.ndarray], np.ndarray]
) -> None:
    world.write("a.md", "# A\n\nfirst\n\n# B\n\nsecond")
    embed = world.embedder.embed
    with monkeypatch.context() as patch:
        patch.setattr(world.embedder, "embed", lambda texts: spoilt(embed(texts)))
        with pytest.raises(ModelRequestError, match="check_embedder"):
            world.stages()
    world.stages()
    assert len(world.store.rows("embeddings", world.partition)) == 2
