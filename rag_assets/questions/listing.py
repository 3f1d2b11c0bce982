"""Questions about all things of a kind: "List the boats", "How many boats ...?", "the newest boat".

What such a question says is parted into the things, what is asked of them, and the condition that
they meet. Which list or table of the documents holds them is another room's work.
"""

import re
from dataclasses import dataclass
from typing import Literal

from rag_assets.questions.english import flat, inverted, is_finite, is_plural, singular
from rag_assets.questions.plan import How
from rag_assets.questions.scales import size_of

Asks = Literal["all", "pick"]

_DETERMINER = r"(?:(?:all|every|each|both|of|the|these|those|any|other)\s+)*"
_LEADS = (
    re.compile(
        r"^(?:please\s+)?(?:list|name|enumerate|(?:give|show|tell)(?:\s+me)?)(?:\s+me)?\s+"
        rf"(?:(?:a|the)\s+(?:full\s+|complete\s+)?list\s+of\s+)?{_DETERMINER}(?P<said>.+)$",
        re.IGNORECASE,
    ),
    re.compile(
        r"^(?:(?:in|on|at|of|for)\s+[^?,]{2,60},?\s+)?(?P<count>how\s+many|what\s+(?:is|was)\s+the\s+"
        rf"number\s+of)\s+{_DETERMINER}(?P<said>.+)$",
        re.IGNORECASE,
    ),
    re.compile(rf"^(?:what|which)\s+(?:are|were)\s+{_DETERMINER}(?P<said>.+)$", re.IGNORECASE),
    re.compile(rf"^(?:what|which)\s+{_DETERMINER}(?P<said>.+)$", re.IGNORECASE),
)
_GERMAN = re.compile(
    r"^(?i:(?P<count>wie\s*viele)|welche|nenne?|liste)\s+(?:(?:alle|die|der|mir|auf)\s+)*"
    r"(?P<noun>[A-ZÄÖÜ][\w-]+)(?P<rest>\b.*)$",
)
_SUPERLATIVE = r"(?P<most>(?:most|least)\s+(?:expensive|populous)|[a-z]{3,}est|most|least)"
_PICKS = (
    # "Which is the newest boat of the trust?", "What was the largest order in May?"
    re.compile(
        rf"^(?:what|which|who)\s+(?:is|was|are|were)\s+the\s+{_SUPERLATIVE}\s+(?P<noun>[\w-]+)"
        r"(?P<rest>\b.*)$",
        re.IGNORECASE,
    ),
    # "Which boat is the newest?", "Which vessel has the largest battery?", "... carries most cars?"
    re.compile(
        rf"^(?:what|which)\s+(?P<noun>[\w-]+)\s+(?:\w+\s+)??(?:\w+\s+)?(?:the\s+)?{_SUPERLATIVE}"
        r"(?P<rest>\b.*)$",
        re.IGNORECASE,
    ),
)
_ORDERS: dict[str, tuple[How, str]] = {
    "newest": ("most", "date"), "latest": ("most", "date"), "youngest": ("most", "date"),
    "oldest": ("least", "date"), "earliest": ("least", "date"),
    "most": ("most", "number"), "fewest": ("least", "number"), "least": ("least", "number"),
    "greatest": ("most", "number"),
}  # fmt: skip
MOST_NOUNS = 4
_NEGATED = re.compile(
    r"\b(?:not|never|without|cannot|no|lacks?|except)\b|n[\u2019']t\b", re.IGNORECASE
)
_VALUE = r"[^?,;]*?\d[^?,;]*?"
_LIMIT = re.compile(
    r"\b(?P<word>after|since|from|before|until|by|over|above|exceeding|more\s+than|longer\s+than|"
    r"(?:no|not)\s+fewer\s+than|at\s+least|under|below|less\s+than|fewer\s+than|at\s+most|up\s+to|"
    r"(?:[a-z]{3,}er|(?:more|less)\s+[a-z]{5,})\s+than)\s+"
    rf"(?P<value>(?:the\s+)?(?:end\s+of\s+)?{_VALUE})(?=$|\?|,|;|\s+(?:and|or|in|at|on|by|to|of)\b)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    rf"\bbetween\s+(?P<low>{_VALUE})\s+and\s+(?P<high>{_VALUE})(?=$|\?|,|;|\s+(?:and|or|in|at)\b)",
    re.IGNORECASE,
)
_LOWER_OPEN = ("after", "over", "above", "exceeding")
_LOWER_CLOSED = ("since", "from", "at least")
_UPPER_OPEN = ("before", "under", "below")


@dataclass(frozen=True, slots=True)
class Bound:
    """What a value has to be: more, less, or as much at least or at most.

    Attributes:
        value: as the question writes it.
        sign: 1 for values above it, -1 for values below it.
        closed: whether the value itself is one.
    """

    value: str
    sign: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What is asked of all things of a kind.

    Attributes:
        noun: what the things are: "navigation lamps"; its last word is the kind.
        asks: for all that meet the condition, or for the one that has most or least of something.
        counts: whether their number is asked for.
        rest: what the question says beside the noun, its bounds left out.
        bounds: that a value of each has to keep.
        said: the word before the bounds: "launched" of "launched after 1990".
        negated: whether those are asked for that do not meet the condition.
        how: which end is picked.
        of: what decides: "date", "number" or the adjective of a size, such as "long".
    """

    noun: str
    asks: Asks
    counts: bool
    rest: str
    bounds: tuple[Bound, ...] = ()
    said: str = ""
    negated: bool = False
    how: How = "most"
    of: str = ""

    @property
    def kind(self) -> str:
        """The noun's last word."""
        return self.noun.split()[-1]


def listing_of(question: str) -> Listing | None:
    """What a question asks of all things of a kind; None where it does not."""
    text = flat(question).rstrip("?.! ")
    if picked := _picked(text):
        return picked
    if german := _GERMAN.match(text):
        return _of_all(german["noun"], german["rest"], counts=german["count"] is not None)
    for lead in _LEADS:
        if found := lead.match(text):
            counts = "count" in lead.groupindex and found["count"] is not None
            before = text[: found.start("count")] if counts else ""
            noun, rest = _noun_and_rest(found["said"])
            return _of_all(noun, f"{before} {rest}", counts=counts) if noun else None
    return None


def _noun_and_rest(said: str) -> tuple[str, str]:
    """The words up to the first plural, and what follows; "" where none is near the beginning."""
    words = said.split()
    for n, word in enumerate(words[:MOST_NOUNS]):
        bare = word.strip(",;:")
        if not re.fullmatch(r"[\w'&.-]+", bare) or is_finite(bare):
            break
        if is_plural(bare) and bare.islower() and len(bare) > 3:
            if n and inverted(singular(bare)):
                break  # "which ferry carries cars": a verb
            return " ".join([*words[:n], bare]), " ".join(words[n + 1 :])
    return "", ""


def _of_all(noun: str, rest: str, *, counts: bool) -> Listing:
    modifiers = noun.split()[:-1]
    bounds, said, of, rest = _bounds(rest.strip())
    negated = _NEGATED.search(rest) is not None
    told = " ".join([*modifiers, _NEGATED.sub(" ", rest)])
    return Listing(noun, "all", counts, told, bounds, said, negated, of=of)


def _picked(text: str) -> Listing | None:
    for pattern in _PICKS:
        found = pattern.match(text)
        if found is None:
            continue
        most = " ".join(found["most"].casefold().split())
        if most in _ORDERS:
            how, of = _ORDERS[most]
        elif size := size_of(most):
            how, of = size[1], _size(size[0])
        else:
            continue
        return Listing(found["noun"], "pick", False, found["rest"].strip(), how=how, of=of)
    return None


def _size(ask: str) -> str:
    return ask.removesuffix(" is {}?").removeprefix("How ")


def _bounds(rest: str) -> tuple[tuple[Bound, ...], str, str, str]:
    """The bounds of a condition, the word before them, the size, and the condition without them."""
    between = _BETWEEN.search(rest)
    if between:
        bounds = (Bound(between["low"], 1, True), Bound(between["high"], -1, True))
        said, left = _around(rest, between.start(), between.end())
        return bounds, said, "", left
    found = _LIMIT.search(rest)
    if found is None:
        return (), "", "", rest
    word, of = " ".join(found["word"].casefold().split()), ""
    value = re.sub(r"^(?:the\s+)?(?:end\s+of\s+)?", "", found["value"], flags=re.IGNORECASE)
    if word in ("no fewer than", "not fewer than", *_LOWER_CLOSED):
        bound = Bound(value, 1, True)
    elif word in ("until", "by", "at most", "up to"):
        bound = Bound(value, -1, True)
    elif word in _LOWER_OPEN:
        bound = Bound(value, 1, False)
    elif word in _UPPER_OPEN:
        bound = Bound(value, -1, False)
    else:
        less = word.startswith(("less", "fewer")) or _is_less(word.split()[-2])
        bound = Bound(value, -1 if less else 1, False)
        size = size_of(word.removesuffix(" than"))
        of = _size(size[0]) if size else ""
    said, left = _around(rest, found.start(), found.end())
    return (bound,), said, of, left


def _is_less(comparative: str) -> bool:
    size = size_of(comparative)
    return comparative in ("older", "earlier", "sooner") or (
        size is not None and size[1] == "least"
    )


def _around(rest: str, start: int, end: int) -> tuple[str, str]:
    *before, said = rest[:start].split() or [""]
    return said, f"{' '.join(before)} {rest[end:]}".strip()
