"""A question that leans on the one before it, written out by rule: "And in 2024?", "Who built it?".

Rules are for English. What they do not understand is left to a model.
"""

import re

from rag_assets.questions.asked import names_in
from rag_assets.questions.english import AUXILIARY, QUESTION_WORD, inverted, is_past
from rag_assets.questions.parts import at_time, is_time, of_other

_STARTS = re.compile(
    r"^(?:(?:and|but|so|or|then|ok(?:ay)?|also|now|well|thanks|thank you)[,.]?\s+)+", re.IGNORECASE
)
_WHAT_ABOUT = re.compile(r"^(?:what|how) about\s+|^(?:und|et|y|e|en|och)\s+", re.IGNORECASE)
_ASKS = re.compile(
    r"^(?:(?:in|on|at|by|for|to|from|of|with|since|until|after|before|during|within|under) )?"
    rf"(?:{QUESTION_WORD}|{AUXILIARY})(?:'s)?\b",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"^(?:in|on|at|by|for|to|from|of|with|under|until|since|during|after|before|between|without)\b",
    re.IGNORECASE,
)
# Words that stand for something said before, unless a name in the question comes first.
_POINTS = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|that one|this one|those|these|"
    r"there|the (?:same|other|others|former|latter)|(?:that|this) [a-z]+|which one|"
    r"er|sie|ihn|ihm|dort|il|elle|ils|elles)\b",
    re.IGNORECASE,
)
# "How much does it cost to park?", "Is it possible to pay by card?", "Is there a lift on board?"
_EMPTY = re.compile(
    rf"\b(?:it (?:costs?|takes?|is|was|be|possible|allowed)\b.{{0,30}}\b(?:to|that)|"
    rf"(?:is|was) it (?:\w+ )?(?:to|that)|(?:does|will|did) it (?:cost|take) to|"
    rf"{AUXILIARY} there|there {AUXILIARY}|it rains?|that (?:is|are|was|were|has|have|can|must))\b",
    re.IGNORECASE,
)
_PLAIN = frozenset(["it", "its", "they", "them", "their", "he", "him", "his", "she", "her"])
_OF_PERSONS = frozenset(["he", "him", "his", "she", "her"])
# Questions whose answer is what the next one is about: "Who ...?", "Which ferry serves Fell?"
_FINDS = re.compile(
    rf"(?:who|whom)\b|(?:which|what) (?!{AUXILIARY}\b)(?P<noun>[a-z]+)\b", re.IGNORECASE
)
_MAKERS = frozenset(["company", "firm", "yard", "shipyard", "builder", "maker", "supplier"])
# What does something: "did the strike of the crews of Norrsund Line in 1990 last".
_DOES = re.compile(r"\b(?:do|does|did) (?P<what>the [a-z][\w' -]* (?:of|in|at|on) .+) [a-z]+$")
_SMALL = re.compile(r"go|goes|in|on|at|to|from|of|for|with|have|has|takes?|costs?")
MOST_WORDS = 6  # of a question that is a mere part of one


def leans(question: str) -> bool:
    """Whether a question leaves out, or points to, what only an earlier one says."""
    rest = _STARTS.sub("", question.strip())
    if _WHAT_ABOUT.match(rest):
        return True
    n_words = len(rest.split())
    is_part = not _ASKS.match(rest) and rest.endswith("?") and n_words <= MOST_WORDS
    if is_part or (_PREPOSITION.match(rest) and n_words < MOST_WORDS - 1):  # "At how many MW?"
        return True
    points = _POINTS.search(_EMPTY.sub(lambda found: " " * len(found[0]), rest))
    if points is None:
        return rest != question.strip() and not names_in(rest)
    names = names_in(rest)
    return not names or rest.find(names[0]) > points.start()


def written_out(question: str, before: str, answer: str = "") -> str | None:
    """The question so that it stands alone; None where the rules do not tell.

    Args:
        question: leans on the one before.
        before: stands alone.
        answer: to it.
    """
    rest = _STARTS.sub("", question.strip()).rstrip("?.! ")
    thing = _WHAT_ABOUT.sub("", rest)
    earlier = before.strip().rstrip("?.! ")
    if thing != rest or not _ASKS.match(rest):
        done = _about_other(earlier, thing)
    else:
        done = _about_same(rest, earlier, answer)
    return None if done is None else f"{done[0].upper()}{done[1:]}?"


def _about_other(before: str, thing: str) -> str | None:
    """The question before, about another time, place or thing."""
    if is_time(thing):
        return at_time(before, thing) or f"{before} {thing}"
    at = _PREPOSITION.match(thing)
    if at and (done := of_other(before, thing)):
        return done
    bare = thing[at.end() :].strip() if at else thing
    given = names_in(f"Of {bare}")
    if len(given) == 1 and bare.removeprefix("the ").startswith(given[0]):
        return _renamed(before, given[0])
    return f"{before} {thing}" if at and not given else None


def _renamed(before: str, name: str) -> str | None:
    """The question before about another of its kind: the name that shares a word, or the only."""
    names = names_in(before)
    alike = [one for one in names if set(one.split()) & set(name.split())]
    slots = alike or list(names)
    if len(slots) != 1 or before.count(slots[0]) != 1:
        return None
    return before.replace(slots[0], name)


def _about_same(rest: str, before: str, answer: str) -> str | None:
    """The question with the thing in place of the one word that points to it."""
    points = list(_POINTS.finditer(rest))
    if len(points) != 1:
        return None
    word = points[0][0].casefold()
    if word not in _PLAIN:
        return None
    found = [name for name in names_in(f"Of {answer}") if name not in before]
    names = names_in(before)
    if _finds(before, word) and len(found) == 1:
        thing = found[0]
    elif word in _OF_PERSONS or len(names) != 1 or " and " in names[0]:
        return None
    else:
        done = _DOES.search(before)
        thing = done["what"] if done else _whole(before, names[0])
    owner = word in ("its", "his", "their") or (word == "her" and rest[points[0].end() :].strip())
    said = f"{thing}'s" if owner else thing
    return f"{rest[: points[0].start()]}{said}{rest[points[0].end() :]}"


def _finds(before: str, word: str) -> bool:
    """Whether a pronoun may mean what the question before found."""
    found = _FINDS.match(before)
    if found is None:
        return False
    is_person = found["noun"] is None or found["noun"].casefold() in _MAKERS
    return (word in _OF_PERSONS) if is_person else word not in _OF_PERSONS


def _whole(before: str, name: str) -> str:
    """The name with its article and noun: "the Osprey ferry"."""
    found = re.search(rf"(?P<article>\bthe )?{re.escape(name)}(?P<noun> [a-z]+)?", before)
    if found is None or not found["article"]:
        return name
    noun = found["noun"] or ""
    verb = is_past(noun.strip()) or inverted(noun.strip()) or _SMALL.fullmatch(noun.strip())
    return f"the {name}{'' if verb else noun}"
