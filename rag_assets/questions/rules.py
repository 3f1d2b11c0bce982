"""The plan of a question by rule, or None where it is to be read as it stands.

Rules are for what English says in few ways. A plan that goes wrong costs more than none, so
where a rule is unsure of the words, it leaves the question whole.
"""

import re
from dataclasses import replace
from itertools import pairwise

from rag_assets.questions.agreeing import agreeing
from rag_assets.questions.asked import asked, language_of
from rag_assets.questions.bridging import bridged
from rag_assets.questions.comparing import compared
from rag_assets.questions.english import flat
from rag_assets.questions.parts import Reference, halves, over_things, over_years, referred
from rag_assets.questions.plan import (
    MOST_STEPS,
    Plan,
    Reckoning,
    Step,
    after,
    mark,
    shifted,
    side_by_side,
    single,
)
from rag_assets.questions.summing import summed
from rag_assets.questions.wants import wanted

_MOST_WORDS = 60  # a longer one tells a story; its plan would be a guess
_DEEPEST = 4


def plan_of(question: str) -> Plan | None:
    """How ``question`` is taken apart; None where it is one look-up, or unclear."""
    text = flat(question)
    if not 3 < len(text.split()) <= _MOST_WORDS or language_of(text) != "en":
        return None
    if asked(text).kind in ("how_to", "summary", "corpus", "definition"):
        return None
    plan = _apart(text, 0)
    return plan if plan and 2 <= len(plan.steps) <= MOST_STEPS else None


def _apart(text: str, depth: int) -> Plan | None:
    if depth > _DEEPEST:
        return None
    return _parts(text, depth) or _sides(text, depth) or _bridge(text, depth)


def _whole(text: str, depth: int) -> Plan:
    return _apart(text, depth + 1) or single(text, asked(text).wants)


def _parts(text: str, depth: int) -> Plan | None:
    questions = halves(text)
    if not questions:
        return None
    plan = _whole(questions[0], depth)
    for before, part in pairwise(questions):
        try:
            reference = referred(part, before)
        except LookupError:
            return None
        if reference is None:
            plan = side_by_side([plan, _whole(part, depth)])
        elif reference.thing:
            named = _put(part, reference, reference.thing)
            plan = side_by_side([plan, _whole(named, depth)])
        else:
            plan = _referring(plan, part, reference, depth)
    return plan


def _referring(plan: Plan, part: str, reference: Reference, depth: int) -> Plan:
    """The plan with a part that speaks of the answer before it: "that vessel", "that battery"."""
    result, letter = plan.steps[plan.results[-1] - 1], mark(part)
    noun = reference.noun
    thing = letter
    if isinstance(result, Reckoning) and noun and re.search(rf"\b{noun}\b", result.word):
        thing = f"the {noun} of {letter}"  # of the one with the larger battery
    then = _whole(_put(part, reference, thing), depth)
    joined = after(replace(plan, results=plan.results[-1:]), then, letter)
    return Plan(joined.steps, (*plan.results, *joined.results))


def _put(part: str, reference: Reference, thing: str) -> str:
    owned = reference.words.casefold() in ("its", "their", "his", "her")
    named = f"{thing}'s" if owned else thing
    return re.sub(rf"\b{re.escape(reference.words)}\b", named, part, count=1)


def _sides(text: str, depth: int) -> Plan | None:
    plan = compared(text) or agreeing(text) or summed(text)
    if plan:
        return _with_bridges(plan, depth)
    for pairs in (over_years(text), over_things(text)):
        if pairs:
            steps = tuple(Step(question, wanted(question)[0], about) for question, about in pairs)
            return Plan(steps, tuple(range(1, len(steps) + 1)))
    return None


def _with_bridges(plan: Plan, depth: int) -> Plan:
    """The plan with those of its look-ups in two that hold a clause or a relation."""
    steps: list[Step | Reckoning] = []
    moved: dict[int, int] = {}  # old number: new number
    for number, step in enumerate(plan.steps, 1):
        if isinstance(step, Reckoning):
            steps.append(replace(step, over=tuple(moved[n] for n in step.over)))
        else:
            inner = None if step.needs else _bridge(step.question, depth + 1)
            if inner is None:
                steps.append(_renumbered(step, moved))
            else:
                *before, last = (shifted(each, len(steps)) for each in inner.steps)
                steps.extend(before)
                if isinstance(last, Step):
                    last = replace(last, wants=step.wants, about=step.about)
                steps.append(last)
        moved[number] = len(steps)
    return replace(plan, steps=tuple(steps), results=tuple(moved[n] for n in plan.results))


def _renumbered(step: Step, moved: dict[int, int]) -> Step:
    question = step.question
    for need in step.needs:
        question = question.replace(f"{{{need}}}", f"{{{moved[need]}}}")
    return replace(step, question=question)


def _bridge(text: str, depth: int) -> Plan | None:
    letter = mark(text)
    found = bridged(text, letter)
    if found is None:
        return None
    first = _bridge(found.first, depth + 1) or single(found.first, found.wants)
    return after(first, _whole(found.rest, depth), letter)


_OBJECT = re.compile(
    r"^(?:please,? )?(?:(?:can|could|would|will) you (?:please )?)?"
    r"(?:list|name|give|show|tell|find|enumerate|state|describe|explain|summari[sz]e|outline|"
    r"print|provide|identify|mention)"
    r"(?: (?:me|us|about|out|a list of|all(?: of)?|the|every|each))* ",
    re.IGNORECASE,
)


def rewritten(question: str) -> tuple[str, ...]:
    """Wordings to search by beside the question itself: of an imperative, its object alone.

    Keywords and questions are searched as they are.
    """
    text = flat(question).rstrip("?. !")
    bare = _OBJECT.sub("", text)
    return (bare,) if bare and bare != text else ()
