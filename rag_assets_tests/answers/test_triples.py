"""The check on the measuring set, and on questions of which each once went wrong."""

import pytest

from rag_assets.answers.citations import asserts_no_more, ground, quote_around
from rag_assets_tests.answers.triples import kept, mistakes, passage_of, table, triples

MAX_DROPPED = 0.03  # of the right sentences
MAX_KEPT = 0.10  # of the wrong ones


def test_right_sentences_stay_and_wrong_ones_go() -> None:
    read = triples()
    wrong = mistakes(read, kept)
    n_pairs = len(read) // 2
    assert len(read) >= 320
    assert sum(triple.is_right for triple in wrong) <= MAX_DROPPED * n_pairs, table(read, wrong)
    assert sum(not t.is_right for t in wrong) <= MAX_KEPT * n_pairs, table(read, wrong)


FLEET = passage_of(
    "Boats of the Sallow Ferry Trust",
    "| Boat | Built | Berth |\n|---|---|---|\n| Avocet | 1981 | Lower Sallow |\n"
    "| Gannet | 2008 | Lower Sallow |",
)
NORTH = passage_of("House rules", "In the north hall of Gullery dogs are allowed on a lead.")
SOUTH = passage_of("House rules", "In the south hall of Gullery dogs are not allowed at all.")
API = passage_of(
    "Booking interface",
    'In Python: `seats = reply["booking"]["seats"][0]` gives the first seat.',
)


def test_the_row_is_quoted_and_not_the_header() -> None:
    got = ground("Gannet is the newest boat [1].", [FLEET], "Which is the newest boat?")
    assert [citation.quote for citation in got.citations] == ["| Gannet | 2008 | Lower Sallow |"]


def test_a_bare_yes_cites_what_the_model_cited() -> None:
    got = ground("Yes [2]", [SOUTH, NORTH], "Are dogs allowed in Gullery?")
    assert (got.citations[0].quote, got.notes) == (NORTH.text, ())


def test_an_index_in_code_is_no_marker() -> None:
    answer = 'Use reply["booking"]["seats"][0] for the first seat [1].'
    assert 'reply["booking"]["seats"][0]' in ground(answer, [API], "How do I read it?").text


@pytest.mark.parametrize(("year", "holds"), [("2008", True), ("1981", False)])
def test_a_sentence_around_a_span(year: str, holds: bool) -> None:
    start = FLEET.pieces[0].char_start + FLEET.text.index("2008")
    sentence = f"The Gannet was built in {year}."
    question = "When was the Gannet built?"
    assert asserts_no_more(sentence, FLEET, start, start + 4, question) is holds
    assert quote_around(FLEET, start, start + 4).text == "| Gannet | 2008 | Lower Sallow |"
