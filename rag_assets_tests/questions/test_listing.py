"""What a question asks of all things of a kind."""

import pytest

from rag_assets.questions.listing import Bound, listing_of


@pytest.mark.parametrize(
    ("question", "noun", "counts"),
    [
        ("How many boats does the Sallow Trust have?", "boats", True),
        ("List all beacons of the trust.", "beacons", False),
        ("Which clinics are open on Sunday?", "clinics", False),
        ("What are the departments of the museum?", "departments", False),
        ("Name every tram depot, please", "", False),
        ("Give me a list of the spare parts", "spare parts", False),
        ("What is the number of members in the club?", "members", True),
        ("In May, how many courses begin?", "courses", True),
        ("Wie viele Boote hat der Verein?", "Boote", True),
        ("Who is the captain?", "", False),
        ("Which ferry carries passengers?", "", False),
        ("When does the shop open?", "", False),
    ],
)
def test_the_things_asked_for(question: str, noun: str, counts: bool) -> None:
    found = listing_of(question)
    assert (found.noun if found else "") == noun
    assert bool(found and found.counts) == counts


@pytest.mark.parametrize(
    ("question", "bounds", "said"),
    [
        ("Which boats were launched after 1990?", (Bound("1990", 1, False),), "launched"),
        ("Which boats were built since 1990?", (Bound("1990", 1, True),), "built"),
        ("How many parts cost at most 12 euros?", (Bound("12 euros", -1, True),), "cost"),
        ("Which routes are longer than 40 km?", (Bound("40 km", 1, False),), "are"),
        ("Which routes are shorter than 40 km?", (Bound("40 km", -1, False),), "are"),
        ("Which rooms hold no fewer than 20 people?", (Bound("20 people", 1, True),), "hold"),
        (
            "List the boats built between 1990 and 2000.",
            (Bound("1990", 1, True), Bound("2000", -1, True)),
            "built",
        ),
    ],
)
def test_the_bounds_of_a_condition(question: str, bounds: tuple[Bound, ...], said: str) -> None:
    found = listing_of(question)
    assert found is not None
    assert (found.bounds, found.said, found.negated) == (bounds, said, False)


@pytest.mark.parametrize(
    ("question", "noun", "how", "of"),
    [
        ("Which is the newest boat of the trust?", "boat", "most", "date"),
        ("What was the oldest clinic?", "clinic", "least", "date"),
        ("Which vessel has the largest battery?", "vessel", "most", "large"),
        ("Which ferry carries the most cars?", "ferry", "most", "number"),
        ("Which route is the shortest?", "route", "least", "long"),
    ],
)
def test_the_one_with_most_or_least(question: str, noun: str, how: str, of: str) -> None:
    found = listing_of(question)
    assert found is not None
    assert (found.asks, found.noun, found.how, found.of) == ("pick", noun, how, of)


def test_those_that_do_not_meet_it() -> None:
    found = listing_of("Which boats do not berth at Upper Sallow?")
    assert found is not None
    assert found.negated
    assert "not" not in found.rest.split()
