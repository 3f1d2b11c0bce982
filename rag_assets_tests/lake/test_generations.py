from pathlib import Path

import pyarrow as pa
import pytest

from rag_assets.lake import generations
from rag_assets.lake.generations import Generation, live
from rag_assets.lake.store import LakeError, LakeStore, scan

SCHEMA = pa.schema([("text", pa.string())])


def build(store: LakeStore, text: str) -> Generation:
    """A candidate whose index holds one row."""
    store.overwrite("chunk_index", pa.table({"text": [text]}, schema=SCHEMA))
    table = store.table("chunk_index")
    assert table is not None
    generation = Generation(
        id=generations.next_id(store, text),
        created_at=generations.now_iso(),
        index_version=table.version,
        data_version=text,
        models={},
        counts={"chunks": 1},
        inputs={},
        run_id="r",
    )
    generations.put_candidate(store, generation)
    return generation


def text_of(store: LakeStore, generation: Generation) -> str:
    table = store.table("chunk_index")
    assert table is not None
    table.checkout(generation.index_version)
    return str(scan(table)["text"][0])


def test_nothing_is_live_at_first(store: LakeStore) -> None:
    assert generations.candidate(store) is None
    assert generations.live(store) is None
    assert generations.live_generation(store) is None
    with pytest.raises(LakeError, match="nothing to roll back"):
        generations.rollback(store)


def test_candidate_is_not_live(store: LakeStore) -> None:
    candidate = build(store, "A")
    assert generations.candidate(store) == candidate
    assert generations.live(store) is None


def test_publish_keeps_manifest_and_tag(store: LakeStore) -> None:
    first = build(store, "A")
    pointer = generations.publish(store, first)
    assert (pointer.generation_id, pointer.sequence) == (first.id, 1)
    assert generations.live_generation(store) == first
    second = build(store, "B")
    assert generations.publish(store, second).sequence == 2
    table = store.table("chunk_index")
    assert table is not None
    tags = {name: tag["version"] for name, tag in table.tags.list().items()}
    assert tags == {first.id: first.index_version, second.id: second.index_version}


def test_old_generation_stays_readable(store: LakeStore) -> None:
    first = build(store, "A")
    generations.publish(store, first)
    generations.publish(store, build(store, "B"))
    table = store.table("chunk_index")
    assert table is not None
    table.delete("text = 'B'")
    assert text_of(store, first) == "A"


def test_ids_sort_in_order_of_creation(store: LakeStore) -> None:
    for n in range(12):
        generations.publish(store, build(store, str(n)))
    ids = generations.generation_ids(store)
    assert ids == sorted(ids)
    assert [generations.load(store, i).data_version for i in ids] == [str(n) for n in range(12)]


def test_going_back_is_a_new_state(store: LakeStore) -> None:
    first, second = build(store, "A"), None
    generations.publish(store, first)
    second = build(store, "B")
    generations.publish(store, second)
    back = generations.rollback(store)
    assert (back.generation_id, back.sequence, back.reason) == (first.id, 3, "rolled back")
    forth = generations.rollback(store, second.id)
    assert (forth.generation_id, forth.sequence) == (second.id, 4)


def test_same_content_published_again_has_a_new_id(store: LakeStore) -> None:
    ids = []
    for text in "ABA":
        generation = build(store, text)
        generations.publish(store, generation)
        ids.append(generation.id)
    assert len(set(ids)) == 3


def test_rollback_refuses_what_makes_no_sense(store: LakeStore) -> None:
    first = build(store, "A")
    generations.publish(store, first)
    with pytest.raises(LakeError, match="oldest generation"):
        generations.rollback(store)
    with pytest.raises(LakeError, match="live already"):
        generations.rollback(store, first.id)
    with pytest.raises(LakeError, match=f"'g9'; the newest are: {first.id}"):
        generations.rollback(store, "g9")
    live = generations.live(store)
    assert live is not None
    assert live.sequence == 1


def test_publishing_twice_keeps_one_tag(store: LakeStore) -> None:
    first = build(store, "A")
    generations.publish(store, first)
    assert generations.publish(store, first).sequence == 2
    assert generations.generation_ids(store) == [first.id]


def test_nothing_to_publish(store: LakeStore) -> None:
    generation = Generation("g000001-0", "", 1, "", {}, {}, {}, "r")
    with pytest.raises(LakeError, match="rag refresh"):
        generations.publish(store, generation)


def test_a_manifest_of_a_newer_version_is_a_sentence(store: LakeStore) -> None:
    generation = build(store, "A")
    generations.publish(store, generation)
    for name in ("candidate", "live", f"generations/{generation.id}"):
        store.put_record(name, {**store.get_record(name), "mood": "calm"})
    newer = r"does not know \(mood\): a newer version of rag_assets wrote it"
    for look in (generations.candidate, generations.live):
        with pytest.raises(LakeError, match=newer):
            look(store)
    with pytest.raises(LakeError, match=newer):
        generations.load(store, generation.id)


@pytest.mark.parametrize("text", ["half of {", "[]", '"live"', '{"generation_id": "g"}', "{}"])
def test_a_damaged_pointer_is_told(store: LakeStore, text: str) -> None:
    path = Path(store.uri) / "records" / "live.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    with pytest.raises(LakeError, match=r"live.json is damaged: .* run `rag refresh`"):
        live(store)
