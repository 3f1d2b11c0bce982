"""What other places say: newer versions win, and places that contradict are told, too."""

import pytest

from rag_assets.answers.looking_up import LookedUp, looked_up
from rag_assets.models.protocols import Completion
from rag_assets.questions.plan import AnswerType
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets.retrieval.times import ANY_TIME, Period, period_of
from rag_assets_tests.answers.fakes import Call, yes
from rag_assets_tests.answers.test_looking_up import reader_with
from rag_assets_tests.answers.world import Doc, chunks_of
from rag_assets_tests.questions.test_periods import TODAY

OLD, NEW = "A return ticket costs 14 crowns.", "Grown-ups pay 19 crowns for the return."
FARE = "What does a return ticket cost?"
NORTH = "In the north hall of Gullery dogs are allowed on a lead."
SOUTH = "In the south hall of Gullery dogs are not allowed at all."
DOGS = "Are dogs allowed in Gullery?"


def passage_of(uri: str, title: str, text: str) -> Passage:
    doc = Doc(uri, title, (("Text", text),))
    return Passage(pieces_of(chunks_of(doc)), frozenset(), 1.0, 0.5, whole=True)


def model(call: Call) -> Completion | str:
    """Surer of the old fare than of the new one; sees whether dogs are allowed."""
    if call.asks == "span":
        return next(fare for fare in ("14", "19", "15") if fare in call.evidence)
    if call.asks == "verdict":
        return yes(-1.0 if " not " in call.evidence else 1.0)
    return yes(1.0 if "19 crowns" in call.evidence else 2.0)


def found(
    passages: list[Passage], question: str, wants: AnswerType, period: Period = ANY_TIME
) -> LookedUp:
    return looked_up(question, passages, reader_with(model), wants=wants, period=period, least=0.0)


@pytest.mark.parametrize(
    ("old", "new"),
    [("s:fares-2021.md", "s:fares-2025.md"), ("s:2021/fares.md", "s:2025/fares.md"),
     ("s:fares-v1.md", "s:fares-v2.md")],
)  # fmt: skip
def test_the_newer_version_wins_and_the_older_is_told(old: str, new: str) -> None:
    passages = [passage_of(old, "Fares", OLD), passage_of(new, "Fares", NEW)]
    got = found(passages, FARE, "money")
    assert (got.answer, [one.answer for one in got.others]) == ("19", ["14"])
    assert got.others[0].is_older
    assert [unit.text for unit in got.others[0].units] == [OLD]


def test_a_year_that_is_asked_for_keeps_its_document() -> None:
    passages = [passage_of("s:fares-2021.md", "Fares", OLD),
                passage_of("s:fares-2025.md", "Fares", NEW)]  # fmt: skip
    got = found(passages, FARE, "money", period_of("in 2021", TODAY))
    assert (got.answer, got.others) == ("14", ())


@pytest.mark.parametrize("version", ["1.9", "v1.9", "release 1-9"])
def test_a_version_that_is_asked_for_keeps_its_document(version: str) -> None:
    passages = [passage_of("s:1.md", "Fares, release 1.9", OLD),
                passage_of("s:2.md", "Fares, release 1.10", NEW)]  # fmt: skip
    got = found(passages, f"What does a return ticket of {version} cost?", "money")
    assert (got.answer, got.others) == ("14", ())
    assert found(passages, "What does a return ticket of 1.90 cost?", "money").answer == "19"


@pytest.mark.parametrize("uris", [("s:route-1.md", "s:route-2.md"), ("s:a.md", "s:b.md")])
def test_documents_of_other_things_are_no_versions(uris: tuple[str, str]) -> None:
    one, other = uris
    passages = [passage_of(one, "Fares", OLD), passage_of(other, "Fares", NEW)]
    assert found(passages, FARE, "money").answer == "14"


def test_a_newer_version_that_does_not_tell_leaves_the_older() -> None:
    passages = [passage_of("s:fares-2021.md", "Fares", OLD),
                passage_of("s:fares-2025.md", "Fares", "The purser takes cards.")]  # fmt: skip

    def unsure(call: Call) -> Completion | str:
        if call.asks == "span":
            return "14" if "14" in call.evidence else "cards"
        return yes(2.0 if "14" in call.evidence else -1.0)

    got = looked_up(FARE, passages, reader_with(unsure), wants="money", least=0.0)
    assert (got.answer, got.others) == ("14", ())


@pytest.mark.parametrize("south", [SOUTH, "Dogs are not permitted in Gullery on Sundays."])
def test_places_that_contradict_are_both_told(south: str) -> None:
    passages = [passage_of("s:north/rules.md", "Rules", NORTH),
                passage_of("s:south/rules.md", "Rules", south)]  # fmt: skip
    got = found(passages, DOGS, "yes_no")
    assert {got.answer, *(one.answer for one in got.others)} == {"Yes", "No"}
    assert not got.others[0].is_older


@pytest.mark.parametrize(
    "other", [NORTH, "Cats are not allowed in the south hall.", "Dogs in Gullery bark."]
)
def test_places_that_agree_or_speak_of_something_else_are_not_told(other: str) -> None:
    passages = [passage_of("s:north/rules.md", "Rules", NORTH),
                passage_of("s:south/rules.md", "Rules", other)]  # fmt: skip
    assert found(passages, DOGS, "yes_no").others == ()


@pytest.mark.parametrize(
    ("text", "n_others"),
    [
        ("A return ticket costs 15 crowns.", 1),
        ("A return ticket costs 14.00 crowns.", 0),
        ("A ticket to Fell costs 15 crowns.", 0),
    ],
)
def test_another_figure_of_the_same_is_told(text: str, n_others: int) -> None:
    passages = [passage_of("s:a.md", "Fares", OLD), passage_of("s:b.md", "Notice", text)]
    assert len(found(passages, FARE, "money").others) == n_others
