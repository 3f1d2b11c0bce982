"""Bridges: "the vessel that serves Route 2" and "X's father" are asked first, by themselves."""

import re
from dataclasses import dataclass

from rag_assets.questions.english import (
    AUXILIARY,
    BASE_FORMS,
    PERSONS,
    PLACES,
    QUESTION_WORD,
    RELATIONS,
    is_adverb,
    is_finite,
    is_past,
)
from rag_assets.questions.plan import AnswerType

_NOT_NOUNS = (
    r"(?:name|names|way|reason|fact|case|time|year|date|day|number|first|last|only|same|one|ones|"
    r"moment|amount|extent|place|number|title|kind|type|sort|percentage|things?|people|persons|"
    r"conditions?|rules?|steps?|items?)"
)
_RELATIVE = re.compile(
    r"\b(?P<det>the(?: same| only)?) (?P<noun>(?:(?!(?:the|a|an|of|in|on|at|for|by|to|and|or|is|"
    r"are|was|were|did|do|does|from|with|that|who|which|where)\b)[\w'’-]+ ){0,3}?"
    r"(?P<head>[a-z][\w'’-]*)),? "
    r"(?P<pron>(?:(?:in|on|at|to|from|by|for|of|with) (?:which|whom)|that|who|which|whose|where))\b "
    r"(?P<clause>.+)$",
    re.IGNORECASE,
)
_EXTRAPOSED = re.compile(
    r"^(?P<front>.+?\b(?:does|did|do|can|will|has|is|was) )the (?P<noun>[\w-]+) "
    r"(?P<verb>[a-z]+) (?P<pron>who|that) (?P<clause>.+)$",
    re.IGNORECASE,
)
_ASKER = re.compile(r"\b(?:i|we|you|my|our|your|me|us)\b", re.IGNORECASE)
_NAME = (
    r"(?:[A-Z\d\ue000-\uf8ff][\w.&-]*(?:['’][A-Z]\w*)?(?:,? (?:(?:of|the|de|la|von|van|bin|al|del|di|and) (?:the )?)?"
    r"(?:[A-Z\d\ue000-\uf8ff][\w.&-]*(?:['’][A-Z]\w*)?|\([^)]*\)))*)"
)
_POSSESSIVE = re.compile(
    rf"\b(?P<whole>(?P<owner>{_NAME})['’]s? (?P<role>(?:maternal |paternal |first |second |elder |"
    rf"younger |former |current )?{RELATIONS}))\b"
)
_OF = re.compile(
    rf"\b(?P<whole>the (?P<role>(?:(?:current|former|first|second) )?{RELATIONS}) (?:of|for) "
    rf"(?P<owner>(?:the )?(?:(?:film|movie|song|album|book|novel|vessel|ship|company|museum|clinic|contract|"
    rf"play|series|ferry) )?(?:[“\"][^\"”]+[\"”]|{_NAME})))(?=[ ?,]|['’]s|$)"
)
_TAIL_ONLY = re.compile(
    rf"^(?:who|what|which(?: [\w-]+){{0,2}}|where) (?:is|was|are|were|will be|has been) "
    r"(?:the (?:full |official |current )?(?:name|title) of |called |named )?[\ue000-\uf8ff]\W*$"
    r"|^[\ue000-\uf8ff]\W*$|^(?:what|who) (?:is|was) [\ue000-\uf8ff] (?:called|named)\W*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Bridge:
    """What is asked first.

    Attributes:
        first: the question whose answer is needed.
        wants: its type.
        rest: the question with ``letter`` in the answer's place.
    """

    first: str
    wants: AnswerType
    rest: str


def bridged(question: str, letter: str) -> Bridge | None:
    """The inner question of ``question`` and what is left, None if it holds none."""
    text = " ".join(question.split())
    for found in (_clause(text, letter), _extraposed(text, letter), _relation(text, letter)):
        if found and not _TAIL_ONLY.match(found.rest) and len(found.rest.split()) > 2:
            return found
    return None


def _clause(text: str, letter: str) -> Bridge | None:
    # The last one first: it holds no other.
    matches = [
        match
        for start in (m.start() for m in re.finditer(r"\bthe\b", text, re.IGNORECASE))
        if (match := _RELATIVE.match(text, start))
    ]
    for match in reversed(matches):
        head = match["head"].casefold()
        if re.fullmatch(_NOT_NOUNS, head) or match.start() == 0:
            continue
        before = text[: match.start()]
        split = _split_clause(before, match["clause"].rstrip("?. "), match["pron"].casefold())
        if split is None:
            continue
        clause, tail = split
        if len(clause.split()) < 2 or _ASKER.search(clause) or _is_about_many(head):
            continue
        noun = match["noun"]
        first = _ask(noun, match["pron"], clause)
        rest = f"{before}{letter}{f' {tail}' if tail else ''}?"
        return Bridge(first, _type_of(head), rest)
    return None


def _is_about_many(head: str) -> bool:
    return head.endswith("s") and not head.endswith(("ss", "us", "is"))


def _split_clause(before: str, clause: str, pron: str) -> tuple[str, str] | None:
    """The clause and what of the main sentence stands behind it; None where that is unsure."""
    aux = re.search(rf"\b(?P<aux>{AUXILIARY})(?:n['’]t)? (?:\S+ ){{0,1}}$", before, re.IGNORECASE)
    if aux is None or not _asks_behind(before):
        comma = re.match(r"^(?P<clause>[^,]+), (?P<tail>.+)$", clause)
        if re.search(r"(?:^|[,;])\s*(?:for|of|in|at|on|to|by|with|according to) $", before, re.I):
            return None if comma is None else (comma["clause"], f", {comma['tail']}")
        if not re.search(rf"\b{QUESTION_WORD}\b", before, re.IGNORECASE):
            return None
        return clause, ""
    word = aux["aux"].casefold()
    if re.search(r"^(?:who|what|which) (?:is|was|are|were) $", before, re.IGNORECASE):
        return clause, ""  # "Who is the man that ...": the noun is what is asked
    words = clause.split()
    wanted = _participle if word in ("is", "are", "was", "were", "has", "have", "had") else _base
    for n in range(len(words) - 1, 0, -1):
        if wanted(words, n) and len(words[:n]) >= 2:
            return " ".join(words[:n]), " ".join(words[n:])
    return None


def _asks_behind(before: str) -> bool:
    """Whether the noun is the subject of an inverted sentence, so its verb comes behind."""
    direct = re.search(rf"\b{AUXILIARY}(?:n['’]t)? $", before, re.IGNORECASE)
    return direct is not None


_DETERMINERS = frozenset("the a an of in on at for by to with from its their his her this".split())


def _base(words: list[str], n: int) -> bool:
    """Whether the bare verb of the main sentence stands at ``n``."""
    return (
        words[n].casefold().strip(",") in BASE_FORMS
        and words[n - 1].casefold() not in _DETERMINERS
        and words[n - 1].casefold() not in ("did", "do", "does", "can", "will", "not", "and")
        and not words[n][0].isupper()
    )


def _participle(words: list[str], n: int) -> bool:
    return (
        (
            is_past(words[n])
            or words[n] in ("born", "located", "based", "worth", "open", "from", "called")
        )
        and words[n - 1].casefold()
        not in (*_DETERMINERS, "was", "is", "were", "are", "been", "and", "has")
        and not is_adverb(words[n - 1])
    )


def _ask(noun: str, pron: str, clause: str) -> str:
    """The inner question: "Which vessel serves Route 2?", "Which is the harbour where ...?"."""
    pron = pron.casefold()
    head = noun.split()[-1].casefold()
    if pron in ("that", "who", "which") and _begins_with_verb(clause):
        return f"Which {noun} {clause}?"
    if pron == "whose":
        return f"Which {noun} is it whose {clause}?"
    who = "Who" if head in PERSONS else "Which"
    return f"{who} is the {noun} {pron} {clause}?"


def _begins_with_verb(clause: str) -> bool:
    words = clause.split()
    first = next((word for word in words if not is_adverb(word)), "")
    return is_finite(first)


def _type_of(head: str) -> AnswerType:
    if head in PERSONS:
        return "person"
    return "place" if head in PLACES else "name"


def _extraposed(text: str, letter: str) -> Bridge | None:
    """ "What position does the person hold who signed the report?"."""
    found = _EXTRAPOSED.match(text.rstrip("?. "))
    if not found or found["verb"].casefold() not in BASE_FORMS or _ASKER.search(found["clause"]):
        return None
    if not _begins_with_verb(found["clause"]):
        return None
    first = f"Which {found['noun']} {found['clause']}?"
    rest = f"{found['front']}{letter} {found['verb']}?"
    return Bridge(first, _type_of(found["noun"].casefold()), rest)


def _relation(text: str, letter: str) -> Bridge | None:
    """ "When did X's father die?", "Where was the director of film X born?"."""
    for pattern in (_POSSESSIVE, _OF):
        for match in pattern.finditer(text):
            owner = match["owner"]
            start, whole = match.start("whole"), match["whole"]
            first_word = re.match(rf"(?:{QUESTION_WORD}|{AUXILIARY}) ", owner, re.IGNORECASE)
            if first_word:
                owner, whole = owner[first_word.end() :], whole[first_word.end() :]
                start += first_word.end()
            rest = text[:start] + letter + text[start + len(whole) :]
            if _TAIL_ONLY.match(rest):
                continue
            if pattern is _OF and re.match(r"(?:who|what) (?:is|was) [\ue000-\uf8ff]", rest, re.I):
                continue
            return Bridge(
                f"Who is {whole}?" if pattern is _OF else f"Who is {whole}?", "person", rest
            )
    return None
