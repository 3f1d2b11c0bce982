"""Search alone: what is found, how it is told, what is refused."""

import pytest

from rag_assets.answers.finding import MOST_HITS, find
from rag_assets.answers.questions import QuestionError
from rag_assets.index.search import IndexReader
from rag_assets_tests.answers.fakes import WordEmbedder


def test_the_best_passage_comes_first_with_its_place(
    ferries: IndexReader, embedder: WordEmbedder
) -> None:
    found = find(ferries, embedder, "When was MV Tern built?")
    best = found.hits[0]
    assert best.citation.uri == "fleet:tern.html"
    assert best.citation.heading_path == ["MV Tern", "History"]
    assert "built in 2003" in best.citation.quote
    assert best.text.find(best.citation.quote) >= 0
    assert [hit.score for hit in found.hits] == sorted((h.score for h in found.hits), reverse=True)
    assert found.n_chunks == len(ferries)
    record = found.to_record()
    assert [hit["n"] for hit in record["hits"]] == list(range(1, len(found.hits) + 1))
    assert record["hits"][0]["quote"] == best.citation.quote
    assert record["generation"] == {"id": ferries.generation.id}


def test_a_slip_finds_the_same(ferries: IndexReader, embedder: WordEmbedder) -> None:
    found = find(ferries, embedder, "solvik marinne", limit=1)
    assert [hit.citation.uri for hit in found.hits] == ["fleet:tern.html"]


@pytest.mark.parametrize(
    ("question", "limit", "said"),
    [
        ("", 10, "the question is empty"),
        ("?", 10, "the question is empty"),
        ("word " * 2_000, 10, "10,000 characters|9,999 characters"),
        ("ferry", 0, f"between 1 and {MOST_HITS}; got 0"),
        ("ferry", MOST_HITS + 1, "got 51"),
    ],
)
def test_what_is_no_search_is_refused(
    ferries: IndexReader, embedder: WordEmbedder, question: str, limit: int, said: str
) -> None:
    with pytest.raises(QuestionError, match=said):
        find(ferries, embedder, question, limit=limit)
