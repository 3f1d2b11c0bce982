"""Words of a question that are slips of words of the documents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.retrieval.searching import retrieve
from rag_assets.retrieval.spelling import folded, near_spelling, respelled, slips
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import FERRIES, Doc, reader_of

CREW = Doc(
    "fleet:juniper.md",
    "MV Juniper",
    (("Crew", "The captain of MV Juniper is Åsa Lindström. The purser keeps the tickets."),),
)


@pytest.fixture
def reader(store: LakeStore, embedder: WordEmbedder) -> IndexReader:
    return reader_of(store, [*FERRIES, CREW], embedder)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Junper", "Juniper"),
        ("juniper", "Juniper"),
        ("Juinper", "Juniper"),
        ("captaim", "captain"),
        ("capten", "captain"),
        ("Lindstrm", "Lindström"),
        ("bycycle", "bicycle"),
    ],
)
def test_slips_lead_to_the_word_of_the_documents(
    reader: IndexReader, word: str, meant: str
) -> None:
    assert respelled(reader, f"who is {word}", []).casefold() == f"who is {meant}".casefold()


@pytest.mark.parametrize("word", ["Heron", "purse", "xyz", "cost", "Zephyrus", "船長", "tickets"])
def test_other_words_stay(reader: IndexReader, word: str) -> None:
    assert respelled(reader, f"who is {word}", []) == f"who is {word}"


def test_a_name_is_not_taken_for_another_two_slips_away(reader: IndexReader) -> None:
    assert respelled(reader, "is it hestwek", []) == "is it Hestvik"
    assert respelled(reader, "is it Hestwek", []) == "is it Hestwek"


def test_half_a_word_is_none(reader: IndexReader) -> None:
    assert respelled(reader, "why aren't tickets sold", []) == "why aren't tickets sold"


def test_only_what_may_be_read_is_near(reader: IndexReader) -> None:
    assert near_spelling(reader, "Junper") == "Juniper"
    assert near_spelling(reader.narrowed("uri != 'fleet:juniper.md'"), "Junper") is None
    assert near_spelling(reader, "captaim", only_names=True) is None


def test_the_search_reads_what_was_meant(reader: IndexReader, embedder: WordEmbedder) -> None:
    found = retrieve(reader, embedder, "junper capten", limit=5)
    assert found.question == "Juniper captain"
    assert found.hits[0].chunk.uri == "fleet:juniper.md"
    assert found.term_coverage == 1.0


def test_words_of_another_language_are_no_slips(
    reader: IndexReader, embedder: WordEmbedder
) -> None:
    question = "Wann fährt das Schiff Junper?"
    assert retrieve(reader, embedder, question, limit=5).question == question


def test_without_slips_the_question_stays(reader: IndexReader, embedder: WordEmbedder) -> None:
    question = "Who is the captain of MV Heron?"
    assert retrieve(reader, embedder, question, limit=5).question == question


@given(st.text("abcdefgh", min_size=3, max_size=9), st.data())
def test_a_slip_and_its_word_are_slips_of_each_other(word: str, data: st.DataObject) -> None:
    other = data.draw(st.sampled_from(sorted(slips(word)) or [word]))
    assert other == word or other[0] == word[0]
    assert word not in slips(word)


def test_accents_and_case_are_folded() -> None:
    assert folded("Åsa MÜLLER Smørrebrød Straße") == "asa muller smorrebrod strasse"
