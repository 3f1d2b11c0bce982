"""Grounding: what stays in an answer, and where its citations point."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.answers.citations import MAX_QUOTE_CHARS, Citation, Grounded, ground, quote
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets.retrieval.terms import terms
from rag_assets_tests.answers.world import FERRIES, Doc, chunks_of

EVIDENCE = [
    Passage(pieces_of([chunk]), frozenset(), 1.0, 0.5, whole=True)
    for doc in FERRIES
    for chunk in chunks_of(doc)
]
TEXTS = {doc.document_id: doc.text for doc in FERRIES}


def grounded(
    answer: str, question: str = "Which ship?", passages: Sequence[Passage] = EVIDENCE
) -> Grounded:
    return ground(answer, passages, question)


def test_a_cited_fact_is_quoted_from_the_document() -> None:
    got = grounded("MV Tern was built in 2003 by Solvik Marine [3].")
    assert got.text == "MV Tern was built in 2003 by Solvik Marine [1]."
    (citation,) = got.citations
    assert citation.quote == "MV Tern was built in 2003 by Solvik Marine."
    assert citation.uri == "fleet:tern.html"
    assert citation.aliases == ["fleet:old/tern.html"]
    assert citation.modified_at.startswith("2024-05-01")
    assert TEXTS[citation.document_id][citation.char_start : citation.char_end] == citation.quote


def test_a_citation_names_the_page_of_its_quote() -> None:
    (chunk, *_) = chunks_of(FERRIES[0])
    second = chunk.start + chunk.text.index("She replaced")
    pages = [{"start": chunk.start, "page": 3}, {"start": second, "page": 4}]
    paged = replace(chunk, page=3, pages=pages)
    passage = Passage(pieces_of([paged]), frozenset(), 1.0, 0.5, whole=True)
    got = grounded("MV Alder was built in 1994 [1]. She replaced the ferry Elder [1].",
                   passages=[passage])  # fmt: skip
    assert [one.page for one in got.citations] == [3, 4]
    old = replace(paged, pages=[])  # of a generation from before the column
    passage = Passage(pieces_of([old]), frozenset(), 1.0, 0.5, whole=True)
    assert grounded("She replaced the ferry Elder [1].", passages=[passage]).citations[0].page == 3
    unpaged = Passage(pieces_of([chunk]), frozenset(), 1.0, 0.5, whole=True)
    assert grounded("She replaced the ferry Elder.", passages=[unpaged]).citations[0].page is None


def test_record_has_exactly_the_contracts_fields() -> None:
    (citation,) = grounded("MV Tern was built in 2003 [3].").citations
    assert list(citation.to_record()) == [
        "n", "chunk_id", "document_id", "uri", "title", "heading_path", "page", "char_start",
        "char_end", "quote", "aliases", "modified_at", "superseded_by", "superseded_by_title",
    ]  # fmt: skip


def test_an_answer_without_markers_gets_them() -> None:
    got = grounded("A bicycle costs 4.50 euro.")
    assert got.text == "A bicycle costs 4.50 euro [1]."
    assert got.citations[0].quote == "A bicycle costs 4.50 euro on every route."
    assert got.notes == ()


def test_a_wrong_number_is_put_right_and_said() -> None:
    got = grounded("A bicycle costs 4.50 euro [1].")
    assert got.citations[0].uri == "fleet:fares.html"
    assert got.notes == ("1 of 1 sentences cited the wrong evidence; put right",)


def test_markers_that_name_nothing_are_dropped() -> None:
    assert grounded("A bicycle costs 4.50 euro [7][5].").text == "A bicycle costs 4.50 euro [1]."


def test_unsupported_sentences_leave_the_answer() -> None:
    got = grounded("MV Tern was built in 2003 [3]. It won a prize in 1871 [3].")
    assert got.text == "MV Tern was built in 2003 [1]."
    assert got.removed == ("It won a prize in 1871.",)
    assert got.notes == ("removed 1 of 2 sentences that the evidence does not support",)


def test_nothing_supported_is_no_answer() -> None:
    got = grounded("Paris is the capital of France [1].")
    assert (got.text, got.citations, got.refused) == ("", (), False)
    assert got.removed == ("Paris is the capital of France.",)


@pytest.mark.parametrize("answer", ["NOT FOUND", "NOT FOUND.", "Answer: NOT FOUND [1]"])
def test_refusal(answer: str) -> None:
    assert grounded(answer).refused


@pytest.mark.parametrize("answer", ["", " ", "[1]", "..."])
def test_empty_text_is_no_answer(answer: str) -> None:
    assert grounded(answer).text == ""
    assert not grounded(answer).refused


def test_a_refusal_beside_a_fact_is_dropped() -> None:
    got = grounded("MV Tern was built in 2003 [3]. NOT FOUND")
    assert got.text == "MV Tern was built in 2003 [1]."


def test_one_sentence_may_need_two_documents() -> None:
    got = grounded("MV Alder was built in 1994 and MV Tern in 2003 [1][3].")
    assert got.text == "MV Alder was built in 1994 and MV Tern in 2003 [1][2]."
    assert [c.uri for c in got.citations] == ["fleet:alder.html", "fleet:tern.html"]


def test_the_same_quote_is_one_citation() -> None:
    got = grounded("MV Tern was built in 2003. MV Tern is from 2003 and built by Solvik.")
    assert got.text.count("[1]") == 2
    assert len(got.citations) == 1


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Was MV Tern built in 2003?", "Yes, MV Tern was built in 2003 [3]."),
        ("Was MV Tern or MV Alder built in 2003?", "MV Tern was built in 2003 [3]."),
        ("Which was built later, MV Tern vs MV Alder?", "MV Tern [3]."),
    ],
)
def test_the_questions_own_words_may_answer_it(question: str, answer: str) -> None:
    assert grounded(answer, question).citations[0].uri == "fleet:tern.html"


def test_lines_stay_lines() -> None:
    got = grounded("- MV Alder: 1994 [1]\n- MV Tern: 2003 [3]")
    assert got.text == "- MV Alder: 1994 [1]\n- MV Tern: 2003 [2]"


def test_a_bare_yes_cites_what_speaks_of_the_question() -> None:
    got = grounded("Yes.", question="Was MV Tern built by Solvik Marine?")
    assert got.text == "Yes [1]."
    assert got.citations[0].uri == "fleet:tern.html"


def test_a_bare_yes_without_evidence_is_no_answer() -> None:
    assert grounded("Yes.", question="Is Paris in France?").text == ""


def test_numbers_may_stand_in_several_lines_of_a_table() -> None:
    got = grounded("MV Alder has a speed of 14.5 knots and takes 320 passengers [2].")
    assert got.citations[0].quote == "Speed 14.5 knots.\nPassengers 320."


def test_long_lines_are_cut_between_words() -> None:
    doc = Doc("s:l", "Long", (("H", "word " * 400),))
    (chunk,) = chunks_of(doc, max_words=1000)
    piece = quote("word", Passage(pieces_of([chunk]), frozenset(), 1, 1, whole=True))
    assert MAX_QUOTE_CHARS - 10 < len(piece.text) <= MAX_QUOTE_CHARS
    assert piece.text.endswith("word")


answers = st.lists(
    st.sampled_from(
        ["MV Tern", "was built", "in 2003", "[1]", "[3]", "[12]", ". ", "\n", "Yes", "NOT FOUND",
         "1871", "Speed 28 knots", "Paris", "n't"]
    ),
    max_size=14,
).map(" ".join)  # fmt: skip


@given(answers)
def test_whatever_a_model_writes_citations_are_true(answer: str) -> None:
    got = grounded(answer)
    assert [citation.n for citation in got.citations] == list(range(1, len(got.citations) + 1))
    for citation in got.citations:
        assert f"[{citation.n}]" in got.text
        text = TEXTS[citation.document_id]
        assert text[citation.char_start : citation.char_end] == citation.quote
        assert citation.quote
    assert bool(got.text) == bool(got.citations)
    assert "1871" not in terms(got.text)


def test_citation_of_a_piece() -> None:
    piece = EVIDENCE[0].pieces[0]
    citation = Citation.of(3, piece)
    assert (citation.n, citation.quote) == (3, piece.text)
    assert citation.heading_path == ["MV Alder", "History"]


def passage_of(title: str, text: str, uri: str = "s:d") -> Passage:
    chunks = chunks_of(Doc(uri, title, (("Equipment", text),)), 400)
    return Passage(pieces_of(chunks), frozenset(), 1.0, 0.5, whole=True)


@pytest.mark.parametrize("answer", ["Equipment", "4.2 Rafts and slides [1].", "Safety manual [1]"])
def test_a_heading_is_no_answer(answer: str) -> None:
    manual = passage_of("Safety manual", "4.2 Rafts and slides\nThere are 11 rafts and 2 slides.")
    assert grounded(answer, "How many rafts are there?", [manual]).text == ""
    assert grounded("There are 11 rafts.", "How many rafts are there?", [manual]).text


RAFTS = passage_of("Safety manual", "Ship | Slides | Rafts\nMV Rowan | 2 | 11\nMV Alder | 1 | 8")
CARGO = passage_of("Cargo", "MV Bramble carries cargo.", "s:cargo")


@pytest.mark.parametrize(("ship", "holds"), [("Rowan", True), ("Bramble", False)])
def test_a_row_supports_what_it_names(ship: str, holds: bool) -> None:
    question = f"How many rafts does MV {ship} carry?"
    got = grounded(f"MV {ship} carries 11 rafts.", question, [RAFTS, CARGO])
    assert bool(got.text) is holds


@pytest.mark.parametrize(
    ("answer", "uri", "holds"),
    [
        ("In 2023 a bicycle costs 4.50 euro.", "s:fares.txt", True),  # the text says so
        ("In 2021 a bicycle costs 4.50 euro.", "s:fares-2021.txt", True),  # the place does
        ("In 2027 a bicycle costs 4.50 euro.", "s:fares.txt", False),
        ("A bicycle costs 4.50 euro.", "s:fares.txt", True),
    ],
)
def test_a_year_that_is_told_stands_in_the_evidence(answer: str, uri: str, holds: bool) -> None:
    text = "A bicycle costs 4.50 euro." if "2021" in uri else "From 2023 a bicycle costs 4.50 euro."
    fares = passage_of("Fares", text, uri)
    question = "What does a bicycle cost in 2021, 2023 and 2027?"
    assert bool(grounded(answer, question, [fares]).text) is holds
