"""Promotion: new content goes live, rolled-back content does not come back by itself."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rag_assets.index.gate import evaluate_candidate
from rag_assets.index.promotion import promote
from rag_assets.lake import generations
from rag_assets.lake.generations import live, rollback
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import FERRIES, build


def test_the_first_candidate_goes_live(store: LakeStore, embedder: WordEmbedder) -> None:
    candidate = build(store, FERRIES, embedder)
    done = promote(store, candidate)
    assert done.promoted
    assert done.live.generation_id == candidate.id
    assert done.reason == f"{candidate.id} is new and is live now."


def test_the_same_content_changes_nothing(store: LakeStore, embedder: WordEmbedder) -> None:
    first = promote(store, build(store, FERRIES, embedder))
    again = promote(store, build(store, FERRIES, embedder))
    assert not again.promoted
    assert again.live == first.live
    assert "Nothing changed" in again.reason


def test_what_was_rolled_back_stays_so_until_something_changes(
    store: LakeStore, embedder: WordEmbedder
) -> None:
    good = promote(store, build(store, FERRIES[:2], embedder)).live.generation_id
    bad = promote(store, build(store, FERRIES, embedder)).live.generation_id
    rollback(store)
    again = promote(store, build(store, FERRIES, embedder))
    assert not again.promoted
    assert again.live.generation_id == good
    assert f"`rag rollback {bad}`" in again.reason
    assert promote(store, build(store, FERRIES[1:], embedder)).promoted


def test_sources_that_go_back_take_the_index_with_them(
    store: LakeStore, embedder: WordEmbedder
) -> None:
    """A document added by mistake and taken away again must not stay retrievable."""
    first = promote(store, build(store, FERRIES[:2], embedder))
    promote(store, build(store, FERRIES, embedder))
    back = promote(store, build(store, FERRIES[:2], embedder))
    assert back.promoted
    assert back.live.generation_id != first.live.generation_id


def test_other_models_make_other_content(store: LakeStore, embedder: WordEmbedder) -> None:
    candidate = build(store, FERRIES, embedder)
    promote(store, candidate)
    models = {"embedder": {"model_id": "fake/embedder", "revision": "2"}}
    other = replace(build(store, FERRIES, embedder), models=models)
    assert promote(store, other).promoted
    pointer = live(store)
    assert pointer is not None
    assert pointer.sequence == 2


def test_a_publication_killed_before_the_pointer_moved_is_finished(
    store: LakeStore, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for one that a person had rolled back, and never went live."""
    promote(store, build(store, FERRIES[:2], embedder))
    candidate = build(store, FERRIES, embedder)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generations, "_point", die)
        with pytest.raises(KeyboardInterrupt):
            promote(store, candidate)
    assert generations.generation_ids(store)[-1] == candidate.id
    again = promote(store, candidate)
    assert again.promoted
    assert again.live.generation_id == candidate.id


def test_a_candidate_that_was_built_over_does_not_replace_what_is_newer(
    store: LakeStore, embedder: WordEmbedder
) -> None:
    promote(store, build(store, FERRIES[:1], embedder))
    stale = build(store, FERRIES[:2], embedder)
    generations.put_candidate(store, stale)
    newer = build(store, FERRIES, embedder)
    assert newer.id > stale.id
    promote(store, newer)
    late = promote(store, stale)
    assert not late.promoted
    assert late.live.generation_id == newer.id
    assert "built over" in late.reason


def test_a_generation_whose_index_was_removed_is_replaced_by_the_same_content(
    store: LakeStore, embedder: WordEmbedder
) -> None:
    first = promote(store, build(store, FERRIES[:2], embedder)).live.generation_id
    before = promote(store, build(store, FERRIES, embedder)).live
    shutil.rmtree(Path(store.uri) / "tables" / "chunk_index")
    again = build(store, FERRIES, embedder)
    assert evaluate_candidate(store, again, embedder, embedder, []).passed
    promoted = promote(store, again)
    assert promoted.promoted
    assert promoted.live.generation_id > before.generation_id
    with pytest.raises(LakeError, match=f"the rows of {first} are gone"):
        rollback(store, first)
