"""Another embedder: a new generation beside the live one, and never both in one index."""

from dataclasses import asdict, replace

import pytest

from rag_assets.index.gate import evaluate_candidate
from rag_assets.index.search import IndexReader
from rag_assets.lake import generations
from rag_assets.lake.generations import Generation
from rag_assets.lake.store import LakeError
from rag_assets.lake.upkeep import tend
from rag_assets.pipeline.stages import STAGES
from rag_assets.sources.golden import Case
from rag_assets_tests.world import CountingEmbedder, World

LONGER = CountingEmbedder(model_id="other/embedder", dimension=96)
AS_LONG = CountingEmbedder(model_id="other/embedder", revision="2")


@pytest.fixture
def live(world: World) -> Generation:
    """Three documents, indexed and live."""
    for word in ("anchor", "buoy", "compass"):
        world.write(f"{word}.md", f"# {word}\n\nThe {word} is described here, and nothing else.")
    generation = world.refresh().generation
    generations.publish(world.store, generation)
    return generation


def found(world: World, generation: Generation, embedder: CountingEmbedder, word: str) -> str:
    """The document that the vector of a word is nearest to."""
    reader = IndexReader(world.store, generation)
    return reader.search("", embedder.embed([f"the {word}"])[0], limit=1)[0].chunk.uri


@pytest.mark.parametrize("other", [LONGER, AS_LONG], ids=["longer vectors", "as long"])
def test_the_live_one_is_searched_while_another_is_built_and_after_a_rollback(
    world: World, live: Generation, other: CountingEmbedder
) -> None:
    first, world.embedder = world.embedder, other
    built = world.refresh().generation
    assert built.models["embedder"]["model_id"] == "other/embedder"
    assert found(world, live, first, "buoy") == "docs:buoy.md"
    assert found(world, built, other, "buoy") == "docs:buoy.md"
    generations.publish(world.store, built)
    tend(world.store, STAGES)
    generations.rollback(world.store, live.id)
    assert found(world, live, first, "anchor") == "docs:anchor.md"
    world.embedder = first
    again = world.refresh().generation
    assert again.data_version == live.data_version
    assert found(world, again, first, "compass") == "docs:compass.md"


def test_an_index_of_two_embedders_is_refused(world: World, live: Generation) -> None:
    first = world.embedder
    before = world.store.rows("chunk_index", columns=["row_hash"])
    world.embedder = AS_LONG  # and its documents are not embedded yet
    with pytest.raises(LakeError, match=r"1 partitions have vectors of another .* \(docs\.0\)"):
        world.index()
    world.stages()
    world.embedder = first  # whose run comes while the other one's is at work
    with pytest.raises(LakeError, match="than fake/embedder"):
        world.index()
    assert world.store.rows("chunk_index", columns=["row_hash"]) == before
    assert generations.candidate(world.store) == live


def test_a_build_that_was_killed_between_is_made_whole(
    world: World, live: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, world.embedder = world.embedder, LONGER
    world.stages()
    with monkeypatch.context() as patch:
        patch.setattr("rag_assets.index.stage.ATTEMPTS", 1)  # ends when the index is emptied
        with pytest.raises(LakeError, match="run `rag refresh` again"):
            world.index()
    assert found(world, live, first, "buoy") == "docs:buoy.md"
    built = world.index().generation
    assert built.counts == live.counts
    assert found(world, built, LONGER, "buoy") == "docs:buoy.md"


def test_the_gate_compares_with_what_the_live_one_reached(world: World, live: Generation) -> None:
    cases = [Case("anchor", "lookup", "What of the anchor?", (), ("docs:anchor.md",))]
    asked = (world.embedder, world.embedder, cases)
    judged = replace(live, evaluation=evaluate_candidate(world.store, live, *asked).to_record())
    world.store.put_record(f"{generations.FOLDER}/{live.id}", asdict(judged))
    world.embedder = LONGER
    built = world.refresh().generation
    verdict = evaluate_candidate(world.store, built, LONGER, LONGER, cases)
    assert verdict.passed
    assert verdict.live is not None
    assert verdict.live.recall_by_case == {"docs/anchor": 1.0}
    others = [Case("buoy", "lookup", "What of the buoy?", (), ("docs:buoy.md",))]
    assert evaluate_candidate(world.store, built, LONGER, LONGER, others).live is None
