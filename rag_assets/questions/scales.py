"""What a comparison asks of each side: "was built first" asks when each was built."""

import re
from dataclasses import dataclass, replace

from rag_assets.questions.english import PERSONS, RELATIONS, inverted, is_past, singular
from rag_assets.questions.plan import AnswerType, How


@dataclass(frozen=True, slots=True)
class Scale:
    """One or two look-ups about ``{}``, and which of their answers wins.

    Attributes:
        asks: look-ups; the last gives what is compared. Of two dates, the time between them.
        how: most or least.
        wants: the type of the answers that are compared.
        word: how the question calls it.
        through: what the first look-up gives takes the place of ``{1}`` in the last.
    """

    asks: tuple[str, ...]
    how: How
    wants: AnswerType
    word: str
    through: bool = False


def _sizes() -> dict[str, tuple[str, How, AnswerType]]:
    more = "larger bigger longer taller higher heavier faster wider deeper thicker hotter stronger"
    plain = "large big long tall high heavy fast wide deep thick hot strong"
    less = "smaller shorter lower lighter slower narrower shallower thinner colder"
    of = "large long high heavy fast wide deep thick warm"
    known: dict[str, tuple[str, How, AnswerType]] = {}
    for word, adjective in zip(more.split(), plain.split(), strict=True):
        known[word] = (f"How {adjective} is {{}}?", "most", "measure")
    for word, adjective in zip(less.split(), of.split(), strict=True):
        known[word] = (f"How {adjective} is {{}}?", "least", "measure")
    cost, people = "How much does {} cost?", "How many people live in {}?"
    return known | {
        "warmer": ("How warm is {}?", "most", "measure"),
        "cheaper": (cost, "least", "money"),
        "less expensive": (cost, "least", "money"),
        "dearer": (cost, "most", "money"),
        "more expensive": (cost, "most", "money"),
        "more populous": (people, "most", "number"),
        "less populous": (people, "least", "number"),
    }


SIZES = _sizes()
_COMPARATIVE = {
    (f"{word[:-1]}st" if " " not in word else _least): word
    for word in SIZES
    for _least in [word.replace("more ", "most ").replace("less ", "least ")]
}
# When a thing came to be, by what it is; nobody asks when a ferry was born.
_RELEASED = "film movie album song book novel single version release update record"
_FOUNDED = """
    company band club school university museum firm yard newspaper magazine clinic hospital
    airline trust charity league team society party
"""
_BUILT = """
    vessel ship ferry boat catamaran tug building bridge lighthouse house church castle harbour
    pier station engine hall tower plant berth
"""
_SIGNED = "contract lease agreement treaty policy"
_AGES = (
    (PERSONS, "When was {} born?"),
    (frozenset(_RELEASED.split()), "When was {} released?"),
    (frozenset(_FOUNDED.split()), "When was {} founded?"),
    (frozenset(_BUILT.split()), "When was {} built?"),
    (frozenset(_SIGNED.split()), "When was {} signed?"),
)
_FIRST = frozenset(["first", "earlier", "earliest", "sooner", "soonest"])
_ORDER = (
    r"(?:the )?(?P<order>first|last|earliest|latest|earlier|later|sooner|soonest|most recently|"
    r"more recently)"
)
_PLACE = r"(?P<rest> (?:in|on|at|by|from|to|for|per|during) .+)?"
_ROLE = re.compile(
    rf"^(?:(?:whose|has (?:the|a)|had (?:the|a)|with the) (?P<role>{RELATIONS}))"
    r"(?: (?:who|that))?(?P<rest> .+)$",
    re.IGNORECASE,
)


def scale_of(said: str, noun: str = "") -> Scale | None:
    """What "is longer", "was built first" or "has more cars" asks; None where it is unclear.

    Args:
        said: of one of several things, without them.
        noun: what they are: "ferry"; "person" where the question asks who.
    """
    said = re.sub(r"\s+(?:than the other|of (?:the|these|those) (?:two|three)|of them)$", "", said)
    role = _ROLE.match(said)
    if role:
        rest = role["rest"].strip()
        verbal = re.match(r"(?:is|was|has|had)\b", rest) or inverted(rest.split()[0])
        inner = scale_of(rest if verbal else f"was {rest}", "person")
        if inner is None or len(inner.asks) > 1:
            return None
        asks = (
            f"Who is the {role['role'].casefold()} of {{}}?",
            inner.asks[0].replace("{}", "{1}"),
        )
        return replace(inner, asks=asks, through=True)
    return _in_time(said) or _older(said, noun) or _more(said) or _sized(said) or _lived(said)


def size_of(word: str) -> tuple[str, How, AnswerType] | None:
    """What a comparative or superlative asks of a thing."""
    word = word.casefold()
    return SIZES.get(_COMPARATIVE.get(word, word))


def _in_time(said: str) -> Scale | None:
    """Of "was born first", "came out earlier", "died later", "opens earliest"."""
    found = re.fullmatch(
        rf"(?P<be>is|was|were|are) {_ORDER} (?P<verb>\w+){_PLACE}", said, re.IGNORECASE
    ) or re.fullmatch(
        rf"(?:(?P<be>is|was|were|are|has been|did) )?(?P<verb>\w+(?: out| into service)?) "
        rf"{_ORDER}{_PLACE}",
        said,
        re.IGNORECASE,
    )
    if not found:
        return None
    order = found["order"].casefold()
    how: How = "least" if order in _FIRST else "most"
    head, _, particle = found["verb"].casefold().partition(" ")
    rest = f"{' ' if particle else ''}{particle}{found['rest'] or ''}"
    be = (found["be"] or "did").casefold()
    if be != "did":
        if not is_past(head) and head != "born":
            return None
        present = be in ("is", "are")
        ask = f"When {'is' if present else 'was'} {{}} {head}{rest}?"
        return Scale((ask,), how, "time" if present else "date", order)
    asks = inverted(head)
    if asks is None:
        return None
    # "Which film came out first": the past asks for a date, the present for a time of day.
    aux = "did" if found["be"] else asks[0]
    return Scale(
        (f"When {aux} {{}} {asks[1]}{rest}?",), how, "date" if aux == "did" else "time", order
    )


def _older(said: str, noun: str) -> Scale | None:
    found = re.fullmatch(
        r"(?:(?:is|was|are) )?(?:the )?(?P<word>older|oldest|younger|youngest|newer|newest)"
        r"(?: (?P<noun>[\w ]+))?",
        said,
        re.IGNORECASE,
    )
    if not found:
        return None
    noun = noun or found["noun"] or ""
    head = singular(noun.casefold().rpartition(" ")[2])
    how: How = "least" if found["word"].casefold().startswith("old") else "most"
    ask = next((ask for nouns, ask in _AGES if head in nouns), None)
    return Scale((ask,), how, "date", found["word"].casefold()) if ask else None


def _more(said: str) -> Scale | None:
    """Of "has more cars", "can carry the most passengers in winter", "costs less"."""
    found = re.fullmatch(
        r"(?P<verb>(?:(?:can|could|will|does|did) )?\w+) (?:the )?"
        rf"(?P<more>more|most|fewer|fewest|less|least)(?: (?P<noun>[\w ]+?))?{_PLACE}",
        said,
        re.IGNORECASE,
    )
    asks = None if found is None else _verb(found["verb"])
    if found is None or asks is None:
        return None
    how: How = "most" if found["more"].casefold() in ("more", "most") else "least"
    noun, rest = found["noun"] or "", found["rest"] or ""
    word = f"{found['more'].casefold()} {noun}".strip()
    aux, base = asks
    if not noun:
        wants = {"cost": "money", "weigh": "measure"}.get(base)
        ask = f"How much {aux} {{}} {base}{rest}?"
        if wants == "money":
            return Scale((ask,), how, "money", word)
        return Scale((ask,), how, "measure", word) if wants else None
    last = noun.rpartition(" ")[2]
    if last.endswith("s") or last in ("people", "children", "staff"):
        return Scale((f"How many {noun} {aux} {{}} {base}{rest}?",), how, "number", word)
    if re.match(r"(?:experience|power|fuel|space|room|money|water|energy|cargo|freight)\b", noun):
        return Scale((f"How much {noun} {aux} {{}} {base}{rest}?",), how, "measure", word)
    return None


def _verb(verb: str) -> tuple[str, str] | None:
    """Auxiliary and base of "can carry" or "carries"."""
    aux, _, base = verb.casefold().rpartition(" ")
    return (aux, base) if aux else inverted(base)


def _sized(said: str) -> Scale | None:
    """Of "is longer", "is the largest", "has the larger battery", "takes longer"."""
    lasting = re.fullmatch(
        r"(?P<verb>takes?|lasts?|took|lasted) (?:the )?(?P<word>longer|longest|shorter|shortest)",
        said,
        re.IGNORECASE,
    )
    if lasting:
        aux, base = inverted(lasting["verb"]) or ("does", "take")
        order: How = "most" if lasting["word"].startswith("long") else "least"
        return Scale((f"How long {aux} {{}} {base}?",), order, "duration", lasting["word"])
    found = re.fullmatch(
        r"(?P<verb>is|was|are|were|has|have|had|with|offers?|charges?)(?: the| an?)? "
        rf"(?P<word>(?:more|less|most|least) \w+|\w+)(?: (?P<noun>[\w' -]+?))?{_PLACE}",
        said,
        re.IGNORECASE,
    )
    size = size_of(found["word"]) if found else None
    if found is None or size is None:
        return None
    ask, how, wants = size
    word, noun, rest = found["word"].casefold(), found["noun"] or "", found["rest"] or ""
    verb = found["verb"].casefold()
    if verb in ("is", "was", "are", "were"):  # "is the larger vessel": the noun is what it is
        ask = ask.replace(" is ", " was ") if verb in ("was", "were") else ask
        return Scale((f"{ask[:-1]}{rest}?",), how, wants, word)
    if not noun:
        return None
    if wants == "money" or _MONEY.search(noun):
        return Scale((f"What is the {noun} of {{}}{rest}?",), how, "money", f"{word} {noun}")
    ask = ask.replace("{}", f"the {noun} of {{}}")
    return Scale((f"{ask[:-1]}{rest}?",), how, wants, f"{word} {noun}")


_MONEY = re.compile(r"\b(?:fare|price|fee|rent|salary|cost|budget|deposit|rate|revenue|tariff)s?$")


def is_money(noun: str) -> bool:
    """Whether a noun is an amount of money."""
    return _MONEY.search(noun.casefold()) is not None


def _lived(said: str) -> Scale | None:
    if not re.fullmatch(r"lived (?:the )?(?:longer|longest)", said, re.IGNORECASE):
        return None
    return Scale(("When was {} born?", "When did {} die?"), "most", "duration", "lived longer")
