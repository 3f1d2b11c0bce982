"""A short answer as a sentence: what a model adds, code refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.answers.phrasing import denials, holds, is_well_formed, phrased
from rag_assets.models.protocols import Completion
from rag_assets_tests.answers.fakes import Call, Reply, ScriptedChat, said

QUESTION = "Who is the captain of MV Tern?"
ANSWER = "Jana Miro"
PLACE = "MV Tern > Crew\nCaptain: Jana Miro, since 2019."


def told(reply: Reply, answer: str = ANSWER, question: str = QUESTION) -> tuple[str, int]:
    model = ScriptedChat("slm", reply)
    text, call = phrased(question, answer, PLACE, model, timeout_s=5.0)
    assert (call is None) == (not model.calls)
    return text, len(model.calls)


def test_a_sentence_that_holds_is_taken() -> None:
    good = "The captain of MV Tern is Jana Miro."
    assert told(lambda _: good) == (good, 1)
    assert told(lambda _: f" {good}\n")[0] == good


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "The captain of MV Tern is Ana Miro.",  # not the answer
        "The captain of MV Tern is Jana Miro, an admiral.",  # more than was read
        "The captain of MV Tern is not Jana Miro.",
        "Jana Miro isn't the captain of MV Tern.",
        "Jana Miro has been the captain of MV Tern since 2021.",  # a number of nowhere
        "Jana Miro has been the captain of MV Tern since 2019.",  # one that nobody asked for
    ],
)
def test_of_another_the_answer_alone_is_given(bad: str) -> None:
    assert told(lambda _: bad) == (ANSWER, 1)


def test_a_sentence_that_was_cut_is_none() -> None:
    def cut(_: Call) -> Completion:
        return said("The captain of MV Tern is Jana Miro", finish_reason="length")

    assert told(cut)[0] == ANSWER


@pytest.mark.parametrize(
    "answer", ["Jana Miro has led MV Tern since 2019.", " ".join(["word"] * 30)]
)
def test_what_is_a_sentence_or_long_is_not_phrased(answer: str) -> None:
    assert told(lambda _: "Something else.", answer) == (answer, 0)


def test_a_denial_of_the_answer_may_be_said() -> None:
    assert holds("Dogs are not allowed.", "Are dogs allowed?", "not allowed", "Dogs: not allowed")
    assert not holds("Dogs are allowed.", "Are dogs allowed?", "not allowed", "Dogs: not allowed")


def test_a_number_of_the_question_is_said_if_the_document_has_it() -> None:
    question, sentence = "What was the fare in 2024?", "The fare in 2024 was 9 euro."
    assert holds(sentence, question, "9 euro", "Fares 2024: 9 euro")
    assert not holds(sentence, question, "9 euro", "Fares: 9 euro")


WORDS = st.lists(
    st.sampled_from(["ferry", "captain", "Jana", "Miro", "7", "2019", "blue", "not", "harbour"])
)


@given(WORDS, WORDS, WORDS)
def test_what_is_added_is_never_more_than_was_given(
    sentence: list[str], question: list[str], place: list[str]
) -> None:
    said_text = " ".join(["Jana", *sentence])
    if holds(said_text, " ".join(question), "Jana", " ".join(place)):
        assert set(sentence) <= {*question, *place, "Jana"}
        assert denials(said_text) <= denials(" ".join(question))


@pytest.mark.parametrize(
    ("text", "words"),
    [("It isn't so", {"not"}), ("It isn\u2019t so", {"not"}), ("Nothing", set()),
     ("kein Hund", {"kein"}), ("a knot", set()), ("cannot", {"cannot"})],
)  # fmt: skip
def test_denials_are_whole_words(text: str, words: set[str]) -> None:
    assert denials(text) == words


def test_without_room_in_the_window_no_model_is_asked() -> None:
    model = ScriptedChat("slm", lambda _: "The captain is Jana Miro.", max_model_len=180)
    text, call = phrased(QUESTION, ANSWER, PLACE, model, timeout_s=5.0)
    assert (text, call) == (ANSWER, None)
    assert not model.calls


OWN = "Ein Stellplatz kostet 1.250 Euro im Monat."


@pytest.mark.parametrize(
    ("own", "told_as"), [(OWN, OWN), ("", "1.250 Euro"), ("x " * 31, "1.250 Euro")]
)
def test_to_another_language_the_documents_own_sentence_is_told(own: str, told_as: str) -> None:
    model = ScriptedChat("slm", lambda _: "Kostet ein Stellplatz 1.250 Euro.")
    question = "Was kostet ein Stellplatz?"
    assert phrased(question, "1.250 Euro", OWN, model, own=own, timeout_s=5.0) == (told_as, None)
    assert not model.calls


def test_for_a_sentence_that_is_none_the_documents_own_is_told() -> None:
    model = ScriptedChat("slm", lambda _: "A ticket costs now at 14.00.")
    own = "A ticket costs 14.00 crowns."
    question = "What does a ticket cost now?"
    assert phrased(question, "14.00", own, model, own=own, timeout_s=5.0)[0] == own


@pytest.mark.parametrize(
    ("sentence", "answer", "is_one"),
    [
        ("A ticket costs now at 14.00.", "14.00", False),
        ("Is the ticket 14.00?", "14.00", False),
        ("Does a ticket cost 14.00.", "14.00", False),
        ("The office opens at 17:45.", "17:45", True),
        ("It was built at Orrin in 2003.", "2003", True),
        ("It was built at Hestvik Yard.", "Hestvik Yard", True),
        ("A ticket costs 14.00.", "14.00", True),
    ],
)
def test_a_statement_is_told_from_what_is_none(sentence: str, answer: str, is_one: bool) -> None:
    assert is_well_formed(sentence, answer) == is_one
