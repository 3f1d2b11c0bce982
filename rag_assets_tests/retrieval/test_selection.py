"""Sections as the unit of evidence."""

import pytest

from rag_assets.index.search import Hit, IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.retrieval.passages import Passage
from rag_assets.retrieval.searching import retrieve
from rag_assets.retrieval.selection import select
from rag_assets.retrieval.terms import terms
from rag_assets_tests.answers.fakes import WordEmbedder, n_words
from rag_assets_tests.answers.world import FERRIES, Doc, chunks_of, reader_of

LONG = Doc(
    "s:long",
    "Long",
    (("Log", " ".join(f"Day {n} was calm and grey." for n in range(60))),),
)


def hits_on(reader: IndexReader, question: str) -> tuple[Hit, ...]:
    return retrieve(reader, WordEmbedder(), question, limit=20).hits


def passages_of(
    reader: IndexReader, hits: tuple[Hit, ...], question: str = "", *, n_passages: int = 5
) -> list[Passage]:
    return select(
        hits, reader, wanted=terms(question), n_passages=n_passages, passage_tokens=100, decay=0.85,
        count=n_words,
    )  # fmt: skip


def test_chunks_become_their_section(store: LakeStore, embedder: WordEmbedder) -> None:
    reader = reader_of(store, FERRIES, embedder, max_words=5)
    best = passages_of(reader, hits_on(reader, "Who built MV Alder?"))[0]
    assert best.whole
    assert best.title == "MV Alder > History"
    assert "1994 by Hestvik" in best.text.replace("\n", " ")


def test_of_a_long_section_the_hit_and_its_neighbours_are_taken(
    store: LakeStore, embedder: WordEmbedder
) -> None:
    reader = reader_of(store, [LONG], embedder, max_words=14)
    chunks = chunks_of(LONG, 14)
    hit = Hit(chunks[7], 1.0, 0.9, None)
    (passage,) = passages_of(reader, (hit,))
    assert [piece.chunk.ordinal for piece in passage.pieces] == [6, 7, 8]
    assert not passage.whole
    assert passage.core == {chunks[7].chunk_id}


def fares(year: int, newest: str = "") -> Doc:
    text = f"In {year} a bicycle costs {year - 2019} euro on every route."
    return Doc(f"s:{year}", "Fares", (("Bicycles", text),), superseded_by=(newest, ""))


@pytest.mark.parametrize(
    ("question", "first"),
    [("What does a bicycle cost?", "s:2024"), ("What did a bicycle cost in 2023?", "s:2023")],
)
def test_the_newer_of_two_versions_comes_first_unless_the_older_is_asked_for(
    store: LakeStore, embedder: WordEmbedder, question: str, first: str
) -> None:
    docs = [fares(2023, "s:2024"), fares(2024)]
    reader = reader_of(store, docs, embedder)
    ((older,), (newer,)) = map(chunks_of, docs)
    hits = (Hit(older, 1 / 61, 0.9, 1), Hit(newer, 1 / 63, 0.9, 1))
    found = passages_of(reader, hits, question)
    assert found[0].head.uri == first
    (alone,) = passages_of(reader, hits[:1], "")
    assert alone.score == 1 / 61  # a newer one that was not found lowers nothing


def test_a_second_document_comes_before_a_section_of_the_first_that_is_little_better(
    ferries: IndexReader,
) -> None:
    alder, alder_data, tern, *_ = [c for doc in FERRIES for c in chunks_of(doc)]
    hits = (Hit(alder, 1.0, 0.9, 1), Hit(alder_data, 0.95, 0.9, 1), Hit(tern, 0.9, 0.9, 1))
    found = passages_of(ferries, hits)
    assert [p.head.title for p in found] == ["MV Alder", "MV Tern", "MV Alder"]


def test_the_section_with_the_questions_words_wins_a_tie(ferries: IndexReader) -> None:
    hits = tuple(Hit(chunks_of(doc)[0], 0.03, 0.2, 1) for doc in FERRIES)
    assert passages_of(ferries, hits, "When was MV Tern built?")[0].head.title == "MV Tern"
    assert passages_of(ferries, hits, "What does a bicycle cost?")[0].head.title == "Fares 2024"


def test_more_hits_lift_a_section_but_do_not_decide(ferries: IndexReader) -> None:
    passages = passages_of(ferries, hits_on(ferries, "How fast is MV Tern in knots?"))
    assert passages[0].head.title == "MV Tern"
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True)


@pytest.mark.parametrize("n_passages", [0, 1, 3])
def test_no_more_passages_than_asked_for(ferries: IndexReader, n_passages: int) -> None:
    hits = hits_on(ferries, "length speed passengers")
    assert len(passages_of(ferries, hits, n_passages=n_passages)) <= n_passages


def test_nothing_from_nothing(ferries: IndexReader) -> None:
    assert passages_of(ferries, ()) == []


def test_a_long_section_does_not_win_by_holding_every_word_somewhere(
    store: LakeStore, embedder: WordEmbedder
) -> None:
    seen = ["Alder", "fog", "the mast", "a speed of ten", "nothing", "the knots", "rain"] * 6
    log = " ".join(f"Day {n}: {what} was seen by all hands." for n, what in enumerate(seen))
    history = Doc("s:history", "History", (("Log", log),))
    reader = reader_of(store, [history, *FERRIES], embedder, max_words=14)
    question = "What is the speed of MV Alder in knots?"
    found = passages_of(reader, hits_on(reader, question), question)
    assert found[0].head.title == "MV Alder"
    assert sum(n_words(passage.text) for passage in found) <= 100 * len(found)
    assert len({passage.head.document_id for passage in found}) > 1


def test_no_text_is_in_two_passages(store: LakeStore, embedder: WordEmbedder) -> None:
    reader = reader_of(store, [LONG], embedder, max_words=14)
    found = passages_of(reader, hits_on(reader, "day 7 calm"), n_passages=20)
    chunks = [piece.chunk.chunk_id for passage in found for piece in passage.pieces]
    assert len(chunks) == len(set(chunks))
