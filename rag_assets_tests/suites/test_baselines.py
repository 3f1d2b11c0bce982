from dataclasses import replace
from pathlib import Path

import pytest

from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets_tests.answers.fakes import WordEmbedder, always, n_words
from rag_assets_tests.answers.test_answerer import BUILT, answerer, calls
from rag_assets_tests.answers.test_citations import EVIDENCE
from rag_assets_tests.answers.test_routing import TWO, evidence
from rag_assets_tests.answers.world import FERRIES, reader_of
from rag_assets_tests.retrieval.test_selection import LONG, hits_on
from rag_assets_tests.suites import baselines
from rag_assets_tests.suites.baselines import (
    all_to_llm,
    bare_chunks,
    by_vectors,
    deep_where_many_speak,
    unchecked,
)


@pytest.fixture
def ferries(tmp_path: Path) -> IndexReader:
    return reader_of(LakeStore(str(tmp_path)), FERRIES, WordEmbedder())


def test_vectors_alone_search_no_words(
    ferries: IndexReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []
    search = IndexReader.search

    def spy(self: IndexReader, question: str, *rest: object, **more: object) -> object:
        searched.append(question)
        return search(self, question, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(IndexReader, "search", spy)
    asked = replace(answerer(ferries), search=by_vectors)
    assert "2003" in asked.answer(BUILT).answer
    assert any("2003" in passage.text for passage in asked.evidence(BUILT))
    assert searched[0] == searched[-1] == ""  # beside them, names that nobody wrote are looked for


def test_conventional_answers_come_from_the_llm_unchecked(ferries: IndexReader) -> None:
    asked = answerer(ferries, llm=always("MV Tern was built in 1871."))
    asked = replace(asked, select=bare_chunks, route=all_to_llm, check=unchecked)
    got = asked.answer(BUILT)
    assert calls(asked) == (0, 1)
    assert got.answer == "MV Tern was built in 1871."


def test_what_the_llm_does_not_find_is_not_looked_up_in_another_way(ferries: IndexReader) -> None:
    asked = replace(answerer(ferries, llm=always("NOT FOUND")), route=all_to_llm)
    got = asked.answer(BUILT)
    assert got.abstained
    assert (calls(asked), got.route.way, got.route.escalated) == ((0, 1), "written", False)


def test_bare_chunks_are_the_hits(tmp_path: Path) -> None:
    reader = reader_of(LakeStore(str(tmp_path)), [LONG], WordEmbedder(), max_words=14)
    hits = hits_on(reader, "day 7 calm")
    found = bare_chunks(
        hits, reader, wanted=frozenset(), n_passages=3, passage_tokens=500, decay=0.85,
        count=n_words,
    )  # fmt: skip
    assert [p.pieces[0].chunk for p in found] == [hit.chunk for hit in hits[:3]]


def test_deep_mode_where_many_documents_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    question = "Explain how MV Alder and MV Tern were built by yards"
    assert deep_where_many_speak(question, evidence(*TWO), "auto").way == "written"
    monkeypatch.setattr(baselines, "DEEP_DOCUMENTS", 2)
    assert deep_where_many_speak(question, evidence(*TWO), "auto").way == "deep"
    assert deep_where_many_speak(question, evidence(*TWO), "fact").way == "read"


def test_unchecked_answers_keep_what_they_claim() -> None:
    def kept(answer: str, question: str = "Which ship?") -> str:
        return unchecked(answer, EVIDENCE, question).text

    got = unchecked("Paris is the capital of France [1].", EVIDENCE, "Which?")
    assert got.text == "Paris is the capital of France [1]."
    assert got.citations[0].uri == "fleet:alder.html"
    assert kept("MV Tern was built in 2003 [3].", "Where was MV Tern built in 2003?")
    refused = unchecked("NOT FOUND", EVIDENCE, "Which ship?")
    assert (refused.text, refused.refused) == ("", True)
