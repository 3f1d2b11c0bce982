"""Which part of a long question asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.retrieval.asked import MOST_WORDS, asked, condensed
from rag_assets.retrieval.terms import sentences

RAIN = (
    "We are three people with two bicycles and a dog, and it rained all morning while we waited by "
    "the slipway. "
)
STORY = RAIN * 30
OTHER = "".join(f"On day {n} we saw a heron, a seal and {n} boats in the rain. " for n in range(30))
CHANNEL = "Which channel does Quern radio watch?"


@pytest.mark.parametrize("story", [STORY, OTHER], ids=["repeated", "told"])
@pytest.mark.parametrize(
    "question",
    [
        CHANNEL,
        "Tell me which channel Quern radio watches.",
        "I want to know this: which channel does Quern radio watch?",
        "Can we carry two crates of eels?",
        "Auf welchem Kanal wacht Quern Radio?",
        "¿Qué canal vigila Quern radio?",
    ],
)
def test_a_question_is_found_wherever_it_stands(question: str, story: str) -> None:
    half = len(sentences(story)) // 2
    cut = sentences(story)[half][0]
    for text in (
        f"{question} {story}",
        f"{story}{question}",
        f"{story[:cut]}{question} {story[cut:]}",
    ):
        found = asked(text)
        assert question in found
        assert len(found.split()) <= MOST_WORDS


def test_only_the_question_is_left_of_a_story_that_says_nothing_of_it() -> None:
    assert asked(f"{CHANNEL} {STORY}") == CHANNEL


def test_what_the_story_says_of_the_same_stays() -> None:
    told = "Quern radio told us that its channel had changed."
    assert asked(f"{CHANNEL} {STORY} {told} {STORY}") == f"{CHANNEL} {told}"


def test_what_it_is_about_stays() -> None:
    text = f"{STORY} Then we boarded MV Rowan. We were glad. How many seats does it have? {STORY}"
    assert asked(text) == "Then we boarded MV Rowan. How many seats does it have?"


def test_all_questions_stay() -> None:
    text = f"{CHANNEL} {STORY} And who is its keeper?"
    assert asked(text) == f"{CHANNEL} And who is its keeper?"


def test_a_question_without_an_end_keeps_its_beginning() -> None:
    found = asked("which channel does quern radio watch " + "and it rained all morning " * 60)
    assert found.startswith("which channel does quern radio watch and")
    assert len(found.split()) == MOST_WORDS


@pytest.mark.parametrize("question", [CHANNEL, "juniper captain", " ".join([CHANNEL, RAIN * 3])])
def test_a_short_question_stays_as_it_is(question: str) -> None:
    assert asked(question) == question


words = st.sampled_from(["Which", "boat", "?", ".", "MV Alder", "list", "it", "1994", "\n", "was"])


@given(st.lists(words, max_size=60).map(" ".join), st.integers(1, 30))
def test_what_is_left_fits_and_is_of_the_question(question: str, limit: int) -> None:
    found = condensed(question, lambda text: len(text.split()) <= limit)
    assert len(found.split()) <= limit
    assert set(found.split()) <= set(question.split())
