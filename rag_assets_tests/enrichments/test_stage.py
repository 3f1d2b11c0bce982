from dataclasses import replace

import pytest

from rag_assets.enrichments.document_types import DOCUMENT_TYPES
from rag_assets.enrichments.stage import CACHE, Wanted, enrich, wanted_of
from rag_assets.models.errors import EngineUnavailableError
from rag_assets.models.protocols import Completion
from rag_assets.pipeline.stages import ENRICHMENTS
from rag_assets.sources.declaration import Source
from rag_assets_tests.fakes import FakeChat
from rag_assets_tests.world import TYPES, Facts, World, say_labels


def rows(world: World) -> list[dict[str, object]]:
    return world.store.rows("enrichments", world.partition)


def made(world: World) -> int:
    """Types and descriptions that a refresh makes."""
    before = len(world.store.rows(CACHE.name))
    world.stages()
    return len(world.store.rows(CACHE.name)) - before


def test_one_row_a_document(world: World) -> None:
    world.write("a.md", "# A\n\nfirst")
    world.write("b.md", "# B\n\nsecond")
    assert made(world) == 4
    assert [row["document_type"] for row in rows(world)] == ["guide", "guide"]
    assert [row["topics"] for row in rows(world)] == [["ferries"]] * 2
    assert {(row["decided_by"], row["outcome"]) for row in rows(world)} == {("slm", "ok")}
    assert len(world.chat.calls) == 6  # of each two orders of two labels, and a description


def test_only_labels(world: World) -> None:
    world.source = replace(world.source, enrich="labels")
    world.write("a.md", "# A\n\nfirst")
    assert made(world) == 1
    (row,) = rows(world)
    assert (row["document_type"], row["outcome"]) == ("guide", "ok")
    assert (row["topics"], row["summary"], row["questions"]) == ([], "", [])


def test_same_excerpt_is_read_once(world: World) -> None:
    path = world.write("a.md", "# A\n\nfirst")
    world.write("copy.md", "# A\n\nfirst")
    assert made(world) == 3, "a type for either name, one description"
    path.unlink()
    assert made(world) == 0
    world.write("a.md", "# A\n\nfirst")
    assert made(world) == 0
    assert len(rows(world)) == 2


def test_another_small_model_reads_all_anew(world: World) -> None:
    world.write("a.md", "# A\n\nfirst")
    world.stages()
    world.chat.revision = "other"
    assert made(world) == 2


def test_another_embedder_or_other_labels_make_new_types_and_no_new_descriptions(
    world: World,
) -> None:
    world.write("a.md", "# A\n\nfirst")
    world.stages()
    world.embedder.revision = "2"
    assert made(world) == 1
    world.source = replace(world.source, document_types={"x": ("One.",), "y": ("One.",)})
    assert made(world) == 1
    assert [row["document_type"] for row in rows(world)] == ["x"]


def test_another_version_of_the_stage_makes_new_types_and_no_new_descriptions(
    world: World,
) -> None:
    world.write("a.md", "# A\n\nfirst")
    world.stages()
    (row,) = rows(world)
    before = len(world.store.rows(CACHE.name))
    ids = [str(row["document_id"])]
    enrich(
        world.store, world.partition, ids, world.source, world.embedder, world.chat, version="next"
    )
    assert len(world.store.rows(CACHE.name)) == before + 1


def test_a_source_that_wants_more_keeps_its_types(world: World) -> None:
    world.write("a.md", "# A\n\nfirst")
    full, world.source = world.source, replace(world.source, enrich="labels")
    assert made(world) == 1
    world.source = full
    assert made(world) == 1
    assert [row["summary"] for row in rows(world)] == ["About it."]
    world.source = replace(full, enrich="labels")
    assert made(world) == 0
    assert [row["summary"] for row in rows(world)] == [""]


def test_failed_reply_has_its_reason_and_is_not_cached(world: World) -> None:
    world.chat = FakeChat([Completion("nonsense", "stop", 1, 0, 1, 0.1, None), say_labels])
    world.source = replace(world.source, enrich="labels")
    path = world.write("a.md", "# A\n\nfirst")
    world.stages()
    (row,) = rows(world)
    assert (row["document_type"], row["decided_by"]) == ("guide", "embedder")
    assert str(row["outcome"]).startswith("the small model's reply")
    path.unlink()
    world.stages()
    world.write("a.md", "# A\n\nfirst")
    world.stages()
    (row,) = rows(world)
    assert (row["outcome"], row["decided_by"]) == ("ok", "slm")


def test_a_source_that_is_not_to_be_enriched_is_not_and_loses_what_it_had(world: World) -> None:
    def enriched(how: str) -> int:
        world.source = replace(world.source, enrich=how)
        return made(world)

    world.write("a.md", "# A\n\nfirst")
    assert enriched("full") == 2
    assert enriched("none") == 0
    assert rows(world) == []
    world.write("b.md", "# B\n\nsecond")
    assert enriched("none") == 0
    assert rows(world) == []
    (world.root / "b.md").unlink()
    assert enriched("full") == 0, "from the cache"
    assert [row["outcome"] for row in rows(world)] == ["ok"]


def test_model_that_does_not_answer_fails_the_stage(world: World) -> None:
    world.chat = FakeChat([EngineUnavailableError("nobody answers")])
    world.write("a.md", "# A\n\nfirst")
    with pytest.raises(EngineUnavailableError):
        world.stages()
    assert rows(world) == []


def test_what_a_source_wants() -> None:
    source = Source("docs", "folder", "/docs")
    assert wanted_of(source) == Wanted(DOCUMENT_TYPES)
    assert wanted_of(replace(source, enrich="none")) is None
    full = replace(source, enrich="full", document_types=TYPES)
    assert wanted_of(full) == Wanted(TYPES, is_described=True)


def test_fingerprint_follows_all_that_it_is_made_of() -> None:
    one, facts = Source("docs", "folder", "/docs", document_types=TYPES), Facts()
    reworded = {**TYPES, "log": ("A log.",)}
    found = {
        ENRICHMENTS.fingerprint(facts, one),
        ENRICHMENTS.fingerprint(replace(facts, embedder=("fake/embedder", "2")), one),
        ENRICHMENTS.fingerprint(replace(facts, slm=("fake/slm", "2")), one),
        ENRICHMENTS.fingerprint(facts, replace(one, enrich="full")),
        ENRICHMENTS.fingerprint(facts, replace(one, document_types=reworded)),
        ENRICHMENTS.fingerprint(facts, replace(one, document_types=dict(reversed(TYPES.items())))),
    }
    assert len(found) == 6
