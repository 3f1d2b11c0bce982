import json

import pytest

from rag_assets.enrichments.stage import enrich_documents
from rag_assets.models.clients.openai_http import Completion
from rag_assets.models.errors import EngineUnavailableError
from rag_assets_tests.fakes import FakeChat
from rag_assets_tests.world import LABELS, World


def test_one_row_a_document(world: World) -> None:
    world.write("a.md", "# A\n\nfirst")
    world.write("b.md", "# B\n\nsecond")
    world.stages()
    rows = world.store.rows("enrichments", world.partition)
    assert {row["document_type"] for row in rows} == {"guide"}
    assert len(rows) == len(world.chat.calls) == 2


def test_same_excerpt_is_read_once(world: World) -> None:
    path = world.write("a.md", "# A\n\nfirst")
    world.write("copy.md", "# A\n\nfirst")
    world.stages()
    path.unlink()
    world.stages()
    world.write("a.md", "# A\n\nfirst")
    world.stages()
    assert len(world.chat.calls) == 1
    assert len(world.store.rows("enrichments", world.partition)) == 2


def test_another_model_reads_all_anew(world: World) -> None:
    world.write("a.md", "# A\n\nfirst")
    world.stages()
    world.chat.revision = "other"
    world.stages()
    assert len(world.chat.calls) == 2


def test_failed_reply_has_its_reason_and_is_not_cached(world: World) -> None:
    world.chat = FakeChat([Completion("nonsense", "stop", 1, 0, 1, 0.1, None), json.dumps(LABELS)])
    path = world.write("a.md", "# A\n\nfirst")
    world.stages()
    (row,) = world.store.rows("enrichments", world.partition)
    assert row["document_type"] == "other"
    assert row["outcome"].startswith("the model's reply")
    path.unlink()
    world.stages()
    world.write("a.md", "# A\n\nfirst")
    world.stages()
    (row,) = world.store.rows("enrichments", world.partition)
    assert row["outcome"] == "ok"


def test_a_source_that_is_not_to_be_enriched_is_not_and_loses_what_it_had(world: World) -> None:
    def enriched(wanted: bool) -> list[str]:
        enrich_documents(world.store, world.partition, model=world.chat, run_id="r", wanted=wanted)
        return [row["outcome"] for row in world.store.rows("enrichments", world.partition)]

    world.write("a.md", "# A\n\nfirst")
    world.stages()
    assert len(world.chat.calls) == 1
    assert enriched(False) == []
    world.write("b.md", "# B\n\nsecond")
    assert enriched(False) == []
    assert len(world.chat.calls) == 1
    assert enriched(True) == ["ok"], "from the cache"
    assert len(world.chat.calls) == 1


def test_model_that_does_not_answer_fails_the_stage(world: World) -> None:
    world.chat = FakeChat([EngineUnavailableError("nobody answers")])
    world.write("a.md", "# A\n\nfirst")
    with pytest.raises(EngineUnavailableError):
        world.stages()
    assert world.store.rows("enrichments", world.partition) == []
