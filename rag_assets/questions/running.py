"""Runs a plan: its look-ups, what is reckoned from them, and whether the outcome may be told.

A wrong program is worse than a plain reading. So an outcome is accepted only where each step that
it rests on was answered with confidence and the result is of the asked type, or one of the
choices. Where several things were asked, those that were found are told, and what is missing is
named.
"""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import pairwise

from rag_assets.questions.plan import (
    MOST_STEPS,
    AnswerType,
    Plan,
    Reckoning,
    Step,
    filled,
)
from rag_assets.questions.spans import is_of, read, yes_or_no
from rag_assets.questions.values import (
    IncommensurableError,
    Value,
    compared,
    difference,
    told,
    total,
)
from rag_assets.retrieval.terms import terms

AT_ONCE = 2  # look-ups; an engine on two cores gains nothing from more


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up found.

    Attributes:
        text: a short span.
        sure: whether the answer may rest on it.
        confidence: in [0, 1].
        reference: the look-up's own, handed through.
    """

    text: str
    sure: bool
    confidence: float
    reference: object


LookUp = Callable[[str, AnswerType], Found | None]


@dataclass(frozen=True, slots=True)
class Answered:
    """One look-up as it was asked, with what it found; None: nothing, or it was not asked."""

    question: str
    found: Found | None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the answer, and the indices in ``Outcome.steps`` that it rests on."""

    text: str
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a plan came to.

    Attributes:
        steps: its look-ups, in the order of the plan.
        text: the result, short; "" for none.
        sentences: the result and what it rests on, told.
        accepted: whether it may be told.
        reason: why not; "" where it may.
        missing: what was asked and not found, where a part is told.
    """

    steps: tuple[Answered, ...]
    text: str
    sentences: tuple[Sentence, ...]
    accepted: bool
    reason: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Node:
    """A step that is done.

    Attributes:
        text: its answer, "" for none.
        about: what it is told of.
        rests_on: indices of look-ups.
        why: there is no sure answer; "" where there is.
        value: of a reckoning with a number.
    """

    text: str
    about: str
    rests_on: tuple[int, ...]
    why: str = ""
    value: Value | None = None


def run(
    plan: Plan, look_up: LookUp, *, max_steps: int = MOST_STEPS, deadline: float | None = None
) -> Outcome:
    """Ask the look-ups of ``plan`` and combine what they find.

    Look-ups that need no other's answer are asked at the same time, by threads.

    Args:
        plan: what to do.
        look_up: asked in threads.
        max_steps: most look-ups.
        deadline: of ``time.monotonic()``, after which nothing more is asked or waited for.
    """
    lookups = [n for n, step in enumerate(plan.steps) if isinstance(step, Step)]
    if len(lookups) > max_steps:
        asked = tuple(Answered(step.question, None) for step in plan.lookups)
        return Outcome(asked, "", (), False, f"more than {max_steps} steps", ())
    answered, nodes = _asked(plan, look_up, deadline)
    return _outcome(plan, answered, nodes)


def _asked(
    plan: Plan, look_up: LookUp, deadline: float | None
) -> tuple[tuple[Answered, ...], list[_Node]]:
    nodes: dict[int, _Node] = {}
    answered: dict[int, Answered] = {}
    running: dict[Future[Found | None], tuple[int, str, str]] = {}
    indices = {
        n: i for i, n in enumerate(n for n, s in enumerate(plan.steps) if isinstance(s, Step))
    }
    pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="look-up")
    try:
        while len(nodes) < len(plan.steps):
            begun = {n for n, _, _ in running.values()}
            for n, step in enumerate(plan.steps):
                if n in nodes or n in begun or any(need - 1 not in nodes for need in step.needs):
                    continue
                if isinstance(step, Reckoning):
                    nodes[n] = _reckoned(plan, step, nodes)
                    continue
                question = _with_answers(step.question, nodes, n)
                about = _with_answers(step.about, nodes, n)
                lacking = [need for need in step.needs if nodes[need - 1].why]
                if lacking or _is_over(deadline):
                    why = nodes[lacking[0] - 1].why if lacking else "the time is over"
                    nodes[n] = _Node("", about, _rest(nodes, step.needs), why)
                    answered[n] = Answered(question, None)
                    continue
                running[pool.submit(look_up, question, step.wants)] = (n, question, about)
            if not running:
                continue
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            done, _ = wait(running, timeout=left, return_when=FIRST_COMPLETED)
            for future in done or list(running):
                n, question, about = running.pop(future)
                found = future.result() if future in done else None
                late = "" if future in done else "the time is over"
                step = plan.steps[n]
                rest = (*_rest(nodes, step.needs), indices[n])
                nodes[n] = _node(question, about, rest, found, late)
                answered[n] = Answered(question, found)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return tuple(answered[n] for n in sorted(answered)), [nodes[n] for n in range(len(nodes))]


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _with_answers(text: str, nodes: dict[int, _Node], n: int) -> str:
    texts = [nodes[i].text if i in nodes else "" for i in range(n)]
    return filled(text, [each or "?" for each in texts])


def _rest(nodes: dict[int, _Node], needs: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(i for need in needs for i in nodes[need - 1].rests_on))


def _node(
    question: str, about: str, rest: tuple[int, ...], found: Found | None, late: str
) -> _Node:
    if found is None or not found.text.strip():
        return _Node("", about, rest, late or f"nothing found: {question}")
    why = "" if found.sure else f"not sure: {question}"
    return _Node(found.text.strip().rstrip("."), about, rest, why)


def _reckoned(plan: Plan, step: Reckoning, nodes: dict[int, _Node]) -> _Node:
    rest = _rest(nodes, step.over)
    sides = [nodes[n - 1] for n in step.over]
    for side in sides:
        if side.why:
            return _Node("", "", rest, side.why)
    try:
        text, value = _combined(plan, step, sides)
    except IncommensurableError as error:
        return _Node("", "", rest, str(error))
    return _Node(text, step.about, rest, value=value)


def _combined(plan: Plan, step: Reckoning, sides: list[_Node]) -> tuple[str, Value | None]:
    if step.how == "same":
        return ("Yes" if _all_same(sides) else "No"), None
    if step.how == "both":
        said = [yes_or_no(side.text) for side in sides]
        if None in said:
            raise IncommensurableError("an answer is neither yes nor no")
        return ("Yes" if all(said) else "No"), None
    if step.how == "count":
        return str(len(_members(sides))), None
    values = [side.value or _value(plan, n, side) for n, side in zip(step.over, sides, strict=True)]
    if step.how == "sum":
        value = total(values)
        return told(value), value
    if step.how == "difference":
        if len(values) != 2:
            raise IncommensurableError("a difference is of two values")
        value = difference(*values)
        return _told_difference(value), value
    if step.how in ("above", "below"):
        sign = compared(values[0], values[1])
        return ("Yes" if sign == (1 if step.how == "above" else -1) else "No"), None
    return _best(step, sides, values), None


def _value(plan: Plan, number: int, side: _Node) -> Value:
    step = plan.steps[number - 1]
    wants: AnswerType = step.wants if isinstance(step, Step) else "text"
    value = read(side.text, wants) or read(side.text)
    if value is None:
        raise IncommensurableError(f'"{side.text}" is no single value')
    return value


def _best(step: Reckoning, sides: list[_Node], values: list[Value]) -> str:
    wanted = 1 if step.how == "most" else -1
    best = 0
    for n in range(1, len(values)):
        if compared(values[n], values[best]) == wanted:
            best = n
    equal = [n for n in range(len(values)) if n != best and compared(values[n], values[best]) == 0]
    if equal:
        raise IncommensurableError(f"{sides[best].about} and {sides[equal[0]].about} are equal")
    return sides[best].about or sides[best].text


def _all_same(sides: list[_Node]) -> bool:
    return all(_same(one.text, other.text) for one, other in pairwise(sides))


def _same(one: str, other: str) -> bool:
    values = read(one), read(other)
    if values[0] and values[1]:
        return compared(values[0], values[1]) == 0
    first, second = terms(one), terms(other)
    return bool(first and second) and (first <= second or second <= first)


def _members(sides: list[_Node]) -> set[str]:
    from rag_assets.questions.choices import listed

    return {member.casefold() for side in sides for member in listed(side.text)}


def _told_difference(value: Value) -> str:
    amount = replace(value, amount=abs(value.amount))
    text = told(amount)
    if value.unit == "percent":
        text = text.replace("percent", "percentage points")
    return f"{text} less" if value.amount < 0 else text


def _outcome(plan: Plan, answered: tuple[Answered, ...], nodes: list[_Node]) -> Outcome:
    results = [nodes[n - 1] for n in plan.results]
    told_nodes = [node for node in results if not node.why]
    if not told_nodes:
        return Outcome(answered, "", (), False, results[0].why, ())
    if len(results) == 1:
        why = _wrong_type(plan, results[0])
        if why:
            return Outcome(answered, results[0].text, (), False, why, ())
    missing = tuple(
        _name_of(plan.steps[n - 1], node)
        for n, node in zip(plan.results, results, strict=True)
        if node.why
    )
    text = "; ".join(
        f"{node.about}: {node.text}" if _is_listed(plan, n) else node.text
        for n, node in zip(plan.results, results, strict=True)
        if not node.why
    )
    return Outcome(answered, text, _sentences(plan, answered, nodes), True, "", missing)


def _is_listed(plan: Plan, number: int) -> bool:
    step = plan.steps[number - 1]
    return isinstance(step, Step) and bool(step.about) and len(plan.results) > 1


def _wrong_type(plan: Plan, node: _Node) -> str:
    if plan.choices and node.text.casefold() not in {c.casefold() for c in plan.choices}:
        return f'"{node.text}" is none of {", ".join(plan.choices)}'
    step = plan.steps[plan.results[0] - 1]
    if isinstance(step, Step) and not is_of(node.text, step.wants):
        return f'"{node.text}" is no {step.wants.replace("_", " ")}'
    return ""


def _name_of(step: Step | Reckoning, node: _Node) -> str:
    if isinstance(step, Reckoning):
        return step.word or step.how
    return node.about or step.question.replace("{", "").replace("}", "")


def _sentences(
    plan: Plan, answered: tuple[Answered, ...], nodes: list[_Node]
) -> tuple[Sentence, ...]:
    """Each step that a told result needs, then the result."""
    needed: set[int] = set()
    for number in plan.results:
        if not nodes[number - 1].why:
            _gather(plan, number, needed)
    sentences: list[Sentence] = []
    index = 0
    for number, (step, node) in enumerate(zip(plan.steps, nodes, strict=True), 1):
        if isinstance(step, Step):
            question = answered[index].question
            if number in needed:
                subject = f"{node.about}:" if _is_told_of(plan, number) else question
                sentences.append(Sentence(f"{subject} {node.text}.", (index,)))
            index += 1
        elif number in needed and number in plan.results:
            word = step.word or step.how
            label = "Difference" if step.how == "difference" else word[:1].upper() + word[1:]
            sentences.append(Sentence(f"{label}: {node.text}.", node.rests_on))
    return tuple(sentences)


def _is_told_of(plan: Plan, number: int) -> bool:
    """Whether a step's subject says enough: its answer is reckoned with, or one of a list."""
    step = plan.steps[number - 1]
    if not isinstance(step, Step) or not step.about or step.needs:
        return False
    if number in plan.results:
        return True
    return any(isinstance(other, Reckoning) and number in other.over for other in plan.steps)


def _gather(plan: Plan, number: int, into: set[int]) -> None:
    if number not in into:
        into.add(number)
        for need in plan.steps[number - 1].needs:
            _gather(plan, need, into)
