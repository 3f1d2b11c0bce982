"""Questions of a time, and questions in a story, from files to the prompt."""

import os
from datetime import UTC, date, datetime

import pytest

from rag_assets.answers.answerer import Answerer
from rag_assets.index.search import IndexReader
from rag_assets_tests.answers.fakes import ScriptedChat, always
from rag_assets_tests.world import World, in_process, store, world

__all__ = ["in_process", "store", "world"]

FARES_2021 = """# Fares of the Windle ferry

A return ticket for a grown-up costs 14.00 crowns. Children under twelve travel for half of that.
Dogs need a ticket of their own and stay on deck. Pay the purser in coins or by card.
"""
FARES_2025 = """# Fares of the Windle ferry

Grown-ups pay 19.50 crowns for the return journey. Whoever is not yet twelve pays 6.00 crowns.
Dogs travel free of charge and may go below. The purser takes cards only, since cash was done away with.
"""  # noqa: E501
MOORING = """# Mooring fee at Brisk Haven

| From | To | Fee for a night |
|---|---|---|
| 1 January 2024 | 31 December 2024 | 11 crowns |
| 1 January 2025 | 31 December 2025 | 13 crowns |
| 1 January 2026 | 31 December 2026 | 16 crowns |
| 1 January 2027 | 31 December 2027 | 18 crowns |
"""
CALLING = """# Digital selective calling at Quern radio

Quern radio watches channel 70 for digital selective calling (DSC) day and night.
A vessel's maritime mobile service identity (MMSI) is programmed by the agent in Quern, never by the crew.
"""  # noqa: E501
DATED = "---\ntitle: Notice to visitors\ndate: {day}\n---\n\nThe harbour office opens at {time}.\n"
TODAY = date(2026, 11, 30)
RAIN = (
    "We are three people with two bicycles and a dog, and it rained all morning while we waited by "
    "the slipway. "
)


def answerer(world: World) -> Answerer:
    reader = IndexReader(world.store, world.refresh().generation)
    slm, llm = (ScriptedChat(name, always("NOT FOUND")) for name in ("slm", "llm"))
    return Answerer(reader, slm, llm, world.embedder, clock=lambda: TODAY)


def prompt(asked: Answerer, question: str) -> str:
    """What the large model is asked of the passages, best first."""
    asked.answer(question, mode="fact")
    assert isinstance(asked.llm, ScriptedChat)
    asked_of = [call for call in asked.llm.calls if call.asks == "states"]
    return "\n\n".join(call.messages[-1]["content"] for call in asked_of)


@pytest.fixture
def fares(world: World) -> Answerer:
    for year, text in ((2021, FARES_2021), (2025, FARES_2025)):
        path = world.write(f"fares-{year}.md", text)
        day = datetime(year, 2, 1, tzinfo=UTC).timestamp()
        os.utime(path, (day, day))
    return answerer(world)


@pytest.mark.parametrize(
    ("question", "uri"),
    [
        ("What does a return ticket for a grown-up on the Windle ferry cost now?", "2025"),
        ("What does a return ticket for a grown-up on the Windle ferry cost in 2025?", "2025"),
        ("What did a return ticket for a grown-up on the Windle ferry cost in 2021?", "2021"),
        ("What is the latest fare for dogs on the Windle ferry?", "2025"),
        ("Did the fare change between 2024 and 2026?", "2025"),
        ("fares 2021", "2021"),
        ("fares 2025", "2025"),
    ],
)
def test_the_document_of_the_time_is_read_first(fares: Answerer, question: str, uri: str) -> None:
    best, *others = fares.evidence(question)
    assert best.head.uri == f"docs:fares-{uri}.md"
    assert others


def test_the_model_reads_names_days_and_today(fares: Answerer) -> None:
    user = prompt(fares, "What does a return ticket for a grown-up on the Windle ferry cost now?")
    now = "<passage>\nFares of the Windle ferry (fares-2025.md, 2025-02-01)\n"
    assert user.startswith(now)
    assert "<passage>\nFares of the Windle ferry (fares-2021.md, 2021-02-01)\n" in user
    assert "</passage>\nToday is 30 November 2026.\nQuestion: What does" in user


def test_the_name_of_a_file_is_searched(fares: Answerer) -> None:
    hits = fares.reader.search("2021", None)
    assert [hit.chunk.uri for hit in hits] == ["docs:fares-2021.md"]


def test_the_day_that_a_document_states_goes_before_its_files(world: World) -> None:
    for name, day, time in (("a", "2023-03-01", "09:00"), ("b", "2026-03-01", "08:00")):
        world.write(f"{name}.md", DATED.format(day=day, time=time))
    asked = answerer(world)
    question = "When does the harbour office open now?"
    assert "(b.md, 2026-03-01)\n" in prompt(asked, question)
    assert asked.evidence(question)[0].head.uri == "docs:b.md"
    assert asked.evidence("When did the harbour office open in 2023?")[0].head.uri == "docs:a.md"


@pytest.mark.parametrize(
    ("question", "fee"),
    [
        ("What is the mooring fee for a night at Brisk Haven today?", "16 crowns"),
        ("What is the mooring fee for a night at Brisk Haven now?", "16 crowns"),
        ("What was the mooring fee for a night at Brisk Haven last year?", "13 crowns"),
        ("What will the mooring fee for a night at Brisk Haven be next year?", "18 crowns"),
        ("What was the mooring fee for a night at Brisk Haven in 2025?", "13 crowns"),
    ],
)
def test_of_a_table_of_years_the_row_of_the_time_is_read(
    world: World, question: str, fee: str
) -> None:
    world.write("mooring.md", MOORING)
    (passage,) = answerer(world).evidence(question)
    assert fee in passage.text
    others = {"13 crowns", "16 crowns", "18 crowns"} - {fee}
    assert not any(other in passage.text for other in others)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_question_beside_two_pages_of_story_is_searched_and_asked(
    world: World, is_first: bool
) -> None:
    world.write("dsc.md", CALLING)
    for n in range(40):
        world.write(f"log{n}.md", f"# Day {n}\n\nIt rained while we waited by the slipway, {n}.")
    asked = answerer(world)
    question = "Which channel does Quern radio watch?"
    text = f"{question} {RAIN * 30}" if is_first else f"{RAIN * 30}{question}"
    assert asked.evidence(text)[0].head.uri == "docs:dsc.md"
    assert f"\nQuestion: {question}\n" in prompt(asked, text)
    assert asked.answer(text).question == text.strip()
