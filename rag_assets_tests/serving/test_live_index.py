"""Hot swap: atomic, idempotent, never for the worse, invisible to requests in flight."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rag_assets.access.file import AccessFile
from rag_assets.answers.policy import AnswerPolicy
from rag_assets.index.writing import make_length
from rag_assets.lake import leases as readers
from rag_assets.lake import upkeep
from rag_assets.lake.generations import publish, rollback
from rag_assets.lake.store import LakeStore
from rag_assets.models.protocols import Completion
from rag_assets.pipeline.stages import STAGES
from rag_assets.serving.process import build_service
from rag_assets.serving.service import Service
from rag_assets_tests.answers.fakes import Call, ScriptedChat, WordEmbedder, copies
from rag_assets_tests.answers.world import FERRIES, Doc, build, publish_docs

BUILT = "When was MV Tern built?"
CHANGED = (
    Doc(
        "fleet:tern.html", "MV Tern", (("History", "MV Tern was built in 2011 by Solvik Marine."),)
    ),
)


def test_before_the_first_generation(empty_service: Service) -> None:
    done = empty_service.live.reload()
    assert (done.generation_id, done.swapped) == (None, False)
    assert "run `rag refresh`" in done.error
    assert empty_service.live.current is None
    assert empty_service.live.error == done.error


def test_load_then_nothing_to_do(service: Service) -> None:
    before = service.live.current
    done = service.live.reload()
    assert (done.swapped, done.error) == (False, "")
    assert done.generation_id == done.previous_id
    assert service.live.current is not None
    assert before is not None
    assert service.live.current.answerer is before.answerer


def test_a_new_generation_is_swapped_in(service: Service, embedder: WordEmbedder) -> None:
    assert "2003" in service.answer(BUILT, "auto").answer
    after = publish_docs(service.store, CHANGED, embedder)
    assert "2003" in service.answer(BUILT, "auto").answer  # not before it is loaded
    done = service.live.reload()
    assert (done.swapped, done.generation_id) == (True, after.id)
    assert "2011" in service.answer(BUILT, "auto").answer


def test_rollback_is_swapped_in_and_moves_the_sequence(
    service: Service, embedder: WordEmbedder
) -> None:
    publish_docs(service.store, CHANGED, embedder)
    service.live.reload()
    rollback(service.store)
    assert service.live.reload().swapped
    assert "2003" in service.answer(BUILT, "auto").answer
    assert service.live.current is not None
    assert service.live.current.pointer.sequence == 3


def test_a_generation_that_cannot_be_opened_is_kept_out(
    service: Service, embedder: WordEmbedder
) -> None:
    assert service.live.current is not None
    before = service.live.current.generation_id
    broken = build(service.store, CHANGED, embedder)
    broken = replace(broken, models={"embedder": {"model_id": "other", "revision": "9"}})
    publish(service.store, broken)
    done = service.live.reload()
    assert not done.swapped
    assert done.generation_id == before
    assert "embedded with other" in done.error
    assert "2003" in service.answer(BUILT, "auto").answer
    rollback(service.store)
    assert service.live.reload().error == ""


def test_a_version_that_is_gone_is_kept_out(service: Service, embedder: WordEmbedder) -> None:
    missing = replace(build(service.store, CHANGED, embedder), index_version=9999)
    service.store.put_record(f"generations/{missing.id}", {
        name: getattr(missing, name) for name in missing.__slots__
    })  # fmt: skip
    pointer = service.store.get_record("live")
    service.store.put_record("live", {**pointer, "generation_id": missing.id, "sequence": 2})
    done = service.live.reload()
    assert done.error
    assert "2003" in service.answer(BUILT, "auto").answer


def test_a_request_in_flight_ends_on_its_generation(
    store: LakeStore, embedder: WordEmbedder, tmp_path: Path
) -> None:
    started, go = threading.Event(), threading.Event()

    def slow(call: Call) -> Completion | str:
        started.set()
        assert go.wait(10)
        return copies(call)

    slm, llm = ScriptedChat("slm", copies), ScriptedChat("llm", slow)
    service = build_service(store, slm, llm, lambda _: embedder, access=AccessFile(tmp_path))
    first = publish_docs(store, FERRIES, embedder)
    service.live.reload()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(service.answer, BUILT, "auto")
        assert started.wait(10)
        publish_docs(store, CHANGED, embedder)
        assert service.live.reload().swapped
        go.set()
        answer = asked.result(10)
    assert answer.generation_id == first.id
    assert "2003" in answer.answer
    assert "2011" in service.answer(BUILT, "auto").answer


def test_swaps_under_load_fail_nobody(
    store: LakeStore, embedder: WordEmbedder, tmp_path: Path
) -> None:
    """Eight threads ask without a pause while the live pointer moves back and forth."""
    slm, llm = ScriptedChat("slm", copies), ScriptedChat("llm", copies)
    service = build_service(store, slm, llm, lambda _: embedder, access=AccessFile(tmp_path))
    old = publish_docs(store, FERRIES, embedder)
    service.live.reload()
    truth = {old.id: "2003"}
    stop = threading.Event()

    def ask(_: int) -> list[tuple[str, str]]:
        seen = []
        while not stop.is_set() or not seen:
            serving = service.live.current
            assert serving is not None
            answer = serving.answerer.answer(BUILT)
            seen.append((answer.generation_id, answer.answer))
        return seen

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, n) for n in range(8)]
        new = publish_docs(store, CHANGED, embedder)
        truth[new.id] = "2011"
        swaps = 0
        for target in (None, old.id, new.id, old.id, new.id):
            if target is not None:
                rollback(store, target)
            swaps += service.live.reload().swapped
        stop.set()
        seen = [pair for done in asked for pair in done.result(30)]
    assert swaps == 5
    assert all(truth[generation_id] in text for generation_id, text in seen)


def test_what_is_in_service_is_leased(service: Service, embedder: WordEmbedder) -> None:
    def leased() -> set[str]:
        return set(readers.leased(service.store, datetime.now(UTC)))

    assert service.live.current is not None
    first = service.live.current.generation_id
    assert leased() == {first}
    broken = build(service.store, CHANGED, embedder)
    broken = replace(broken, models={"embedder": {"model_id": "other", "revision": "9"}})
    publish(service.store, broken)
    assert service.live.reload().error
    assert leased() == {first}
    second = publish_docs(service.store, CHANGED, embedder)
    assert service.live.reload().swapped
    assert leased() == {first, second.id}  # requests in flight may still read the first
    service.live.close()
    assert leased() == set()


def test_an_answerer_survives_a_clean_up(
    service: Service, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MAX_VERSIONS", 0)
    monkeypatch.setattr(upkeep, "ROLLBACK_WINDOW", 1)
    monkeypatch.setattr(upkeep, "MARGIN", timedelta())
    assert service.live.current is not None
    first = service.live.current.generation_id
    publish_docs(service.store, CHANGED, embedder)
    assert first in upkeep.tend(service.store, STAGES).kept
    assert "2003" in service.answer(BUILT, "auto").answer


def test_each_generation_has_an_embedder_and_a_policy_of_its_own(
    store: LakeStore,
    tmp_path: Path,
) -> None:
    old, new = WordEmbedder(), WordEmbedder(model_id="other/embedder", dimension=96)
    engines = {one.model_id: one for one in (old, new)}
    policies = {
        made_with: AnswerPolicy(calibration=f"that of {made_with}")
        for made_with in (*engines, "nobody")
    }
    service = build_service(
        store,
        ScriptedChat("slm", copies),
        ScriptedChat("llm", copies),
        lambda made_with: engines[made_with["model_id"]],
        access=AccessFile(tmp_path),
        policy_for=lambda made_with: policies[made_with.get("model_id", "nobody")],
    )
    first = publish_docs(store, FERRIES, old)
    service.live.reload()
    table = store.table("chunk_index")
    assert table is not None
    make_length(table, new.dimension)
    second = publish_docs(store, CHANGED, new)
    assert service.live.reload().generation_id == second.id
    answer = service.answer(BUILT, "auto")
    assert "2011" in answer.answer
    assert answer.calibration == f"that of {new.model_id}"
    rollback(store, first.id)
    assert service.live.reload().generation_id == first.id
    answer = service.answer(BUILT, "auto")
    assert "2003" in answer.answer
    assert answer.calibration == f"that of {old.model_id}"
