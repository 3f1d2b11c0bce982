"""A plan written by the language model, for questions that look composite and fit no rule.

It writes one step a line in the form of :class:`Plan`. Anything else it writes is no plan.
"""

import re
from dataclasses import replace
from typing import Final

from rag_assets.models.protocols import ChatModel, Message
from rag_assets.questions.asked import names_in
from rag_assets.questions.plan import HOWS, MOST_STEPS, SLOT, How, Plan, Reckoning, Step
from rag_assets.questions.wants import wanted
from rag_assets.retrieval.terms import terms

_MAX_TOKENS = 160  # five steps of thirty; a longer program has gone wrong
_SYSTEM = (
    "Split the question into short questions that a search can answer one by one. Write one step a "
    "line. {1} stands for the answer of step 1. End with a line that begins with result:. After "
    "it stand the number of a step, or several, or one of difference, sum, most, least, same with "
    "the numbers of steps."
)
_DEMONSTRATIONS: tuple[tuple[str, str], ...] = (
    (
        "In what city was the sculptor of the statue in front of Pell Library trained?",
        "1: Who is the sculptor of the statue in front of Pell Library?\n"
        "2: In what city was {1} trained?\nresult: 2",
    ),
    (
        "Is the Orchard Hall bigger than the Mill Hall?",
        "1: How big is the Orchard Hall?\n2: How big is the Mill Hall?\nresult: above 1 2",
    ),
    (
        "By how much did the rent of the print shop go up when it moved to Cobb Street?",
        "1: What was the rent of the print shop before it moved to Cobb Street?\n"
        "2: What is the rent of the print shop in Cobb Street?\nresult: difference 2 1",
    ),
    (
        "What do the beekeeper of Ashwell and the one of Thornby earn a month?",
        "1: What does the beekeeper of Ashwell earn a month?\n"
        "2: What does the beekeeper of Thornby earn a month?\nresult: 1 2",
    ),
    (
        "Which of the two reservoirs above Garsdale, Upper Mere and Lower Mere, holds less water?",
        "1: How much water does Upper Mere hold?\n2: How much water does Lower Mere hold?\n"
        "result: least 1 2",
    ),
    (
        "What does a night cost in the hotel where the chess club met in May?",
        "1: In which hotel did the chess club meet in May?\n2: What does a night cost in {1}?\n"
        "result: 2",
    ),
    (
        "Adding the seed order to the feed order, how much did the farm spend?",
        "1: How much did the farm spend on the seed order?\n"
        "2: How much did the farm spend on the feed order?\nresult: sum 1 2",
    ),
    (
        "Do the choirs of Hale and of Wick rehearse on the same evening?",
        "1: On which evening does the choir of Hale rehearse?\n"
        "2: On which evening does the choir of Wick rehearse?\nresult: same 1 2",
    ),
)  # fmt: skip
_LINE = re.compile(r"(?P<n>\d{1,2}): (?P<question>\S.*\?)")
_RESULT = re.compile(
    rf"result: (?:(?P<how>{'|'.join(HOWS)}) )?(?P<numbers>\d{{1,2}}(?:,? \d{{1,2}})*)"
)
# What an outcome of two values needs; a model forgets one easily.
_PAIRS: Final = frozenset({"difference", "above", "below"})


def messages_for(question: str) -> list[Message]:
    """The chat that asks for a plan; all but its end is the same for every question."""
    chat: list[Message] = [{"role": "system", "content": _SYSTEM}]
    for asked, program in _DEMONSTRATIONS:
        chat.append({"role": "user", "content": asked})
        chat.append({"role": "assistant", "content": program})
    return [*chat, {"role": "user", "content": question}]


def written_plan(question: str, model: ChatModel, *, timeout_s: float = 30.0) -> Plan | None:
    """The plan that ``model`` writes for ``question``; None where it writes none, or has no room.

    Raises:
        EngineUnavailableError: nobody answers.
        ModelRequestError: refused, or timed out.
    """
    messages = messages_for(question)
    if model.count_chat(messages) + _MAX_TOKENS > model.max_model_len:
        return None
    done = model.complete(messages, max_tokens=_MAX_TOKENS, timeout_s=timeout_s)
    return None if done.finish_reason == "length" else parsed(done.text, question)


def parsed(program: str, question: str) -> Plan | None:
    """A program as a plan; None unless every line is of the form and it has several steps.

    A first step that repeats the question is dropped.
    """
    lines = [line.strip() for line in program.strip().splitlines() if line.strip()]
    if not 2 <= len(lines) <= MOST_STEPS:
        return None
    result = _RESULT.fullmatch(lines[-1])
    steps: list[tuple[int, str]] = []
    for line in lines[:-1]:
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        steps.append((int(found["n"]), found["question"]))
    if result is None or [n for n, _ in steps] != list(range(1, len(steps) + 1)):
        return None
    numbers = [int(n) for n in re.findall(r"\d+", result["numbers"])]
    texts = [text for _, text in steps]
    if terms(texts[0]) == terms(question):
        if 1 in numbers or any("{1}" in text for text in texts):
            return None
        texts = [SLOT.sub(lambda m: f"{{{int(m.group(1)) - 1}}}", text) for text in texts[1:]]
        numbers = [n - 1 for n in numbers]
    if len(texts) < 2:
        return None
    return _built(texts, numbers, result["how"])


def _built(texts: list[str], numbers: list[int], how: str | None) -> Plan | None:
    steps: list[Step | Reckoning] = [Step(text, wanted(text)[0]) for text in texts]
    results, choices = tuple(numbers), tuple[str, ...]()
    if how is not None:
        known: How = next(name for name in HOWS if name == how)
        if len(numbers) != 2 if how in _PAIRS else len(numbers) < 2 and how != "count":
            return None
        if how in ("most", "least"):
            choices = _subjects(texts, numbers)
            if not choices:
                return None
            for number, subject in zip(numbers, choices, strict=True):
                steps[number - 1] = replace(steps[number - 1], about=subject)
        steps.append(Reckoning(known, results))
        results = (len(steps),)
    try:
        plan = Plan(tuple(steps), results, choices=choices)
    except ValueError:
        return None
    return plan if _all_used(plan) else None


def _subjects(texts: list[str], numbers: list[int]) -> tuple[str, ...]:
    """What each of some steps alone names; () where one names nothing, or several things."""
    if any(not 1 <= number <= len(texts) for number in numbers):
        return ()
    named = [set(names_in(texts[number - 1])) for number in numbers]
    subjects = []
    for n, names in enumerate(named):
        own = names.difference(*(other for m, other in enumerate(named) if m != n))
        if len(own) != 1:
            return ()
        subjects.append(own.pop())
    return tuple(subjects)


def _all_used(plan: Plan) -> bool:
    """Whether each step is a result or needed by another: a step for nothing is a mistake."""
    used = set(plan.results) | {need for step in plan.steps for need in step.needs}
    return used == set(range(1, len(plan.steps) + 1))


def looks_composite(question: str) -> bool:
    """Whether a plan may pay that no rule made: a clause, a comparison or several names."""
    return (
        len(question.split()) >= 8
        and re.search(
            r"\b(?:that|who|whose|which|where|when)\b.*\b(?:that|who|whose|which|where|when)\b"
            r"|\bthe \w+ (?:that|who|whose|where)\b|\b(?:more|less|fewer|\w+er) than\b"
            r"|\bsame\b|\bboth\b|\bdifference\b|\btogether\b|\btotal\b|'s \w+'s\b|\bof the \w+ of\b"
            r"|\b(?:earlier|later|first|last|older|younger|longer|larger|higher)\b.*\bor\b",
            question,
            re.IGNORECASE,
        )
        is not None
    )
