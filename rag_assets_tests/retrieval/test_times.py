"""The time that a question asks about."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.index.search import IndexedChunk
from rag_assets.retrieval.times import (
    NO_TIMES,
    Span,
    Times,
    dated,
    is_of_now,
    period_of,
    timeliness,
    wanted_times,
    without_time,
)
from rag_assets_tests.answers.world import FERRIES, chunks_of

TODAY = date(2026, 11, 30)


def years(first: int, last: int = 0) -> Span:
    return Span(date(first, 1, 1), date(last or first, 12, 31))


@pytest.mark.parametrize(
    ("question", "spans", "words"),
    [
        ("What does a ticket cost in 2025?", [years(2025)], ()),
        ("How did it change between 2022 and 2024?", [years(2022, 2024)], ()),
        ("Wie war es zwischen 2022 und 2024?", [years(2022, 2024)], ()),
        ("What was the fee last year?", [years(2025)], ("2025",)),
        ("Was kostete es letztes Jahr?", [years(2025)], ("2025",)),
        ("¿Cuánto costó el año pasado?", [years(2025)], ("2025",)),
        ("What will it cost next year?", [years(2027)], ("2027",)),
        ("Which report is of last month?", [Span(date(2026, 10, 1), date(2026, 10, 31))],
         ("October", "2026")),
        ("What was decided in March 2024?", [Span(date(2024, 3, 1), date(2024, 3, 31))], ()),
        ("minutes 2024-02", [Span(date(2024, 2, 1), date(2024, 2, 29))], ()),
        ("Who has been the master since 2021?", [Span(date(2021, 1, 1), date.max)], ()),
        ("What weight does it bear, is 1800 kg too much?", [], ()),
        ("Can it carry a load of 2000 kg?", [], ()),
        ("Is the kiosk open at 1930?", [], ()),
        ("How many seats are there?", [], ()),
    ],
)  # fmt: skip
def test_times_of_questions(question: str, spans: list[Span], words: tuple[str, ...]) -> None:
    assert wanted_times(question, TODAY) == Times(tuple(spans), newest=False, words=words)


@pytest.mark.parametrize(
    "question",
    [
        "What does a return ticket cost now?",
        "What is the mooring fee today?",
        "Who is the current captain?",
        "Which is the newest report?",
        "Was kostet ein Ticket heute?",
        "Quel est le prix actuel ?",
        "¿Cuánto cuesta ahora?",
    ],
)
def test_how_things_are_now(question: str) -> None:
    assert wanted_times(question, TODAY) == Times((), newest=True, words=("2026",))


@given(st.text(max_size=80), st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_any_text_has_times_or_none(question: str, today: date) -> None:
    found = wanted_times(question, today)
    assert all(span.first <= span.last for span in found.spans)


def chunk(uri: str, title: str = "Fares of the ferry", **fields: object) -> IndexedChunk:
    given = replace(chunks_of(FERRIES[2])[0], uri=uri, title=title, heading_path=[title])
    return replace(given, **fields)  # type: ignore[arg-type]


OLD, NEW = chunk("docs:fares-2021.md"), chunk("docs:fares-2025.md")


def test_without_a_time_nothing_changes() -> None:
    assert timeliness([OLD, NEW], NO_TIMES) == [1.0, 1.0]


@pytest.mark.parametrize(
    "of_2025",
    [
        NEW,
        chunk("docs:a.md", "Fares of 2025"),
        chunk("docs:2025/02/a.md"),
        chunk("docs:a.md", stated="2025-02-03"),
        chunk("docs:a.md", modified_at=datetime(2025, 2, 1, tzinfo=UTC)),
        chunk("docs:fares-2024-2025.md"),
    ],
)
def test_what_is_of_the_time_is_lifted(of_2025: IndexedChunk) -> None:
    first, second = timeliness([OLD, of_2025], wanted_times("What did it cost in 2025?", TODAY))
    assert second > first == 1.0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (OLD, NEW),
        (chunk("docs:a.md", stated="2023-01-01"), chunk("docs:b.md", stated="2024-01-01")),
        (chunk("docs:fares-v2.9.md"), chunk("docs:fares-v2.10.md")),
        (chunk("docs:x.md", "Fares, March 2024"), chunk("docs:y.md", "Fares, May 2024")),
        (chunk("docs:x.md", "Fares rev B"), chunk("docs:y.md", "Fares rev C")),
    ],
)  # fmt: skip
def test_the_newest_of_one_name_comes_first(old: IndexedChunk, new: IndexedChunk) -> None:
    times = wanted_times("What does it cost now?", TODAY)
    first, second = timeliness([old, new], times)
    assert second > 1.7 * first
    assert timeliness([new, old], times) == [second, first]


def test_of_different_names_the_newer_is_lifted_a_little() -> None:
    other = chunk("docs:mooring-2021.md", "Mooring fees")
    first, second = timeliness([other, NEW], wanted_times("What does it cost now?", TODAY))
    assert first == 1.0
    assert 1.0 < second < 1.5


@pytest.mark.parametrize(
    ("question", "written"),
    [
        ("What was the fee last year?", "What was the fee in 2025?"),
        ("What was last year's fee?", "What was the 2025 fee?"),
        ("Has it risen since last year?", "Has it risen since 2025?"),
        ("What did it cost the year before last?", "What did it cost in 2024?"),
        ("Last year, who won?", "In 2025, who won?"),
        ("What will it cost next month?", "What will it cost in December 2026?"),
        ("Who is on duty tomorrow?", "Who is on duty on 1 December 2026?"),
        ("Was kostete es letztes Jahr?", "Was kostete es im Jahr 2025?"),
        ("Was kostet es seit dem letzten Jahr?", "Was kostet es seit 2025?"),
        ("In the last year of the war", "In the last year of the war"),
        ("What is the fee today?", "What is the fee today?"),
    ],
)
def test_a_time_that_is_left_to_the_calendar_is_written_out(question: str, written: str) -> None:
    assert dated(question, date(2026, 11, 30)) == written


@pytest.mark.parametrize(
    ("question", "rest"),
    [
        ("What was the fee in 2025?", "What was the fee?"),
        ("What was the fee in March 2024?", "What was the fee?"),
        ("Who is on duty on 1 December 2026?", "Who is on duty?"),
        ("What is the fee now?", "What is the fee?"),
        ("Was kostet es im Jahr 2025?", "Was kostet es?"),
        ("Did it rise between 2022 and 2024?", "Did it rise between 2022 and 2024?"),
        ("What is the fee?", "What is the fee?"),
    ],
)
def test_the_one_time_of_a_question_is_taken_out(question: str, rest: str) -> None:
    assert without_time(question) == rest


@pytest.mark.parametrize(
    ("question", "is_now"),
    [
        ("What is the fee?", True), ("What does it cost now?", True),
        ("Was kostet es heute?", True), ("What was the fee?", False),
        ("When does it open?", False), ("List all fees that are due", False),
    ],
)  # fmt: skip
def test_it_is_told_whether_a_question_is_of_now(question: str, is_now: bool) -> None:
    assert is_of_now(question) == is_now
    assert bool(period_of(question, date(2026, 11, 30)).spans) == is_now
