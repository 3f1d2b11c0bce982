"""The little grammar of English that taking a question apart needs: verbs and nouns by their form.

Words that are not known here leave a question whole, which costs less than a wrong step.
"""

import re
from typing import Final

_IRREGULAR = """
    be was/were been; become became become; begin began begun; break broke broken;
    bring brought brought; build built built; buy bought bought; catch caught caught;
    choose chose chosen; come came come; cost cost cost; cut cut cut; do did done; draw drew drawn;
    drive drove driven; eat ate eaten; fall fell fallen; find found found; fly flew flown;
    get got got; give gave given; go went gone; grow grew grown; have had had; hear heard heard;
    hold held held; keep kept kept; know knew known; lay laid laid; lead led led;
    leave left left; lend lent lent; lie lay lain; lose lost lost; make made made; meet met met;
    pay paid paid; put put put; read read read; ride rode ridden; rise rose risen; run ran run;
    say said said; see saw seen; sell sold sold; send sent sent; set set set; show showed shown;
    shut shut shut; sign signed signed; sing sang sung; sink sank sunk; speak spoke spoken;
    spend spent spent; stand stood stood; strike struck struck; swim swam swum; take took taken;
    teach taught taught; tell told told; think thought thought; throw threw thrown;
    wear wore worn; win won won; write wrote written
"""
# Verbs that a question about things ends its subject with: "... the vessel that X carry?"
_REGULAR = """
    accept add allow answer apply approve arrive ask attend award belong berth board call cancel
    carry change charge check close collect compete connect contain copy cover cross decide deliver
    depart die direct display earn emit employ end enter expire fail finish fix follow found grant
    happen hire house include install introduce invest investigate join last launch leave license
    like list live load locate manage manufacture marry measure mention move name need offer open
    operate order own paint park pass perform plan play produce promise prove provide publish
    record refund release remain remove renew rent repair replace report represent require
    reserve resign retire return reveal review sail save schedule score serve ship show sign sit
    sleep start state stay stop store supply support talk terminate test train transport travel
    turn use visit vote wait want weigh work
"""
_VOWELS = "aeiou"


def _past(verb: str) -> str:
    if verb.endswith("e"):
        return f"{verb}d"
    if verb.endswith("y") and verb[-2] not in _VOWELS:
        return f"{verb[:-1]}ied"
    if verb in ("plan", "stop", "ship"):
        return f"{verb}{verb[-1]}ed"
    return f"{verb}ed"


def _third(verb: str) -> str:
    if verb in ("be", "have"):
        return {"be": "is", "have": "has"}[verb]
    if verb.endswith("y") and verb[-2] not in _VOWELS:
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else f"{verb}s"


def _table() -> tuple[dict[str, str], dict[str, str], frozenset[str]]:
    past: dict[str, str] = {}
    third: dict[str, str] = {}
    participles: set[str] = set()
    for line in _IRREGULAR.split(";"):
        base, pasts, participle = line.split()
        past |= dict.fromkeys(pasts.split("/"), base)
        third[_third(base)] = base
        participles.add(participle)
    for verb in _REGULAR.split():
        past.setdefault(_past(verb), verb)
        third.setdefault(_third(verb), verb)
        participles.add(_past(verb))
    del past["found"]  # of "find", and a verb of its own
    return past, third, frozenset(participles)


_PAST, _THIRD, PARTICIPLES = _table()


def flat(text: str) -> str:
    """The text on one line, with straight apostrophes."""
    return " ".join(text.translate(_APOSTROPHES).split())


_APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u02bc\u2018"), "'")
BASE_FORMS: Final = frozenset(_PAST.values()) | frozenset(_THIRD.values())
AUXILIARY: Final = (
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must)"
)
QUESTION_WORD: Final = r"(?:who|whom|whose|what|which|where|when|why|how)"
_ADVERB = re.compile(
    r"(?:\w+ly|also|always|never|often|once|now|still|then|first|last|most|not)", re.IGNORECASE
)
_AUX = re.compile(AUXILIARY, re.IGNORECASE)


def inverted(verb: str) -> tuple[str, str] | None:
    """Auxiliary and base form that ask with a verb: ("did", "carry") of "carried"."""
    verb = verb.casefold()
    if verb in _THIRD:
        return "does", _THIRD[verb]
    if verb in _PAST:
        return "did", _PAST[verb]
    if verb in BASE_FORMS:
        return "do", verb
    return None


def is_finite(word: str) -> bool:
    """Whether a word is a verb that may follow "the vessel that"."""
    word = word.casefold()
    return bool(_AUX.fullmatch(word)) or word in _THIRD or word in _PAST or is_past(word)


def is_past(word: str) -> bool:
    """Whether a word looks like a past form or a participle."""
    word = word.casefold()
    return word in _PAST or word in PARTICIPLES or (len(word) > 4 and word.endswith("ed"))


def is_adverb(word: str) -> bool:
    """Whether a word may stand between "that" and its verb."""
    return _ADVERB.fullmatch(word) is not None


def singular(noun: str) -> str:
    """The noun for one of it: "captains" to "captain"."""
    last = noun.rpartition(" ")[2].casefold()
    if last in _ODD:
        return noun[: len(noun) - len(last)] + _ODD[last]
    if last.endswith(("ss", "us", "is")) or not last.endswith("s"):
        return noun
    if last.endswith("ies") and len(last) > 4:
        return f"{noun[:-3]}y"
    if last.endswith(("ches", "shes", "sses", "xes")):
        return noun[:-2]
    return noun[:-1]


def is_plural(noun: str) -> bool:
    """Whether a noun stands for several."""
    return singular(noun) != noun


_ODD: Final = {"men": "man", "women": "woman", "people": "person", "children": "child"}
PERSONS: Final = frozenset(
    [
        "person",
        "man",
        "woman",
        "boy",
        "girl",
        "child",
        "people",
        "captain",
        "master",
        "engineer",
        "director",
        "manager",
        "officer",
        "author",
        "writer",
        "poet",
        "painter",
        "artist",
        "sculptor",
        "architect",
        "designer",
        "composer",
        "singer",
        "performer",
        "actor",
        "actress",
        "musician",
        "player",
        "coach",
        "driver",
        "pilot",
        "crewman",
        "deckhand",
        "keeper",
        "guard",
        "nurse",
        "doctor",
        "surgeon",
        "physician",
        "dentist",
        "pharmacist",
        "teacher",
        "professor",
        "scientist",
        "engineer",
        "president",
        "minister",
        "mayor",
        "governor",
        "king",
        "queen",
        "emperor",
        "empress",
        "prince",
        "princess",
        "duke",
        "founder",
        "owner",
        "chairman",
        "chairwoman",
        "chair",
        "chief",
        "head",
        "leader",
        "member",
        "employee",
        "curator",
        "donor",
        "tenant",
        "landlord",
        "signatory",
        "lawyer",
        "judge",
        "secretary",
        "treasurer",
        "accountant",
        "auditor",
        "developer",
        "maintainer",
        "programmer",
        "analyst",
        "inspector",
        "brother",
        "sister",
        "father",
        "mother",
        "husband",
        "wife",
        "son",
        "daughter",
        "spouse",
        "widow",
        "uncle",
        "aunt",
        "cousin",
        "grandfather",
        "grandmother",
    ]
)
PLACES: Final = frozenset(
    [
        "place",
        "town",
        "city",
        "village",
        "island",
        "harbour",
        "harbor",
        "port",
        "country",
        "county",
        "state",
        "region",
        "province",
        "district",
        "street",
        "building",
        "room",
        "hall",
        "ward",
        "site",
        "station",
        "airport",
        "river",
        "lake",
        "mountain",
        "capital",
    ]
)
# Of whom or what each is one: their answer is looked up before more is asked about it.
RELATIONS: Final = (
    r"(?:(?:step|grand|great-grand|foster)?(?:father|mother|parent|son|daughter|child)"
    r"(?:-in-law)?|(?:brother|sister)(?:-in-law)?|husband|wife|spouse|widow|uncle|aunt|nephew|"
    r"niece|cousin|sibling|employer|predecessor|successor|deputy|director|producer|author|writer|"
    r"composer|"
    r"performer|singer|founder|owner|operator|manufacturer|builder|publisher|designer|architect|"
    r"captain|manager|landlord|maintainer|supplier|insurer|publisher|creator|inventor|editor|"
    r"screenwriter|conductor|sculptor|painter|developer|donor|curator|discoverer)"
)
