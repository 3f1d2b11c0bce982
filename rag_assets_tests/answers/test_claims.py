"""Claims: parsing markers, and what supports a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.answers.claims import Claim, Evidence, parse_claims, supporting
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets_tests.answers.world import FERRIES, Doc, chunks_of


def all_sections(*docs: Doc) -> list[Passage]:
    return [
        Passage(pieces_of([chunk]), frozenset(), 1.0, 0.5, whole=True)
        for doc in docs
        for chunk in chunks_of(doc)
    ]


def passages_of(claim: Claim, evidence: Evidence) -> list[int] | None:
    """Indices of the passages that hold a claim."""
    places = supporting(claim, evidence)
    return None if places is None else sorted({place.passage for place in places})


SHIPS = Evidence.of(all_sections(*FERRIES), "Which ship is it?")  # Alder, Alder, Tern, Tern, fares


@pytest.mark.parametrize(
    ("answer", "claims"),
    [
        ("It closes at five [1].", [Claim("It closes at five.", (1,))]),
        ("It closes at five. [1]", [Claim("It closes at five.", (1,))]),
        (
            "It closes at five. [1] It opens at ten [2][3].",
            [Claim("It closes at five.", (1,)), Claim("It opens at ten.", (2, 3))],
        ),
        ("Five [1, 2; 3]", [Claim("Five", (1, 2, 3))]),
        ("Five [1] and [1] six", [Claim("Five and six", (1,))]),
        ("- One [1]\n- Two [2]", [Claim("- One", (1,)), Claim("- Two", (2,), breaks=True)]),
        ("Answer: Five.", [Claim("Five.", ())]),
        ("[1]", []),
        ("", []),
        ("Five [a] [] [1.5]", [Claim("Five [a] [] [1.5]", ())]),
    ],
)
def test_parsing(answer: str, claims: list[Claim]) -> None:
    assert parse_claims(answer) == claims


@given(st.text(alphabet="ab1 [],.\n;", max_size=60))
def test_parsing_never_fails_and_leaves_no_marker(answer: str) -> None:
    for claim in parse_claims(answer):
        assert claim.text == claim.text.strip()
        assert all(n >= 0 for n in claim.markers)


@pytest.mark.parametrize(
    "text",
    [
        "NOT FOUND",
        "not found.",
        "The documents do not contain the answer.",
        "The provided context does not mention the captain.",
        "The text doesn't say.",
        "The price is not mentioned in the documents.",
        "The captain's name isn't specified in the provided documents.",
        "There is no information about the captain.",
    ],
)
def test_refusals(text: str) -> None:
    assert Claim(text, ()).is_refusal


@pytest.mark.parametrize(
    "text",
    [
        "Dogs are not allowed on deck.",
        "The section of the route between Kelva and Lissmar is not served in winter.",
        "A document is needed to travel.",
        "MV Alder does not sail on Sundays.",
    ],
)
def test_facts_with_a_negation_are_no_refusals(text: str) -> None:
    assert not Claim(text, ()).is_refusal


@pytest.mark.parametrize(
    ("text", "markers", "found"),
    [
        ("MV Alder was built in 1994 by Hestvik Yard.", (1,), [0]),
        ("MV Alder was built in 1994 by Hestvik Yard.", (), [0]),
        ("MV Alder was built in 1994 by Hestvik Yard.", (3,), [0]),  # cited the wrong one
        ("MV Alder was built in 1994 by Hestvik Yard.", (9,), [0]),  # cited what is not there
        ("MV Alder was built in 2003.", (1,), None),  # a fact of another ship
        ("MV Alder was built in 2003.", (3,), None),
        ("MV Alder is 62 m long and was built in 1994.", (1,), [0, 1]),  # two sections, one ship
        ("MV Alder was built in 1987.", (1,), None),  # a number out of nowhere
        ("MV Alder was built in 1994 and MV Tern in 2003.", (1, 3), [0, 2]),
        ("MV Alder was built in 1994 and MV Tern in 2003.", (), [0, 2]),
        ("Paris is the capital of France.", (1,), None),
        ("1994", (), [0]),
        ("28 knots", (), [3]),
        ("A tandem costs nine euro.", (5,), [4]),
        ("MV Tern is 41 m long and MV Alder 62 m, so MV Alder is 21 m longer.", (), [1, 3]),
        ("MV Alder is 22 m longer.", (), None),
    ],
)
def test_support(text: str, markers: tuple[int, ...], found: list[int] | None) -> None:
    assert passages_of(Claim(text, markers), SHIPS) == found


def test_what_is_contrasted_needs_no_evidence() -> None:
    evidence = Evidence.of(all_sections(FERRIES[0]), "Was MV Alder built in 1995?")
    claim = Claim("No, MV Alder was built in 1994, not 1995.", (1,))
    assert passages_of(claim, evidence) == [0]


def test_foreign_evidence_supports_by_names_and_numbers() -> None:
    german = Doc(
        "s:de", "Winterfahrplan Linie 3", (("Gültigkeit", "Gültig ab 27. Oktober."),), "de"
    )
    evidence = Evidence.of(all_sections(german), "When does the winter timetable start?")
    right, wrong = "It starts on 27 October, Linie 3.", "It starts on 28 October, Linie 3."
    for text, found in ((right, [0]), (wrong, None)):
        assert passages_of(Claim(text, ()), evidence) == found


def test_no_evidence_supports_nothing() -> None:
    evidence = Evidence.of([], "Who?")
    assert passages_of(Claim("Berg.", (1,)), evidence) is None
