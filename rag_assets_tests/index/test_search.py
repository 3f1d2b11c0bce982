import time

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets_tests.world import World

ISLANDS = "# Kelva\n\nThe lighthouse of Kelva.\n\n## Fares\n\nAdults pay 40 crowns."


@pytest.fixture
def reader(world: World) -> IndexReader:
    world.write("a.md", ISLANDS)
    world.write("b.md", "# Torsker\n\nThe harbour of Torsker is deep.")
    return IndexReader(world.store, world.refresh().generation)


def vector(world: World, text: str) -> NDArray[np.float32]:
    found: NDArray[np.float32] = world.embedder.embed([text])[0]
    return found


def test_hit_says_why_it_was_found(world: World, reader: IndexReader) -> None:
    best, *others = reader.search("lighthouse", vector(world, "Kelva lighthouse"))
    assert best.chunk.text.startswith("Kelva\n\nThe lighthouse")
    assert best.bm25 is not None
    assert best.similarity is not None
    assert -1 <= best.similarity <= 1
    assert all(hit.bm25 is None for hit in others)
    assert len(reader) == 3


def test_similarity_is_the_cosine(world: World, reader: IndexReader) -> None:
    query = vector(world, "Torsker")
    stored = {row["chunk_id"]: row["vector"] for row in world.store.rows("chunk_index")}
    for hit in reader.search("", query):
        expected = float(np.dot(stored[hit.chunk.chunk_id], query))
        assert hit.similarity == pytest.approx(expected, abs=1e-4)


def test_candidates_are_what_each_ranking_gives(world: World, reader: IndexReader) -> None:
    query = vector(world, "the harbour")
    assert len(reader.search("", query, limit=9)) == 3
    assert len(reader.search("", query, limit=9, n_candidates=2)) == 2
    words = "lighthouse harbour"
    assert len(reader.search(words, None, limit=9)) == 2
    assert len(reader.search(words, None, limit=9, n_candidates=1)) == 1


def test_limit_and_filter(world: World, reader: IndexReader) -> None:
    query = vector(world, "the")
    assert len(reader.search("the harbour", query, limit=1)) == 1
    only = reader.narrowed("uri = 'docs:b.md'").search("lighthouse harbour", query)
    assert {hit.chunk.uri for hit in only} == {"docs:b.md"}
    assert reader.narrowed("language = 'xx'").search("lighthouse", query) == []


@pytest.mark.parametrize(
    "question",
    [
        "",
        " \n",
        '+-"(',
        "AND OR NOT",
        "x:y^2~",
        "'; DROP TABLE x; --",
        "\x00",
        "漢字",
        "*",
        "\ud83d",
    ],
)
def test_odd_questions_are_words_or_nothing(
    world: World, reader: IndexReader, question: str
) -> None:
    assert reader.search(question, None) == []
    assert len(reader.search(question, vector(world, "harbour"))) == 3


def test_syntax_around_a_word_does_not_hide_it(reader: IndexReader) -> None:
    assert [hit.chunk.uri for hit in reader.search('+"harbour" -(deep', None)] == ["docs:b.md"]


def test_very_long_question(world: World, reader: IndexReader) -> None:
    question = " ".join(f"word{n}" for n in range(20_000)) + " harbour"
    started = time.monotonic()
    hits = reader.search(question, vector(world, "harbour"))
    assert time.monotonic() - started < 5
    assert any(hit.bm25 is not None for hit in hits)


def test_whole_sections_in_reading_order(world: World) -> None:
    world.write("a.md", "# Log\n\n" + "\n\n".join(f"entry {n} " + "word " * 30 for n in range(6)))
    reader = IndexReader(world.store, world.refresh().generation)
    (hit, *_) = reader.search("entry", None)
    sections = reader.sections([hit.chunk.section_id, "absent"])
    (chunks,) = sections.values()
    assert [c.ordinal for c in chunks] == list(range(len(chunks)))
    assert len(chunks) > 2
    assert reader.sections([]) == {}
    assert reader.chunks([]) == {}
    assert reader.chunks([hit.chunk.chunk_id, "absent"]) == {hit.chunk.chunk_id: hit.chunk}


def test_prewarming_changes_nothing(reader: IndexReader) -> None:
    before = reader.search("lighthouse", None)
    reader.prewarm()
    assert reader.search("lighthouse", None) == before


def test_empty_index(world: World) -> None:
    reader = IndexReader(world.store, world.refresh().generation)
    reader.prewarm()
    assert len(reader) == 0
    assert reader.search("lighthouse", vector(world, "lighthouse")) == []


def test_reader_opens_in_another_store(world: World, reader: IndexReader) -> None:
    again = IndexReader(LakeStore(world.store.uri), reader.generation)
    assert again.search("lighthouse", None) == reader.search("lighthouse", None)
