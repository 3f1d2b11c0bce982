"""Copies that others may read than their canonical: neither hidden by it nor telling of it."""

from pathlib import Path

import pytest

from rag_assets.access.rules import Rules
from rag_assets.index.search import IndexReader
from rag_assets.index.stage import BuildReport, build_index, is_current
from rag_assets.lake.store import LakeStore
from rag_assets_tests.world import World

TEXT = "The lighthouse on the island was built in 1871."
RULES = Rules.model_validate({"sources": {"docs": ["crew"], "open": "everyone"}})


@pytest.fixture
def other(world: World, tmp_path: Path) -> World:
    """A closed source with the canonical, an open one with two copies, one of them a near one."""
    world.write("a.md", TEXT)
    world.write("copies/a.md", TEXT)
    other = World(tmp_path, world.store, "open")
    other.write("public/a.md", TEXT)
    other.write("public/of/a.md", f"{TEXT}\n")
    world.stages()
    other.stages()
    return other


def built(world: World, rules: Rules) -> BuildReport:
    world.index()  # brings the duplicates up to date
    facts = world.facts
    return build_index(
        world.store,
        world.named("chunk_index"),
        dimension=facts.dimension,
        models=facts.identities,
        run_id="r",
        readers=rules.readers,
    )


def found(store: LakeStore, of: BuildReport, *groups: str) -> dict[str, list[str]]:
    view = RULES.view(*groups)
    reader = IndexReader(store, of.generation).narrowed(view.where, view.sees)
    return {hit.chunk.uri: hit.chunk.aliases for hit in reader.search("lighthouse", None)}


def test_a_copy_is_found_by_whom_it_is_for(world: World, other: World) -> None:
    of = built(world, RULES)
    assert of.generation.counts["documents"] == 2
    assert found(world.store, of) == {"open:public/a.md": ["open:public/of/a.md"]}
    # who may read both finds the text once, and hears of all copies
    others = ["docs:copies/a.md", "open:public/a.md", "open:public/of/a.md"]
    assert found(world.store, of, "crew") == {"docs:a.md": others}


def test_without_rules_all_are_one(world: World, other: World) -> None:
    assert world.index().generation.counts["documents"] == 1
    assert built(world, Rules()).generation.counts["documents"] == 1  # nobody may read any


def test_a_change_of_the_rules_holds_after_the_next_build(world: World, other: World) -> None:
    before = world.index()
    assert found(world.store, before) == {}  # hidden, and not told
    stage, models = world.named("chunk_index"), world.facts.identities
    assert is_current(world.store, stage, models)
    assert not is_current(world.store, stage, models, RULES.readers)
    of = built(world, RULES)
    assert set(found(world.store, of)) == {"open:public/a.md"}
    assert is_current(world.store, stage, models, RULES.readers)
    assert world.index().generation.counts["documents"] == 1


def test_a_refresh_reads_the_rules_of_the_home(
    world: World, other: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.index()
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    stage = world.named("chunk_index")
    with world.run() as run:
        assert stage.is_current is not None
        assert stage.whole is not None
        assert stage.is_current(world.store, stage, run.facts)
        (tmp_path / "access.yaml").write_text("sources: {docs: [crew], open: everyone}")
        assert not stage.is_current(world.store, stage, run.facts)
        outcome = stage.whole(run, stage, lambda _done, _total: None)
    assert outcome.figures["documents"] == 2
