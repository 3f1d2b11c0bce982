"""The routing rule, as a table."""

import pytest

from rag_assets.answers.routing import features_of, route
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets_tests.answers.world import FERRIES, chunks_of


def evidence(*scored: tuple[int, float]) -> list[Passage]:
    """Passages of the ferry pages' first sections: (page, score)."""
    found = []
    for page, score in scored:
        chunk = chunks_of(FERRIES[page])[0]
        found.append(Passage(pieces_of([chunk]), frozenset(), score, 0.6, whole=True))
    return found


TWO = ((0, 1.0), (1, 0.98))
ONE = ((0, 1.0),)


@pytest.mark.parametrize(
    ("question", "way", "reason"),
    [
        ("When was MV Alder built?", "read", "look-up"),
        ("Who built MV Alder?", "read", "look-up"),
        ("What does a bicycle cost?", "read", "look-up"),
        ("Was MV Tern built in 2003?", "read", "look-up"),
        ("Who said that the ferry is late?", "read", "look-up"),
        ("Which ship is the oldest?", "read", "look-up"),
        ("How many documents are there about fares?", "collection", "as a whole"),
        ("How many passengers do MV Alder and MV Tern hold?", "apart", "2 look-ups"),
        ("Is MV Alder longer than MV Tern?", "apart", "2 look-ups"),
        ("When was MV Tern built, and who built MV Tern?", "apart", "2 look-ups"),
        ("Who commands the ship that sails Route 5?", "apart", "2 look-ups"),
        ("Which ferry is from the same yard as MV Tern?", "apart", "large model takes it apart"),
        ("Why was the ferry Elder replaced?", "written", "explanation"),
        ("How does MV Alder sail?", "written", "explanation"),
        ("How do I book a car?", "written", "steps"),
        ("What is a tandem?", "written", "what something is"),
        ("Summarise the fares.", "written", "summary"),
        ("List the ships.", "written", "list"),
        ("Which ships do not carry cars?", "written", "not so"),
    ],
)
def test_rule(question: str, way: str, reason: str) -> None:
    found = route(question, evidence(*TWO), "auto")
    assert found.way == way, found
    assert reason in found.reason
    assert found.reason.endswith(".")
    assert not found.escalated
    assert (found.plan is not None) == (way == "apart" and "2 look-ups" in reason)


def test_modes_force_the_way() -> None:
    assert route("Compare MV Alder and MV Tern.", evidence(*TWO), "fact").way == "read"
    assert route("How long are MV Alder and MV Tern?", evidence(*TWO), "fact").plan is None
    deep = route("When was MV Alder built?", evidence(*ONE), "deep")
    assert (deep.model, deep.way) == ("llm", "deep")


def test_features_read_question_and_evidence() -> None:
    features = features_of("Who built MV Alder at Hestvik Yard?", evidence((0, 1.0), (1, 0.5)))
    assert features == {
        "kind": "lookup", "wants": "person", "documents": 2, "covering_documents": 1,
        "sections": 2, "similarity": 0.6,
    }  # fmt: skip


def test_no_evidence_still_has_a_route() -> None:
    way = route("Who built it?", [], "auto")
    assert way.way == "read"
    assert (way.features["documents"], way.features["similarity"]) == (0, 0.0)
