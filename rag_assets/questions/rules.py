"""The plan of a question by rule, or None where it is to be read as it stands.

Rules are for what English says in few ways. A plan that goes wrong costs more than none, so
where a rule is unsure of the words, it leaves the question whole.
"""

import re
from dataclasses import replace

from rag_assets.questions.asked import asked, language_of, names_in, wanted
from rag_assets.questions.bridging import bridged
from rag_assets.questions.comparing import compared
from rag_assets.questions.english import flat
from rag_assets.questions.parts import halves, over_things, over_years, referring, with_name
from rag_assets.questions.plan import (
    MOST_STEPS,
    Plan,
    Reckoning,
    Step,
    after,
    mark,
    side_by_side,
    single,
)

_MOST_WORDS = 60  # a longer one tells a story; its plan would be a guess
_DEEPEST = 3


def plan_of(question: str) -> Plan | None:
    """How ``question`` is taken apart; None where it is one look-up, or unclear."""
    text = flat(question)
    if not 3 < len(text.split()) <= _MOST_WORDS or language_of(text) != "en":
        return None
    if asked(text).kind in ("how_to", "summary", "corpus", "definition"):
        return None
    plan = _apart(text, 0)
    if plan is None or len(plan.steps) > MOST_STEPS or len(plan.steps) < 2:
        return None
    return plan


def _apart(text: str, depth: int) -> Plan | None:
    if depth > _DEEPEST:
        return None
    return _halves(text, depth) or _side(text) or _bridge(text, depth)


def _whole(text: str, depth: int) -> Plan:
    return _apart(text, depth + 1) or single(text, wanted(text)[0])


def _halves(text: str, depth: int) -> Plan | None:
    parts = halves(text)
    if not parts:
        return None
    plans = [_whole(parts[0], depth)]
    plan = replace(plans[0])
    for n, part in enumerate(parts[1:], 1):
        reference = referring(part, parts[:n])
        if reference:
            words, noun = reference
            plan = _refers(plan, part, words, noun, depth)
            continue
        named = with_name(part, parts[0], names_in(parts[0]))
        if named is None:
            return None
        plan = side_by_side([plan, _whole(named, depth)])
    return plan


def _refers(plan: Plan, part: str, words: str, noun: str, depth: int) -> Plan:
    """The plan with a part that speaks of the answer before: "that vessel", "that battery"."""
    result = plan.steps[plan.results[-1] - 1]
    letter = mark(part)
    asked_for = plan.lookups[-1].question
    thing = letter
    if isinstance(result, Reckoning) and re.search(rf"\b{noun}\b", result.word, re.IGNORECASE):
        thing = f"the {noun} of {letter}"  # "has the larger battery ...": the battery of the winner
    elif re.search(rf"\bthe {noun} of (?P<owner>[A-Z][\w ]+)", asked_for) and not re.match(
        rf"(?:which|what) {noun}\b", asked_for, re.IGNORECASE
    ):
        found = re.search(rf"\bthe {noun} of [A-Z][\w]*(?: [A-Z\d]\w*)*", asked_for)
        thing = found.group() if found else letter
    then = _whole(part.replace(words, thing), depth)
    if letter not in "".join(step.question for step in then.lookups):
        return side_by_side([plan, then])
    joined = after(replace(plan, results=plan.results[-1:]), then, letter)
    return Plan(joined.steps, (*plan.results, *joined.results))


def _side(text: str) -> Plan | None:
    plan = compared(text)
    if plan:
        return plan
    for pairs in (over_years(text), over_things(text)):
        if pairs:
            steps = tuple(Step(question, wanted(question)[0], about) for question, about in pairs)
            return Plan(steps, tuple(range(1, len(steps) + 1)))
    return None


def _bridge(text: str, depth: int) -> Plan | None:
    letter = mark(text)
    found = bridged(text, letter)
    if found is None:
        return None
    first = _apart(found.first, depth + 1) or single(found.first, found.wants)
    if len(first.results) != 1:
        return None
    return after(first, _whole(found.rest, depth), letter)


def rewritten(question: str) -> tuple[str, ...]:
    """Wordings to search by, beside the question itself: for an imperative its object alone.

    Keywords and questions are searched as they are.
    """
    text = flat(question)
    if asked(text).kind not in ("imperative", "list", "summary"):
        return ()
    bare = re.sub(
        r"^(?:please[, ]+)?(?:(?:can|could|would|will) you (?:please )?)?"
        r"(?:list|name|give|show|tell|find|enumerate|state|describe|explain|summari[sz]e|outline|"
        r"print|provide|identify|mention)(?: (?:me|us|about|out|a list of|all(?: of)?|the|every|each))*\s+",
        "", text, flags=re.IGNORECASE,
    ).rstrip("?. !")  # fmt: skip
    return (bare,) if bare and bare != text.rstrip("?. !") else ()
