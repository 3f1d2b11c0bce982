"""Yes or no by a limit that a sentence states."""

import pytest

from rag_assets.questions.limits import keeps, told_by, value_in

LIFT = "The car lift at Kestrel Quay bears vehicles of up to 2,500 kg."
HEIGHT = "Vehicles must not be higher than 210 cm."
OPEN = "The kiosk beside the lift is open from 07:00 to 21:00 every day."
CASES = "Each passenger may bring at most two suitcases."
AGE = "Drivers must be at least 21 years old."
BAR = "The bar is open from 18:00 to 02:00."


@pytest.mark.parametrize(
    ("question", "sentence", "answer"),
    [
        ("Is 1800 kg too much for the car lift?", LIFT, False),
        ("Is 2.6 t too much for the car lift?", LIFT, True),
        ("Can the lift bear 2500 kg?", LIFT, True),
        ("Can a van of 230 cm use the lift?", HEIGHT, False),
        ("Can a van of 2 m use the lift?", HEIGHT, True),
        ("Is 200 too many for the hall?", "The hall holds up to 180 people.", True),
        ("Is the kiosk open at 1930?", OPEN, True),
        ("Is the kiosk open at 22:15?", OPEN, False),
        ("Is the kiosk open at 9 pm?", OPEN, None),  # it closes just then
        ("Is the kiosk closed at 6:30?", OPEN, True),
        ("May I bring 3 suitcases?", CASES, False),
        ("May I bring two suitcases?", CASES, True),
        ("Can a person of 19 years be allowed to drive?", AGE, False),
        ("Is the bar open at 1:30?", BAR, True),
        ("Is the bar open at 12:00?", BAR, False),
        ("Is the desk open at 15:00?", "The desk opens at 8:00 and closes at 14:30.", False),
        ("Is the desk open at 15:00?", "It is open 8:00-12:00 and 14:00-18:00.", True),
        ("Is the desk open at 13:00?", "It is open 8:00-12:00 and 14:00-18:00.", False),
    ],
)
def test_a_value_is_compared_with_the_limit(
    question: str, sentence: str, answer: bool | None
) -> None:
    assert keeps(question, sentence) is answer


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("Is 1800 kg too much?", HEIGHT),  # centimetres
        ("Can a van of 230 cm use the lift?", "The lift is 210 cm above the quay."),  # no limit
        ("May I bring 3 dogs?", CASES),
        ("Is the kiosk open at 1930?", "On Sundays it is open from 09:00 to 17:00."),
        ("Can a van 190 cm wide use the lift?", HEIGHT),
        ("Was the lift built in 1994?", LIFT),
        ("Is it not open at 19:30?", OPEN),
        ("Is the kiosk nice at 19:30?", OPEN),
        ("Can vans of 2 m and of 3 m use the lift?", HEIGHT),
        ("Are dogs allowed?", HEIGHT),
    ],
)
def test_what_cannot_be_compared_is_left_to_a_model(question: str, sentence: str) -> None:
    assert keeps(question, sentence) is None


def test_of_several_limits_the_one_that_is_spoken_of_counts() -> None:
    said = ["Cars must not be longer than 5 m.", "Cars must not be higher than 2 m.", OPEN]
    assert told_by("Can a car 3 m high use it?", said) == (False, 1)
    assert told_by("Can a car of 3 m use it?", said) is None  # one is kept, one is not
    assert told_by("Can a car of 300 kg use it?", said) is None


@pytest.mark.parametrize(
    ("question", "sentence", "title", "is_told"),
    [
        ("Is the kiosk open at 19:30?", OPEN, "Lift", True),
        ("Is the pool open at 19:30?", OPEN, "Pool", False),
        ("Is the pool open at 19:30?", "It is open from 07:00 to 21:00.", "Pool", True),
    ],
)
def test_hours_are_those_of_what_is_named(
    question: str, sentence: str, title: str, is_told: bool
) -> None:
    assert (told_by(question, [sentence], title) is not None) == is_told


@pytest.mark.parametrize("question", ["Was it open in 1994?", "Is it open?", "Is 2 or 3 enough?"])
def test_no_value_and_several_values_are_none(question: str) -> None:
    assert value_in(question) is None
