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
    r"are|was|were|did|do|does|from|with|that|who|which|where)\b)[\w'-]+ ){0,3}?"
    r"(?P<head>[a-z][\w'-]*)),? "
    r"(?P<pron>(?:(?:in|on|at|to|from|by|for|of|with) (?:which|whom)|that|who|which|whose|"
    r"where))\b "
    r"(?P<clause>.+)$"
)
_EXTRAPOSED = re.compile(
    r"^(?P<front>.+?\b(?:does|did|do|can|will|has|is|was) )the (?P<noun>[\w-]+) "
    r"(?P<verb>[a-z]+) (?P<pron>who|that) (?P<clause>.+)$",
    re.IGNORECASE,
)
_ASKER = re.compile(r"\b(?:i|we|you|my|our|your|me|us)\b", re.IGNORECASE)
_NAME = (
    r"(?:[A-Z\d\ue000-\uf8ff][\w.&-]*(?:'[A-Z]\w*)?(?:,? (?:(?:of|the|de|la|von|van|bin|al|del|di|"
    r"and) (?:the )?)?"
    r"(?:[A-Z\d\ue000-\uf8ff][\w.&-]*(?:'[A-Z]\w*)?|\([^)]*\)))*)"
)
_POSSESSIVE = re.compile(
    rf"\b(?P<whole>(?P<owner>{_NAME})'s? (?P<role>(?:maternal |paternal |first |second |elder |"
    rf"younger |former |current )?{RELATIONS}))\b"
)
_OF = re.compile(
    rf"\b(?P<whole>the (?P<role>(?:(?:current|former|first|second) )?{RELATIONS}) (?:of|for) "
    rf"(?P<owner>(?:the )?(?:(?:film|movie|song|album|book|novel|vessel|ship|company|museum|"
    rf"clinic|contract|"
    rf"play|series|ferry) )?(?:[“\"][^\"”]+[\"”]|{_NAME})))(?=[ ?,]|'s|$)"
)
_TAIL_ONLY = re.compile(
    r"^(?:who|what|which(?: [\w-]+){0,2}|where) (?:is|was|are|were|will be|has been) "
    r"(?:the (?:full |official |current )?(?:name|title) of |called |named )?[\ue000-\uf8ff]\W*$"
    r"|^[\ue000-\uf8ff]\W*$|^(?:what|who) (?:is|was) [\ue000-\uf8ff] (?:called|named)\W*$",
    re.IGNORECASE,
)


_ASKS = re.compile(
    rf"^(?:(?:according to|in|on|at|besides|along with|for) [^,?]{{2,60}}, )?"
    rf"(?:(?:in|on|at|by|for|to|from|of|with|under|until|since|about) )?(?:{QUESTION_WORD}|"
    rf"{AUXILIARY})\b"
    r"|^(?:in|at|on) the\b",
    re.IGNORECASE,
)
_WHY = re.compile(r"^why\b", re.IGNORECASE)  # the clause is what it is about
_FOLLOWS = re.compile(
    rf"^(?:\?|,|$|'s\b|(?:{AUXILIARY}|in|on|at|from|for|with|by|of|to|and|or|after|before|during|"
    r"since|have|born|located|based|worth)\b)"
)


_PREPOSITION = r"(?:in|on|at|by|for|to|from|of|with|near|after|before|behind|under)\b"


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
    if not _ASKS.match(text) or _WHY.match(text):
        return None
    for found in (_clause(text, letter), _extraposed(text, letter), _relation(text, letter)):
        if found and not _TAIL_ONLY.match(found.rest) and len(found.rest.split()) > 2:
            return found
    return None


def _clause(text: str, letter: str) -> Bridge | None:
    # The last one first: it holds no other.
    matches = [
        match
        for start in (m.start() for m in re.finditer(r"\bthe\b", text))
        if (match := _RELATIVE.match(text, start))
    ]
    for match in reversed(matches):
        head = match["head"].casefold()
        if re.fullmatch(_NOT_NOUNS, head) or match.start() == 0 or is_past(head):
            continue
        before = text[: match.start()]
        split = _split_clause(before, match["clause"].rstrip("?. "))
        if split is None:
            continue
        clause, tail = split
        clause = clause.rstrip(",")
        if (
            len(clause.split()) < 2
            or _ASKER.search(before)
            or _ASKER.search(clause)
            or _is_about_many(head)
        ):
            continue
        noun = match["noun"]
        first = _ask(noun, match["pron"], clause)
        rest = f"{before}{letter}{' ' if tail and tail[0] != ',' else ''}{tail}?"
        return Bridge(first, _type_of(head), rest)
    return None


def _is_about_many(head: str) -> bool:
    return head.endswith("s") and not head.endswith(("ss", "us", "is"))


def _split_clause(before: str, clause: str) -> tuple[str, str] | None:
    """The clause and what of the main sentence stands behind it; None where that is unsure."""
    if _is_subject_of_clause(before) or re.search(rf", {AUXILIARY}\b", clause):
        return None  # the subject of another clause, whose verb could be anywhere behind
    if re.search(r"^(?:who|what|which) (?:is|was|are|were) $", before, re.IGNORECASE):
        return clause, ""  # "Who is the man that ...": the noun is what is asked
    aux = _open_auxiliary(before)
    if aux is None:
        comma = re.match(r"^(?P<clause>[^,]+)(?P<tail>, .+)$", clause)
        if re.match(r"^(?:for|of|in|at|on|to|by|with|according to)\b[^,]*$", before, re.IGNORECASE):
            return None if comma is None else (comma["clause"], comma["tail"])
        # A sentence without a verb so far has it behind the clause, and nothing tells where.
        return (clause, "") if any(_says(word) for word in before.split()) else None
    words = clause.split()
    wanted = _base if aux in _DO else _participle
    # Right behind its auxiliary the noun is the subject; elsewhere only the end may be the verb.
    direct = re.search(rf"\b{AUXILIARY}(?:n't)? $", before, re.IGNORECASE) is not None
    for n in range(len(words) - 1, 1, -1):
        if wanted(words, n) and any(is_finite(word) for word in words[:n]):
            return " ".join(words[:n]), " ".join(words[n:])
        if not direct and aux not in _DO:
            return clause, ""
    return None


_DO = frozenset(
    [
        "do",
        "does",
        "did",
        "can",
        "could",
        "will",
        "would",
        "shall",
        "should",
        "may",
        "might",
        "must",
    ]
)


def _is_subject_of_clause(before: str) -> bool:
    """Whether a clause is open that has no verb yet: "... the city where the "."""
    words = before.split()
    pronouns = ("where", "which", "whom", "that", "whose", "who")
    last = max(
        (n for n, word in enumerate(words) if word.strip(",") in pronouns and n > 1), default=None
    )
    return last is not None and not any(is_finite(word) for word in words[last + 1 :])


def _says(word: str) -> bool:
    known = is_finite(word) or word.casefold() in BASE_FORMS
    return known or (word[0].islower() and word[-1] == "s")


def _open_auxiliary(before: str) -> str | None:
    """The auxiliary that still waits for its verb: "when was", "can"; None where none does."""
    found = list(re.finditer(rf"\b(?P<aux>{AUXILIARY})\b(?P<rest>.*)$", before, re.IGNORECASE))
    if not found:
        return None
    aux = found[0]["aux"].casefold()
    behind = found[0]["rest"].split()
    if behind and re.fullmatch(_PREPOSITION, behind[0]):
        return None  # "how many shops are in the state that ..."
    if aux in _DO:
        return None if any(word.casefold() in BASE_FORMS for word in behind) else aux
    if any(is_past(word) or word in _STATES for word in behind):
        return None
    if re.search(r"\b(?:when|where|how|year|date)\b", before[: found[0].start()], re.IGNORECASE):
        return aux
    # "Who is the captain of ...", "Which yard has the dock that ...": a noun completes it.
    return None if behind or aux in ("has", "have", "had") else aux


_STATES = frozenset(
    ["born", "located", "based", "worth", "open", "from", "called", "situated", "part"]
)
_DETERMINERS = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "in",
        "on",
        "at",
        "for",
        "by",
        "to",
        "with",
        "from",
        "its",
        "their",
        "his",
        "her",
        "this",
    ]
)


_NOT_ALONE = "did do does can could will would may must should not and had has have"
_WITH_BASE = frozenset(_NOT_ALONE.split())


def _base(words: list[str], n: int) -> bool:
    """Whether the bare verb of the main sentence stands at ``n``."""
    return (
        words[n].casefold().strip(",") in BASE_FORMS
        and words[n - 1].casefold() not in _DETERMINERS
        and words[n - 1].casefold() not in _WITH_BASE
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
    """Of "What position does the person hold who signed the report?"."""
    found = _EXTRAPOSED.match(text.rstrip("?. "))
    if not found or found["verb"].casefold() not in BASE_FORMS or _ASKER.search(found["clause"]):
        return None
    if not _begins_with_verb(found["clause"]):
        return None
    first = f"Which {found['noun']} {found['clause']}?"
    rest = f"{found['front']}{letter} {found['verb']}?"
    return Bridge(first, _type_of(found["noun"].casefold()), rest)


def _relation(text: str, letter: str) -> Bridge | None:
    """Of "When did X's father die?", "Where was the director of film X born?"."""
    for pattern in (_POSSESSIVE, _OF):
        for match in pattern.finditer(text):
            owner = match["owner"]
            start, whole = match.start("whole"), match["whole"]
            first_word = re.match(rf"(?:{QUESTION_WORD}|{AUXILIARY}) ", owner, re.IGNORECASE)
            if first_word and pattern is _POSSESSIVE:
                owner, whole = owner[first_word.end() :], whole[first_word.end() :]
                start += first_word.end()
            rest = text[:start] + letter + text[start + len(whole) :]
            behind = text[start + len(whole) :].lstrip()
            word = re.match(r"[\w'-]*", behind)
            next_word = word.group() if word else ""
            if _open_auxiliary(text[:start]) and re.match(_PREPOSITION, behind):
                continue  # "Songs I Wrote with Amy": the name may go on
            ends = _FOLLOWS.match(behind) or is_finite(next_word) or next_word in BASE_FORMS
            if pattern is _OF and not ends:
                continue  # the name may go on
            if _TAIL_ONLY.match(rest) or re.search(r"(?:,|\b(?:also|was once)) $", text[:start]):
                continue
            if pattern is _OF and re.match(r"(?:who|what) (?:is|was) [\ue000-\uf8ff]", rest, re.I):
                continue
            return Bridge(f"Who is {whole}?", "person", rest)
    return None
