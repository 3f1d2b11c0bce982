"""What a text denies: its negations, and words of opposite meaning."""

import re
from dataclasses import dataclass
from itertools import takewhile

from rag_assets.retrieval.terms import STOP_WORDS, stem

N_DENIED = 2  # content words behind a negation that it denies: "no passenger lift to the deck"
NEGATORS = frozenset(
    [
        "no",
        "not",
        "never",
        "none",
        "neither",
        "nor",
        "without",
        "cannot",
        "nobody",
        "nothing",
        "nowhere",
        "kein",
        "keine",
        "keinen",
        "keinem",
        "keiner",
        "keines",
        "nicht",
        "nie",
        "niemals",
        "ohne",
        "niemand",
        "nichts",
        "weder",
        "ne",
        "n",
        "pas",
        "aucun",
        "aucune",
        "sans",
        "jamais",
        "ni",
    ]
)
_LACKING = frozenset(("without", "ohne", "sans"))  # deny one thing, not the sentence
_NO_LONGER = re.compile(r"(?i)\bno longer\b(?! than)|\bnicht mehr\b")
_IDIOM = re.compile(
    r"(?i)\b(?:no|not)\s+(?:later|more|less|fewer|only|until|earlier|longer\s+than|just)\b"
    r"|\bnicht\s+nur\b|\bpas\s+seulement\b"
)
# Alternatives: one of a line is not the other. In the first lines the second is a negation, too.
_DENYING = """
    open geöffnet offen ouvert ouverte/closed shut geschlossen fermé fermée
    allowed permitted erlaubt gestattet/forbidden banned prohibited verboten
    permis autorisé/interdit défendu
    included enthalten inklusive inclus/excluded exklusive exclu
    enabled aktiviert activé/disabled deaktiviert désactivé
    approved accepted adopted granted genehmigt angenommen/rejected refused denied abgelehnt
    possible möglich/impossible unmöglich
    available verfügbar disponible/unavailable indisponible
    required mandatory obligatory obligatoire/optional voluntary freiwillig facultatif
    valid gültig valable/invalid expired ungültig
    present/absent missing lacking
    passed bestanden/failed
"""
_CONTRASTING = """
    before vor avant/after nach après
    first erste ersten erster premier première/last letzte letzten letzter dernier dernière
    minimum mindestens/maximum höchstens
    arrive arrives arrival ankunft/depart departs departure abfahrt
    rose increased grew gestiegen/fell decreased declined dropped gesunken
    upper obere/lower untere
    left/right
    earlier/later
    older/younger newer
    highest/lowest
"""
# Names of one thing out of few, in one spelling for all languages.
_NAMING = """
    monday montag lundi/tuesday dienstag mardi/wednesday mittwoch mercredi/thursday donnerstag jeudi
    friday freitag vendredi/saturday samstag samedi/sunday sonntag dimanche
    spring frühling printemps/summer sommer été/autumn herbst automne/winter hiver
    north northern nord/south southern süd sud/east eastern ost/west western ouest
"""


def _lines(text: str) -> list[list[list[str]]]:
    return [[words.split() for words in line.split("/")] for line in text.strip().split("\n")]


_DENYING_PAIRS = _lines(_DENYING)
_PAIRS = [*_DENYING_PAIRS, *_lines(_CONTRASTING)]
_POLE = {
    word: (number, place)
    for number, pair in enumerate(_PAIRS)
    for place, words in enumerate(pair)
    for word in words
}
OPPOSITES = frozenset(stem(word) for word in _POLE)  # "allowed" and "forbidden" and their like
_DENIALS = frozenset(word for pair in _DENYING_PAIRS for word in pair[1])
ONE_OF_FEW = {word: words[0] for line in _lines(_NAMING) for words in line for word in words}
FEW = frozenset(ONE_OF_FEW.values())


@dataclass(frozen=True, slots=True)
class Polarity:
    """What a text says of a thing and what it denies.

    Attributes:
        denied: stems of what stands behind a negation.
        said: stems of the other words.
        poles: of each pair of opposites that it names, which one.
        in_denial: stems of the clauses that a negation reigns in.
        is_negative: whether it denies anything at all.
        is_double: whether it denies a lack: "not without".
    """

    denied: frozenset[str]
    said: frozenset[str]
    poles: frozenset[tuple[int, int]]
    in_denial: frozenset[str]
    is_negative: bool
    is_double: bool


def polarity_of(text: str) -> Polarity:
    """Read a sentence, clause by clause."""
    denied: set[str] = set()
    in_denial: set[str] = set()
    said: set[str] = set()
    poles: set[tuple[int, int]] = set()
    is_negative = is_double = False
    text = _NO_LONGER.sub("not", text)
    for clause in clauses(_IDIOM.sub(" ", text)):
        words = words_of(clause)
        at = next((n for n, word in enumerate(words) if _is_negator(word)), None)
        content = [[stem(w) for w in part if _is_content(w)] for part in (words[: at or 0], words)]
        first: list[str] = []
        if at is None:
            said |= set(content[1])
        else:
            reach = takewhile(lambda word: not word.isdigit(), words[at:])
            behind = [stem(word) for word in reach if _is_content(word)]
            first = behind or content[0][-1:]
            n_denied = 1 if words[at] in _LACKING else N_DENIED
            denied |= set(behind[:n_denied] or content[0][-N_DENIED:])
            if words[at] not in _LACKING:
                in_denial |= set(content[1])
            is_negative = True
            lacks = [word in _LACKING for word in words if word in NEGATORS]
            is_double |= any(lacks) and not all(lacks)
        for word in words:
            pole = _POLE.get(word)
            if pole is None:
                continue
            is_negative |= word in _DENIALS
            # Only what a negation denies first: "does not close open ones" opens nothing.
            is_denied = at is not None and words[at] not in _LACKING and stem(word) in first[:1]
            flips = is_denied and pole[0] < len(_DENYING_PAIRS)
            poles.add((pole[0], 1 - pole[1]) if flips else pole)
    return Polarity(
        denied=frozenset(denied),
        said=frozenset(said - denied),
        poles=frozenset(poles),
        in_denial=frozenset(in_denial),
        is_negative=is_negative,
        is_double=is_double,
    )


def agree(claim: Polarity, place: Polarity, context: frozenset[str]) -> bool:
    """Whether a place denies what a claim denies, and nothing that it says.

    Args:
        claim: of the sentence said.
        place: of the text that it rests on.
        context: stems of words that name the place; they say nothing of it.
    """
    for pair in {pole[0] for pole in claim.poles}:
        own = {pole for pole in claim.poles if pole[0] == pair}
        others = {pole for pole in place.poles if pole[0] == pair}
        if others and not own & others:
            return False
    if place.denied - place.said - context and _denies(place, claim, context):
        return False
    if claim.is_negative:
        if claim.is_double != place.is_double:
            return False
        if not place.is_negative:
            return False
        if claim.denied and place.denied and not claim.poles & place.poles:
            theirs, ours = place.denied | place.in_denial, claim.denied | claim.in_denial
            return bool(claim.denied & theirs or place.denied & ours)
        return True
    # Of what it shares with the place, more than one word and all are denied there.
    shared = claim.said & (place.said | place.in_denial)
    return not (len(shared) > 1 and shared <= place.in_denial - place.said)


def _denies(place: Polarity, claim: Polarity, context: frozenset[str]) -> bool:
    """Whether the claim says plainly what the place denies."""
    return bool((place.denied - place.said - context) & (claim.said - claim.denied))


def clauses(text: str) -> list[str]:
    """The parts of a sentence in which a negation reigns."""
    return re.split(
        r"[;,:]\s|\s[\u2013\u2014]\s|\s(?:and|but|while|whereas|und|aber|sondern|et|mais)\s", text
    )


def words_of(text: str) -> list[str]:
    """Its words, folded; "isn't" is "is" and "not"."""
    text = re.sub(r"(?i)n['\u2019]t\b", " not", text)
    return re.findall(r"[^\W_]+", text.casefold())


def _is_negator(word: str) -> bool:
    return word in NEGATORS


def _is_content(word: str) -> bool:
    is_small = word in STOP_WORDS or word in NEGATORS or len(word) < 2
    return not is_small and not word.isdigit()
