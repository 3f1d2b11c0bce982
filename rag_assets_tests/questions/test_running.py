import threading
import time

import pytest

from rag_assets.questions.plan import AnswerType, Plan, Reckoning, Step
from rag_assets.questions.rules import plan_of
from rag_assets.questions.running import Found, LookUp, Outcome, run


def look_up(answers: dict[str, str], unsure: frozenset[str] = frozenset()) -> LookUp:
    def found(question: str, wants: AnswerType) -> Found | None:
        text = answers.get(question)
        return None if text is None else Found(text, question not in unsure, 0.9, f"ref {question}")

    return found


def outcome(question: str, answers: dict[str, str], *unsure: str) -> Outcome:
    plan = plan_of(question)
    assert plan is not None
    return run(plan, look_up(answers, frozenset(unsure)))


def told(found: Outcome) -> str:
    """The sentences with the numbers of the steps that they rest on."""
    return " ".join(
        f"{sentence.text} {''.join(f'[{n + 1}]' for n in sentence.steps)}"
        for sentence in found.sentences
    )


def test_a_bridge_asks_with_the_answer_before() -> None:
    found = outcome(
        "How many cars can the ferry that serves Route 9 carry?",
        {"Which ferry serves Route 9?": "MV Gull", "How many cars can MV Gull carry?": "64 cars"},
    )
    assert (found.text, found.accepted) == ("64 cars", True)
    assert [step.question for step in found.steps] == [
        "Which ferry serves Route 9?",
        "How many cars can MV Gull carry?",
    ]
    assert found.steps[1].found is not None
    assert found.steps[1].found.reference == "ref How many cars can MV Gull carry?"
    assert told(found) == (
        "Which ferry serves Route 9? MV Gull. [1] How many cars can MV Gull carry? 64 cars. [2]"
    )


LENGTHS = {"How long is MV Petrel?": "62.4 m", "How long is MV Gull?": "0.058 km"}


@pytest.mark.parametrize(
    ("question", "answers", "text"),
    [
        ("Which ferry is longer, MV Petrel or MV Gull?", LENGTHS, "MV Petrel"),
        ("Which ferry is shorter, MV Petrel or MV Gull?", LENGTHS, "MV Gull"),
        ("Is MV Petrel longer than MV Gull?", LENGTHS, "Yes"),
        ("Is MV Gull longer than MV Petrel?", LENGTHS, "No"),
        ("How much longer is MV Petrel than MV Gull?", LENGTHS, "4.4 m"),
        ("How much longer is MV Gull than MV Petrel?", LENGTHS, "0.0044 km less"),
        (
            "Was Quillbase 4.2 or Quillbase 4.10 released later?",
            {
                "When was Quillbase 4.2 released?": "in March 2022",
                "When was Quillbase 4.10 released?": "4 May 2023",
            },
            "Quillbase 4.10",
        ),
        (
            "How many cars do MV Petrel and MV Gull carry altogether?",
            {
                "How many cars does MV Petrel carry?": "fifty-six",
                "How many cars does MV Gull carry?": "1'250 cars",
            },
            "1,306 cars",
        ),
        (
            "Are MV Petrel and MV Gull both catamarans?",
            {"Is MV Petrel a catamaran?": "Yes", "Is MV Gull a catamaran?": "No, a monohull"},
            "No",
        ),
        (
            "Were Ada Norgate and Tom Birk from the same town?",
            {
                "Which town was Ada Norgate from?": "Selwick",
                "Which town was Tom Birk from?": "the town of Selwick",
            },
            "Yes",
        ),
        (
            "Who lived longer, Ada Norgate or Tom Birk?",
            {
                "When was Ada Norgate born?": "3 March 1900",
                "When did Ada Norgate die?": "4 March 1950",
                "When was Tom Birk born?": "1 June 1900",
                "When did Tom Birk die?": "1 June 1949",
            },
            "Ada Norgate",
        ),
        (
            "By how much did the share of the Clock Museum rise from 2022 to 2023?",
            {
                "What was the share of the Clock Museum in 2022?": "91.4 percent",
                "What was the share of the Clock Museum in 2023?": "94.6 %",
            },
            "3.2 percentage points",
        ),
        (
            "How long are MV Petrel, MV Gull and MV Tarn?",
            LENGTHS | {"How long is MV Tarn?": "30 m"},
            "MV Petrel: 62.4 m; MV Gull: 0.058 km; MV Tarn: 30 m",
        ),
    ],
)  # fmt: skip
def test_combined(question: str, answers: dict[str, str], text: str) -> None:
    found = outcome(question, answers)
    assert (found.text, found.accepted, found.reason) == (text, True, "")


def test_what_a_comparison_rests_on() -> None:
    found = outcome("Which ferry is longer, MV Petrel or MV Gull?", LENGTHS)
    assert told(found) == "MV Petrel: 62.4 m. [1] MV Gull: 0.058 km. [2] Longer: MV Petrel. [1][2]"


@pytest.mark.parametrize(
    ("answers", "unsure", "reason"),
    [
        ({"How long is MV Petrel?": "62.4 m"}, (), "nothing found: How long is MV Gull?"),
        (LENGTHS, ("How long is MV Gull?",), "not sure: How long is MV Gull?"),
        (LENGTHS | {"How long is MV Gull?": "3 hours"}, (), "62.4 m is no amount of hour"),
        (LENGTHS | {"How long is MV Gull?": "very"}, (), '"very" is no single value'),
        (LENGTHS | {"How long is MV Gull?": "62.4 metres"}, (), "MV Petrel and MV Gull are equal"),
    ],
)
def test_a_comparison_without_both_sides_is_not_accepted(
    answers: dict[str, str], unsure: tuple[str, ...], reason: str
) -> None:
    found = outcome("Which ferry is longer, MV Petrel or MV Gull?", answers, *unsure)
    assert (found.accepted, found.reason, found.sentences) == (False, reason, ())


def test_a_result_of_another_type_is_not_accepted() -> None:
    answers = {"Which ferry serves Route 9?": "MV Gull", "How many cars can MV Gull carry?": "many"}
    found = outcome("How many cars can the ferry that serves Route 9 carry?", answers)
    assert (found.accepted, found.reason) == (False, '"many" is no number')


def test_a_bridge_that_is_not_found_asks_no_further() -> None:
    found = outcome("How many cars can the ferry that serves Route 9 carry?", {})
    assert [step.found for step in found.steps] == [None, None]
    assert (found.accepted, found.reason) == (False, "nothing found: Which ferry serves Route 9?")


def test_a_missing_part_is_named() -> None:
    found = outcome(
        "How long is MV Petrel, and what is the draught of MV Gull?",
        {"How long is MV Petrel?": "62.4 m"},
    )
    assert (found.text, found.accepted) == ("62.4 m", True)
    assert found.missing == ("What is the draught of MV Gull?",)
    assert told(found) == "How long is MV Petrel? 62.4 m. [1]"


def test_a_missing_member_of_a_list_is_named() -> None:
    found = outcome("How long are MV Petrel, MV Gull and MV Tarn?", LENGTHS)
    assert (found.accepted, found.missing) == (True, ("MV Tarn",))


def test_the_winner_is_asked_about() -> None:
    found = outcome(
        "Which boat has the larger tank, MV Petrel or MV Gull, and how much does that tank hold?",
        {
            "How large is the tank of MV Petrel?": "300 l",
            "How large is the tank of MV Gull?": "500 litres",
            "How much does the tank of MV Gull hold?": "500",
        },
    )
    assert found.text == "MV Gull; 500"
    assert found.sentences[-1].steps == (2,)


def test_too_many_steps_are_not_begun() -> None:
    plan = plan_of("How long are MV Petrel, MV Gull and MV Tarn?")
    assert plan is not None
    found = run(plan, look_up(LENGTHS), max_steps=2)
    assert (found.accepted, found.reason) == (False, "more than 2 steps")


def test_nothing_is_asked_after_the_deadline() -> None:
    plan = plan_of("Which ferry is longer, MV Petrel or MV Gull?")
    assert plan is not None
    found = run(plan, look_up(LENGTHS), deadline=time.monotonic() - 1)
    assert (found.accepted, found.reason) == (False, "the time is over")


def test_a_look_up_that_hangs_is_not_waited_for() -> None:
    ends = threading.Event()

    def hangs(question: str, wants: AnswerType) -> Found | None:
        if "Gull" in question:
            ends.wait(60)
        return Found("62 m", True, 0.9, None)

    plan = plan_of("Which ferry is longer, MV Petrel or MV Gull?")
    assert plan is not None
    try:
        found = run(plan, hangs, deadline=time.monotonic() + 0.2)
    finally:
        ends.set()
    assert (found.accepted, found.reason) == (False, "the time is over")


def test_independent_steps_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)

    def meets(question: str, wants: AnswerType) -> Found | None:
        both.wait()
        return Found(LENGTHS[question], True, 0.9, None)

    plan = plan_of("Which ferry is longer, MV Petrel or MV Gull?")
    assert plan is not None
    assert run(plan, meets).text == "MV Petrel"


def test_a_fault_of_the_look_up_is_the_callers() -> None:
    def fails(question: str, wants: AnswerType) -> Found | None:
        raise RuntimeError("engine")

    plan = plan_of("Which ferry is longer, MV Petrel or MV Gull?")
    assert plan is not None
    with pytest.raises(RuntimeError, match="engine"):
        run(plan, fails)


def test_count_of_an_enumeration() -> None:
    plan = Plan((Step("Which wards are there?"), Reckoning("count", (1,))), (2,))
    assert run(plan, look_up({"Which wards are there?": "Red, Blue and Green"})).text == "3"


@pytest.mark.parametrize(
    ("steps", "results"),
    [
        ((Step("What is {1}?"),), (1,)),
        ((Step("What?"),), ()),
        ((Step("What?"),), (2,)),
        ((Step("What?"), Reckoning("sum", ())), (2,)),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(
    steps: tuple[Step | Reckoning, ...], results: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"step|results"):
        Plan(steps, results)
