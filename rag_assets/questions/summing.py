"""Differences and sums: each operand is looked up by itself, and code reckons.

"How many more cars does A carry than B?", "By how much did X rise from 2022 to 2023?", "the total
cost of A and B".
"""

import re
from collections.abc import Sequence

from rag_assets.questions.choices import listed
from rag_assets.questions.comparing import is_one_thing
from rag_assets.questions.english import is_plural, singular
from rag_assets.questions.plan import AnswerType, Plan, Reckoning, Step
from rag_assets.questions.scales import is_money, size_of

_YEAR = r"(?:1[5-9]\d\d|20\d\d)"
_MORE = re.compile(
    r"^how (?:many|much) (?P<more>more|fewer|less) (?P<noun>[\w ]+?) (?P<aux>can|does|did|has|"
    r"will) "
    rf"(?P<a>.+?) (?P<verb>[a-z]+) than (?P<b>.+?)(?P<rest> in {_YEAR})?$",
    re.IGNORECASE,
)
_BEING = re.compile(
    r"^(?:by )?how (?:much|many \w+) (?P<word>\w+er|(?:more|less) expensive) (?P<be>is|was) "
    r"(?P<a>.+?) than (?P<b>.+)$",
    re.IGNORECASE,
)
_COSTING = re.compile(
    r"^how much (?P<more>more|less) (?P<aux>does|did) (?P<a>.+?) (?P<verb>cost|weigh) than "
    r"(?P<b>.+)$",
    re.IGNORECASE,
)
_DOWN = r"fall|drop|decrease|decline|shrink|go down"
_GROWING = re.compile(
    r"^by how (?:many (?P<unit>[\w ]+?)|much) (?:did|has) (?P<what>.+?) "
    rf"(?P<verb>grow|rise|increase|change|go up|{_DOWN}) "
    rf"(?:from|between) (?P<from>{_YEAR}) (?:to|and) (?P<to>{_YEAR})$",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    r"^(?:what (?:is|was) the |how (?:big|large) (?:is|was) the )difference "
    r"(?:in (?P<in>[\w ]+) )?between (?P<list>.+ and .+)$",
    re.IGNORECASE,
)
_OF_BOTH = re.compile(
    r"^the (?P<noun>[\w ]+?) (?P<prep>of|in|on|for|at) (?P<a>.+) and (?!the [\w ]+ of\b)(?P<b>.+)$"
)
_TOGETHER = re.compile(
    r"^how (?P<many>many|much) (?P<noun>[\w ]*?)\s?(?P<aux>do|did|can|have|will) (?P<list>.+ and "
    r".+?) "
    r"(?P<verb>[a-z]+)(?P<rest> (?:in|on|at|per|for) [^,]+?)? "
    r"(?:altogether|together|in total|combined|in all)$",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    r"^what (?:is|was) the (?:(?:total|combined) (?P<noun>[\w ]+?)|"
    r"(?:sum|total) of the (?P<noun2>[\w ]+?)) (?P<prep>of|on|for|in) (?P<list>.+ and .+)$",
    re.IGNORECASE,
)
_MOST_OPERANDS = 6


def summed(question: str) -> Plan | None:
    """The plan of a question for a difference or a sum; None if it is for none."""
    text = question.rstrip("?. ")
    return _more(text) or _grown(text) or _between(text) or _together(text)


def _more(text: str) -> Plan | None:
    found = _MORE.match(text)
    if found:
        many = "many" if is_plural(found["noun"]) else "much"
        verb = f"{found['verb']}{found['rest'] or ''}"
        ask = f"How {many} {found['noun']} {found['aux']} {{}} {verb}?"
        return _minus(ask, (found["a"], found["b"]), "number", found["more"] != "more")
    found = _BEING.match(text)
    size = size_of(found["word"]) if found else None
    if found and size:
        ask, how, wants = size
        ask = ask.replace(" is ", f" {found['be'].casefold()} ")
        return _minus(ask, (found["a"], found["b"]), wants, how == "least")
    found = _COSTING.match(text)
    if found:
        kind: AnswerType = "money" if found["verb"].casefold() == "cost" else "measure"
        ask = f"How much {found['aux']} {{}} {found['verb']}?"
        return _minus(ask, (found["a"], found["b"]), kind, found["more"] == "less")
    return None


def _grown(text: str) -> Plan | None:
    found = _GROWING.match(text)
    if not found:
        return None
    down = re.fullmatch(_DOWN, found["verb"], re.IGNORECASE) is not None
    wants: AnswerType = "money" if is_money(found["what"].partition(" of ")[0]) else "number"
    steps = [
        Step(f"What was {found['what']} in {year}?", wants, year)
        for year in (found["from"], found["to"])
    ]
    over = (1, 2) if down else (2, 1)
    return Plan((*steps, Reckoning("difference", over, "difference")), (3,), wants)


def _between(text: str) -> Plan | None:
    found = _BETWEEN.match(text)
    if not found:
        return None
    things = listed(found["list"])
    if found["in"]:
        ask = f"What is the {found['in']} of {{}}?"
        wants: AnswerType = "money" if is_money(found["in"]) else "number"
        return _minus(ask, things, wants, swapped=False) if len(things) == 2 else None
    shared = _OF_BOTH.match(found["list"])
    if shared and is_one_thing(shared["a"]) and is_one_thing(shared["b"]):
        ask = f"What is the {shared['noun']} {shared['prep']} {{}}?"
        kind: AnswerType = "money" if is_money(shared["noun"]) else "number"
        return _minus(ask, (shared["a"], shared["b"]), kind, swapped=False)
    if len(things) == 2 and all(
        re.match(r"the [\w ]+ (?:of|in|on|for|at) ", each) for each in things
    ):
        steps = [Step(f"What is {thing}?", "number", thing) for thing in things]
        return Plan((*steps, Reckoning("difference", (1, 2), "difference")), (3,), "number")
    return None


def _minus(ask: str, things: Sequence[str], wants: AnswerType, swapped: bool) -> Plan | None:
    if not all(is_one_thing(thing) for thing in things):
        return None
    steps = [Step(ask.replace("{}", thing), wants, thing) for thing in things]
    over = (2, 1) if swapped else (1, 2)
    return Plan((*steps, Reckoning("difference", over, "difference")), (3,), wants)


def _together(text: str) -> Plan | None:
    found = _TOGETHER.match(text)
    if found:
        aux = {"do": "does", "have": "has"}.get(found["aux"].casefold(), found["aux"].casefold())
        noun = f"{found['noun']} " if found["noun"] else ""
        ask = f"How {found['many']} {noun}{aux} {{}} {found['verb']}{found['rest'] or ''}?"
        return _plus(ask, listed(found["list"]), "number" if found["many"] == "many" else "money")
    found = _TOTAL.match(text)
    if found:
        noun = singular(found["noun"] or found["noun2"])
        ask = f"What is the {noun} {found['prep']} {{}}?"
        return _plus(ask, listed(found["list"]), "money" if is_money(noun) else "number")
    return None


def _plus(ask: str, things: Sequence[str], wants: AnswerType) -> Plan | None:
    if not 2 <= len(things) <= _MOST_OPERANDS or not all(is_one_thing(thing) for thing in things):
        return None
    steps = [Step(ask.replace("{}", thing), wants, thing) for thing in things]
    over = tuple(range(1, len(steps) + 1))
    return Plan((*steps, Reckoning("sum", over, "altogether")), (len(steps) + 1,), wants)
