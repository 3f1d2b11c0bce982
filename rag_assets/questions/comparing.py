"""Comparisons: each side is looked up by itself, and code says which is more.

"Which ferry is longer, A or B?", "Which of A, B and C was built first?", "Is A longer than B?"
"""

import re
from collections.abc import Sequence

from rag_assets.questions.choices import options_of
from rag_assets.questions.english import inverted, is_past
from rag_assets.questions.plan import AnswerType, Plan, Reckoning, Step
from rag_assets.questions.scales import Scale, scale_of

_MOST_OPTIONS = 5
_SAYS = re.compile(
    r"is|are|was|were|has|have|had|can|could|does|did|whose|with|will", re.IGNORECASE
)


def compared(question: str) -> Plan | None:
    """The plan of a question that asks which of some things is more, or whether one is."""
    text = question.rstrip("?. ")
    return _choice(text) or _than(text)


def _choice(text: str) -> Plan | None:
    options = options_of(text)
    if not 2 <= len(options) <= _MOST_OPTIONS:
        return None
    for said, noun in _readings(text, options):
        scale = scale_of(said, noun)
        if scale:
            return _ranked(options, scale)
    return None


def _readings(text: str, options: Sequence[str]) -> list[tuple[str, str]]:
    """What the question says of one of its options, and what they are; likeliest first."""
    first, last = re.escape(options[0]), re.escape(options[-1])
    span = rf"(?:either |(?:the )?(?:film )?)?{first}.*?{last}"
    for pattern in (
        rf"^(?P<head>.+?)\s*(?:[,:]|,? \b(?:out of|between|among|of|is it|was it))\s*{span}$",
        rf"^(?:between|of|out of|among) {span},\s*(?P<head>.+)$",
        rf"^which(?: one)? of {span} (?P<said>.+)$",
        rf"^(?P<be>was|were|is|are|did) {span} (?P<said>.+)$",
        rf"^(?P<head>(?:who|which|what)\b.+?) {span}$",
    ):
        found = re.search(pattern, text, re.IGNORECASE)
        if not found:
            continue
        groups = found.groupdict()
        if groups.get("head"):
            return _heads(found["head"].strip(" ,"))
        be = (groups.get("be") or "").casefold()
        return [(f"{be} {found['said']}".strip(), "")]
    return []


def _heads(head: str) -> list[tuple[str, str]]:
    """The noun and what is said, of "which ferry is longer"."""
    words = head.split()
    if words[0].casefold() not in ("who", "which", "what"):
        return []
    person = "person" if words[0].casefold() == "who" else ""
    readings = []
    for n in range(1, min(7, len(words))):
        if _SAYS.fullmatch(words[n]) or inverted(words[n]) or is_past(words[n]):
            noun = " ".join(words[1:n])
            readings.append((" ".join(words[n:]), person or ("" if noun == "one" else noun)))
    return readings


def _ranked(options: Sequence[str], scale: Scale) -> Plan:
    steps: list[Step | Reckoning] = []
    over: list[int] = []
    for option in options:
        begin = len(steps)
        for n, ask in enumerate(scale.asks):
            question = ask.replace("{1}", f"{{{begin + 1}}}").replace("{}", option)
            last = n == len(scale.asks) - 1
            wants: AnswerType = scale.wants if last else "person"
            if scale.wants == "duration" and len(scale.asks) == 2:
                wants = "date"
            steps.append(Step(question, wants, option))
        if len(scale.asks) == 2 and not scale.through:  # a life, from its first to its last day
            steps.append(Reckoning("difference", (begin + 2, begin + 1), about=option))
        over.append(len(steps))
    steps.append(Reckoning(scale.how, tuple(over), scale.word))
    return Plan(tuple(steps), (len(steps),), "name", tuple(options))


_THAN = re.compile(
    r"^(?P<aux>is|was|does|did|can|has) (?P<middle>.+?) than (?P<b>.+?)(?: (?:is|was|does|did|"
    r"can))?$",
    re.IGNORECASE,
)


def _than(text: str) -> Plan | None:
    """Of "Is A longer than B?", "Does A carry more cars than B?"."""
    found = _THAN.match(text)
    if not found or not is_one_thing(found["b"]):
        return None
    words, aux = found["middle"].split(), found["aux"].casefold()
    for n in range(1, len(words)):
        one = " ".join(words[:n])
        if not is_one_thing(one):
            continue
        said = " ".join(words[n:])
        scale = scale_of(said if said.startswith("has ") else f"{aux} {said}")
        if scale and len(scale.asks) == 1:
            steps = [
                Step(scale.asks[0].replace("{}", thing), scale.wants, thing)
                for thing in (one, found["b"])
            ]
            how = Reckoning("above" if scale.how == "most" else "below", (1, 2), scale.word)
            return Plan((*steps, how), (3,), "yes_no")
    return None


def is_one_thing(thing: str) -> bool:
    """Whether words name one thing: a name or "the ...", no clause, no enumeration."""
    return (
        len(thing.split()) <= 8
        and re.match(r"(?:the|an?|its|route|line|unit)\b|[A-Z\d\"\ue000-\uf8ff]", thing) is not None
        and not re.search(r",|\b(?:and|or|who|which|that|it|there)\b", thing, re.IGNORECASE)
    )
