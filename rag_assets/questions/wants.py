"""The type of the answer that a question wants: a number, a date, a person."""

import re

from rag_assets.questions.english import (
    AUXILIARY,
    PERSONS,
    PLACES,
    QUESTION_WORD,
    is_finite,
    is_past,
    singular,
)
from rag_assets.questions.plan import AnswerType

_OPENING = re.compile(
    rf"^(?:(?:and|but|so|according to [^,]+,|in [^,]+,|on [^,]+,|at [^,]+,)\s+)?"
    rf"(?P<prep>in|on|at|by|for|to|from|of|with|under|below|above|until|since|after|about)?\s*"
    rf"(?P<word>{QUESTION_WORD})\b\s*(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_DURATION_UNIT = re.compile(r"^(?:seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?)$")
_MEASURES = (
    r"(?:far|deep|high|wide|tall|heavy|big|large|fast|hot|cold|thick|loud|close|steep|warm|strong)"
)
_NOUN_TYPES: tuple[tuple[AnswerType, str], ...] = (
    ("date", r"year|date|day|month|birthday|birth date|deadline|century|decade|weekday"),
    ("time", r"time|hour"),
    ("money", r"fare|price|fee|cost|rent|salary|wage|budget|deposit|charge|rate|fine|premium|"
              r"revenue|turnover|profit|penalty|allowance|amount|sum|rental|toll|grant|subsidy"),
    ("duration", r"duration|notice period|warranty period|period|length of stay|age|lifetime|"
                 r"travel time|crossing time|term"),
    ("measure", r"speed|length|weight|height|width|depth|beam|draught|draft|tonnage|capacity|"
                r"distance|temperature|area|volume|power|pressure|limit|size|visibility|"
                r"displacement|voltage|consumption|wind limit|range|elevation|diameter"),
    ("number", r"number|count|population|total|percentage|share|punctuality|score|channel|"
               r"attendance|proportion|ratio|quantity|extension"),
    ("version", r"version|release"),
    ("name", r"name|company|yard|firm|organi[sz]ation|vessel|ship|ferry|boat|film|song|book|album|"
             r"band|airline|language|nationality|brand"),
)  # fmt: skip


_NOUNS = tuple((kind, f"(?:{nouns})") for kind, nouns in _NOUN_TYPES)
_ANY_NOUN = frozenset(
    form for _, nouns in _NOUN_TYPES for noun in nouns.split("|") for form in (noun, f"{noun}s")
)


def wanted(question: str) -> tuple[AnswerType, str]:
    """Type of the answer, and the words of its unit or of what is counted."""
    found = _OPENING.match(question)
    if not found:
        return _elsewhere(question)
    word, rest = found["word"].casefold(), found["rest"]
    if word in ("who", "whom", "whose"):
        return ("person", "") if word != "whose" else ("text", "")
    if word == "where":
        return "place", ""
    if word == "when":
        return ("time", "") if _CLOCK.search(rest) else ("date", "")
    if word == "why":
        return "text", ""
    if word == "how":
        return _how(rest)
    return _what(rest)


_CLOCK = re.compile(
    r"\b(?:opens?|closes?|departs?|arrives?|leaves?|sails?|starts?|begins?|ends?|runs?)\b"
    r"(?!.*\bin (?:19|20)\d\d)",
    re.IGNORECASE,
)


def _how(rest: str) -> tuple[AnswerType, str]:
    many = re.match(r"(?:many|few)\s+(?:more\s+|fewer\s+)?(.*)", rest, re.IGNORECASE)
    if many:
        unit = _head(many.group(1))
        return ("duration", unit) if _DURATION_UNIT.match(unit) else ("number", unit)
    much = re.match(r"(?:much|expensive|cheap)\b\s*(.*)", rest, re.IGNORECASE)
    if much:
        after = much.group(1)
        if re.match(
            r"(?:more\s+|less\s+)?(?:does|do|did|is|are|was|were|will|would)\b", after, re.I
        ):
            costs = re.search(
                r"\b(?:cost|pay|paid|fare|fee|price|charge[sd]?|earn|worth|rent|ticket|budget|"
                r"allowance|spend|spent|owe|expensive)\b", question_rest := rest, re.IGNORECASE,
            )  # fmt: skip
            return ("money", "") if costs or question_rest[:4] != "much" else ("text", "")
        return "measure", _head(after)
    if re.match(r"(?:long|old)\b", rest, re.IGNORECASE):
        lasting = re.search(
            r"\b(?:take|took|last|valid|keep|kept|stay|wait|old|live[sd]?)\b", rest, re.I
        )
        return ("duration" if lasting else "measure"), ""
    if re.match(r"(?:soon|late|early)\b", rest, re.IGNORECASE):
        return "time", ""
    if re.match(r"often\b", rest, re.IGNORECASE):
        return "text", ""
    return ("measure", "") if re.match(rf"{_MEASURES}\b", rest, re.IGNORECASE) else ("text", "")


_IN_UNIT = re.compile(
    r"\bin (?P<unit>euros?|percent|[a-zA-Z]+/[a-zA-Z]+|kWh|km|knots|metres|meters|tonnes|"
    r"(?:million|thousand) \w+)(?=\W*$| (?:for|of|on|at|in)\b)"
)
_COSTS = re.compile(r"\bcosts?\W*$|\bcosts? (?:now|today|in)\b", re.IGNORECASE)
_BEHIND = "of for on in at to from that which who per with now today"
_ENDS_NOUN = frozenset(_BEHIND.split())


def _what(rest: str) -> tuple[AnswerType, str]:
    found = _IN_UNIT.search(rest)
    unit = found["unit"] if found else ""
    if re.match(r"(?:kind|type|sort) of\b", rest, re.IGNORECASE):
        return "text", ""
    if _COSTS.search(rest):
        return "money", unit
    return _type_of(_noun(rest)), unit


def _noun(rest: str) -> str:
    """The noun phrase that "what" asks for: of "is the rent of X" and of "company built X"."""
    words = rest.rstrip("?. ").casefold().split()
    while words and re.fullmatch(rf"{AUXILIARY}|be|the|an?|your|my|our|its", words[0]):
        words.pop(0)
    noun: list[str] = []
    for word in words[:6]:
        verb = re.fullmatch(AUXILIARY, word) or (noun and (is_past(word) or is_finite(word)))
        if word in _ENDS_NOUN or (verb and word not in _ANY_NOUN):
            break
        noun.append(word)
    return " ".join(noun)


def _type_of(noun: str) -> AnswerType:
    head = singular(noun.rpartition(" ")[2])
    if head in PERSONS:
        return "person"
    if head in PLACES:
        return "place"
    return next((kind for kind, nouns in _NOUNS if re.search(rf"(?:^|\s){nouns}s?$", noun)), "text")


_FOREIGN: tuple[tuple[AnswerType, str], ...] = (
    ("money", r"was kostet|was kosten|wie ?viel kostet|combien coûte|quanto costa|cuánto cuesta"),
    ("person", r"wer|wem|wen|qui|quién|chi|wie is|vem|hvem"),
    ("date", r"wann|quand|cuándo|quando|wanneer|när|hvornår"),
    ("duration", r"wie lange"),
    ("measure", r"wie (?:hoch|tief|schnell|schwer|weit|groß|lang|breit)"),
    ("number", r"wie ?viele?|combien|cuánt[oa]s?|quant[oie]|hoeveel|hur många|hvor mange"),
    ("place", r"wo|où|dónde|dove|waar|var|hvor"),
)


def _elsewhere(question: str) -> tuple[AnswerType, str]:
    """Types of questions in other languages, by their first words."""
    found = (kind for kind, words in _FOREIGN if re.match(rf"(?:{words})\b", question, re.I))
    return next(found, "text"), ""


_COUNTED_END = re.compile(
    rf"\b(?:{AUXILIARY}|of|in|on|at|for|from|to|per|with|that|who|which|travel\w*|serve|live|"
    r"fit|work|belong|are|before|after|than|by|each)\b",
    re.IGNORECASE,
)


def _head(text: str) -> str:
    """The noun phrase at the beginning of ``text``."""
    end = _COUNTED_END.search(text)
    words = text[: end.start() if end else len(text)].strip(" ?.,").split()
    return " ".join(words[:3])
