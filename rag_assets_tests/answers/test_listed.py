"""All things of a kind, out of tables, lists and sentences."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.listed import MOST_TOLD, Listed, listed
from rag_assets.index.search import IndexedChunk
from rag_assets.lake.store import LakeStore
from rag_assets.questions.listing import listing_of
from rag_assets.retrieval.passages import Passage, Piece
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, reads
from rag_assets_tests.answers.world import Doc, reader_of

BOATS = """\
| Boat | Built | Berth | Lift |
|---|---|---|---|
| Avocet | 1981 | Lower Sallow | none |
| Bittern | 1987 | Upper Sallow | yes |
| Curlew | 1990 | Lower Sallow | none |
| Egret | 1999 | Upper Sallow | two |"""
HULLS = (
    "Tamsin was launched in 1988 at Orrin. She has a passenger lift to the upper deck.\n"
    "Wilmot was launched in 1996 at the same yard. She has a passenger lift.\n"
    "Quill was launched in 2004. She has no passenger lift; there are stairs only."
)
BEACONS = "The trust keeps these beacons:\n\n" + "\n".join(
    f"- {name} Ness, {n} m" for n, name in enumerate(["Amber", "Birch", "Cedar"], start=5)
)
STORES = """\
Part | Shelf | In stock | Reorder at
Impeller | A4 | 12 | 3
Gasket | B1 | 140 | 40
Seal kit | C7 | none
Anchor shackle | F3 | 58 | 20"""
LIFTS = """\
Lifts by vessel | |
Vessel | Lifts
Juniper | Two
Alder | None (one level)
Total | 2"""


def section(text: str, heading: str, *, table: bool = False, n: int = 0) -> Passage:
    blocks = [{"kind": "table", "start": 0, "end": len(text)}] if table else []
    chunk = IndexedChunk(
        f"chunk_{n}", "p.0", f"doc_{n}", f"section_{n}", 0, 0, f"docs:file{n}.md", [], heading,
        "en", [heading], None, 0, len(text), text, blocks, "", [], datetime(2026, 5, 1, tzinfo=UTC),
        [], "", "",
    )  # fmt: skip
    return Passage((Piece(chunk, 0, len(text)),), frozenset(), 0.0, None, whole=True)


FLEET = section(BOATS, "Boats of the Sallow Trust", table=True)


def told(question: str, *sections: Passage) -> str:
    listing = listing_of(question)
    assert listing is not None
    found = listed(listing, sections)
    return found.text if found else ""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many boats does the Sallow Trust have?", "4 boats: Avocet, Bittern, Curlew, Egret"),
        ("List the boats of the Sallow Trust", "4 boats: Avocet, Bittern, Curlew, Egret"),
        ("How many boats berth at Upper Sallow?", "2 of 4 boats: Bittern, Egret"),
        ("Which boats do not berth at Upper Sallow?", "2 of 4 boats: Avocet, Curlew"),
        ("Which boats were built after 1987?", "2 of 4 boats: Curlew, Egret"),
        ("Which boats were built since 1987?", "3 of 4 boats: Bittern, Curlew, Egret"),
        ("Which boats are older than 1988?", "2 of 4 boats: Avocet, Bittern"),
        ("Which boats were built before 1970?", "None of the 4 boats listed"),
        ("Which boats have a lift?", "2 of 4 boats: Bittern, Egret"),
        ("How many boats have no lift?", "2 of 4 boats: Avocet, Curlew"),
        ("Which is the newest boat of the Sallow Trust?", "Egret (Built: 1999)"),
        ("What is the oldest boat?", "Avocet (Built: 1981)"),
    ],
)
def test_a_table(question: str, answer: str) -> None:
    assert told(question, FLEET) == answer


@pytest.mark.parametrize(
    "question",
    [
        "How many boats does the Orrery Trust have?",  # of whom the table does not speak
        "Which boats have a galley?",  # which no column tells
        "How many passengers does the Egret hold?",  # of another kind
        "Which boats are heavier than 40 tonnes?",
        "How many seats do the boats have?",
        "Which boats were painted in 1999 by Orrin?",
    ],
)
def test_what_a_table_does_not_tell_is_left_to_others(question: str) -> None:
    assert told(question, FLEET) == ""


def test_what_is_asked_of_one_row_is_no_count() -> None:
    text = "| Year | Passengers |\n|---|---|\n| 2022 | 410 |\n| 2023 | 480 |"
    one = section(text, "Passengers by year", table=True)
    assert told("How many passengers travelled in 2023?", one) == ""
    assert told("How many passengers were there?", one) == ""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which boats were launched after 1990?", "2 of 3 boats: Wilmot, Quill"),
        ("Which boats have no passenger lift?", "1 of 3 boats: Quill"),
        ("How many boats have a passenger lift?", "2 of 3 boats: Tamsin, Wilmot"),
        ("How many boats have a sauna?", ""),
    ],
)
def test_sentences_on_one_thing_after_the_other(question: str, answer: str) -> None:
    assert told(question, section(HULLS, "Hulls of the Lanternfish boats")) == answer


def test_the_sentences_that_meet_the_condition_are_cited() -> None:
    listing = listing_of("Which boats have no passenger lift?")
    assert listing is not None
    found = listed(listing, [section(HULLS, "Hulls of the boats")])
    assert isinstance(found, Listed)
    assert [unit.text for unit in found.units] == [
        "Quill was launched in 2004. She has no passenger lift; there are stairs only."
    ]


def test_bullets_are_told_whole() -> None:
    one = section(BEACONS, "Lights")
    assert (
        told("List all beacons", one)
        == "3 beacons: Amber Ness, 5 m; Birch Ness, 6 m; Cedar Ness, 7 m"
    )


def test_a_list_of_some_is_not_one_of_all() -> None:
    text = "- Avocet\n- Bittern"
    retired = section(text, "Boats out of service")
    assert told("How many boats are there?", retired) == ""
    assert told("Which boats are out of service?", retired) == "2 boats: Avocet, Bittern"


def test_steps_are_told_whole_and_in_order() -> None:
    text = (
        "1. Close the valve at the tank, then wait until the needle of the gauge is at rest.\n"
        "2. Press the red button for five seconds: the lamp goes out."
    )
    answer = told("What are the steps to reset the pump?", section(text, "Steps to reset the pump"))
    assert answer.startswith("2 steps: Close the valve at the tank, then wait until")
    assert answer.endswith("; Press the red button for five seconds: the lamp goes out")


def test_the_rest_of_a_long_list_is_counted() -> None:
    text = "\n".join(f"- Light {n}" for n in range(MOST_TOLD + 7))
    answer = told("List all beacons", section(text, "Beacons"))
    assert answer.startswith("107 beacons: Light 0, Light 1,")
    assert answer.endswith("Light 99; and 7 more")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which parts have more than 50 in stock?", "2 of 3 parts: Gasket, Anchor shackle"),
        ("List the parts", "3 parts: Impeller, Gasket, Anchor shackle"),
    ],
)
def test_rows_of_plain_text_under_a_header_that_names_the_kind(question: str, answer: str) -> None:
    assert told(question, section(STORES, "Stores of the depot")) == answer


def test_captions_and_sums_are_no_things() -> None:
    one = section(LIFTS, "On our ships", table=True)
    assert told("Which vessels have no lifts?", one) == "1 of 2 vessels: Alder"
    assert told("List the vessels", one) == "2 vessels: Juniper, Alder"


def test_tables_of_one_form_are_put_together_and_others_are_not() -> None:
    more = section(
        "| Boat | Built | Berth | Lift |\n|---|---|---|---|\n| Heron | 2011 | Fell | none |\n"
        "| Egret | 1999 | Upper Sallow | two |",
        "Boats of the Fell line", table=True, n=1,
    )  # fmt: skip
    other = section(
        "| Boat | Crew |\n|---|---|\n| Ibis | 3 |\n| Jay | 4 |", "Hire", table=True, n=2
    )
    answer = told("List all boats", FLEET, more, other)
    assert answer == "5 boats: Avocet, Bittern, Curlew, Egret, Heron"


def test_an_answer_lists_without_a_model(tmp_path: Path) -> None:
    doc = Doc("fleet:boats.md", "Boats", (("Boats of the Sallow Trust", "- Avocet\n- Bittern"),))
    reader = reader_of(LakeStore(str(tmp_path)), [doc], WordEmbedder())
    slm, llm = ScriptedChat("slm", reads()), ScriptedChat("llm", reads())
    got = Answerer(reader, slm, llm, WordEmbedder()).answer("How many boats has the Sallow Trust?")
    assert (got.answer, got.route.way) == ("2 boats: Avocet, Bittern [1].", "listed")
    assert got.citations[0].quote == "- Avocet\n- Bittern"
    assert not slm.calls
    assert not llm.calls
