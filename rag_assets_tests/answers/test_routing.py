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
CLEAR = ((0, 1.0), (2, 0.3))


@pytest.mark.parametrize(
    ("question", "scored", "model", "reason"),
    [
        ("When was MV Alder built?", TWO, "slm", "look-up"),
        ("Who built MV Alder?", ONE, "slm", "look-up"),
        ("What does a bicycle cost?", CLEAR, "slm", "look-up"),
        ("How many passengers does MV Tern hold?", TWO, "slm", "look-up"),
        ("Compare MV Alder and MV Tern.", TWO, "llm", "compare"),
        ("What is the difference between MV Alder and MV Tern?", TWO, "llm", "between"),
        ("Which ferries were built by Hestvik, and which are both fast?", TWO, "llm", "both"),
        ("Which ship is the oldest?", TWO, "llm", "oldest"),
        ("Which ship is older, MV Alder or MV Tern?", TWO, "llm", "compares"),
        ("Is MV Alder longer than MV Tern?", TWO, "llm", "compares"),
        ("What did it cost in 2023, and what in 2024?", ONE, "llm", "two things"),
        ("Who built MV Alder, and when?", ONE, "llm", "two things"),
        ("Who commands the ship that sails Route 5?", ONE, "llm", "another fact"),
        ("Who is the master of the ship which ran aground?", ONE, "llm", "another fact"),
        ("Which ferry is from the same yard as MV Tern?", ONE, "llm", "another fact"),
        ("Who said that the ferry is late?", ONE, "slm", "look-up"),
        ("Why was the ferry Elder replaced?", ONE, "llm", "explanation"),
        ("How does MV Alder sail?", ONE, "llm", "explanation"),
        ("What is the total length of MV Alder, built by Hestvik?", CLEAR, "slm", "one document"),
        ("Which is the oldest ship that Hestvik Yard built?", ONE, "slm", "one document"),
    ],
)
def test_rule(
    question: str, scored: tuple[tuple[int, float], ...], model: str, reason: str
) -> None:
    way = route(question, evidence(*scored), "auto")
    assert way.model == model, way
    assert reason in way.reason
    assert way.reason.endswith(".")
    assert not way.deep
    assert not way.escalated


def test_modes_force_the_model() -> None:
    compare = "Compare MV Alder and MV Tern."
    assert route(compare, evidence(*TWO), "fact").model == "slm"
    deep = route("When was MV Alder built?", evidence(*ONE), "deep")
    assert (deep.model, deep.deep) == ("llm", True)


def test_features_read_the_evidence() -> None:
    features = features_of("Who built MV Alder at Hestvik Yard?", evidence((0, 1.0), (1, 0.5)))
    assert features["documents"] == 2
    assert features["covering_documents"] == 1
    assert features["score_gap"] == 0.5
    assert features["similarity"] == 0.6


def test_no_evidence_still_has_a_route() -> None:
    way = route("Who built it?", [], "auto")
    assert way.model == "slm"
    assert way.features["score_gap"] == 1.0
