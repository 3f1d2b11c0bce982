"""Several questions in one: "X, and what Y?", "... in 2023, and in 2024?", "for A, B and C"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag_assets.questions.asked import names_in
from rag_assets.questions.choices import listed
from rag_assets.questions.english import AUXILIARY, QUESTION_WORD, inverted, is_past, singular

_MOST_PARTS = 4
_YEAR = r"(?:1[5-9]\d\d|20\d\d)"
_PREPOSITION = r"(?:in|on|at|by|for|to|from|of|with|under|until|since|during|after|before)"
_SUBJECT = r"(?:it|they|he|she|the|there|[A-Z\d])"
# "is 1800 kg too much", of what was asked before.
_IS_ENOUGH = r"(?:is|are|would) (?:[^\s,]+ ){1,4}(?:too \w+|enough|okay|ok|allowed|fine|possible)"
_AND = re.compile(
    rf"(?P<sep>,? and (?:also )?|; |, (?:but|then) )(?=(?:{_PREPOSITION} )?{QUESTION_WORD}\b"
    rf"|{_IS_ENOUGH}$|{_PREPOSITION} {_YEAR}$|(?:is|are|was|were|does|did|can|has) {_SUBJECT})"
    rf"|(?P<comma>, )(?={QUESTION_WORD} {AUXILIARY}\b|{_IS_ENOUGH}$)"
)
_SENTENCES = re.compile(r"(?<=\?)\s+(?=\S)")
_ASKS = re.compile(
    rf"^(?:(?:and|but) )?(?:{_PREPOSITION} )?(?:{QUESTION_WORD}|{AUXILIARY})\b", re.IGNORECASE
)
_INNER = r"(?!(?:in|for|of|and|on)\b)\w+ "
_TIME = (
    rf"(?:(?:in|for|during|of) (?:the )?(?:{_INNER}){{0,2}}?{_YEAR}|(?:in|on|during) (?:the )?"
    r"(?:spring|summer|autumn|winter|weekends?|weekdays?|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|july|"
    rf"august|september|october|november|december)(?: {_YEAR})?|today|now|last year|this year)"
)
_AT = re.compile(rf"\b{_TIME}", re.IGNORECASE)
_AGAIN = re.compile(
    r"(?:what|how (?:much|many|long|high|large|big))"
    rf"(?: (?:is|was|were|are|did|does|will) (?:it|they|that)(?: be)?)? (?P<when>{_TIME})",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    rf"(?:how (?:much|many|long)|what about|how about|{QUESTION_WORD}) "
    r"(?P<thing>(?:on|for|at|to|from|with|of) .+)",
    re.IGNORECASE,
)
_NOT_BEFORE = re.compile(
    r"\b(?:between|both|know|tell me|explain|say|see|sure|clear|decide|ask)\b[^,]*$", re.IGNORECASE
)


def halves(question: str) -> tuple[str, ...]:
    """The questions that ``question`` asks side by side, written out; () for one question.

    A later one may hold "it" or "that ferry"; see :func:`referred`.
    """
    sentences = _SENTENCES.split(question)
    if 2 <= len(sentences) <= _MOST_PARTS:
        asked = all(part.endswith("?") and _ASKS.match(part) for part in sentences)
        return _written_out([part.rstrip("? ") for part in sentences]) if asked else ()
    body = question.rstrip("?. ")
    pieces: list[str] = []
    start = 0
    for match in _AND.finditer(body):
        before = body[start : match.start()]
        if (
            _ASKS.match(before)
            and len(before.split()) >= 3
            and not _NOT_BEFORE.search(before)
            and not _goes_on(body, match)
        ):
            pieces.append(before)
            start = match.end()
    pieces.append(body[start:])
    return _written_out(pieces) if 2 <= len(pieces) <= _MOST_PARTS else ()


def _goes_on(body: str, match: re.Match[str]) -> bool:
    """Whether "and who" goes on with a clause: "the man who built A and who sold B"."""
    if match.group().startswith(","):
        return False
    word = re.match(r"(?:\w+ )?(who|which|where|whose|when)\b", body[match.end() :], re.IGNORECASE)
    before = body[1 : match.start()]
    return word is not None and re.search(rf"\b(?:that|{word.group(1)}) ", before) is not None


def _written_out(pieces: Sequence[str]) -> tuple[str, ...]:
    whole: list[str] = []
    for piece in pieces:
        part = re.sub(r"^(?:and|but) ", "", piece.strip(" ,;"), flags=re.IGNORECASE)
        done = _completed(whole[-1], part) if whole else part
        if done is None:
            return ()
        whole.append(done)
    return tuple(f"{part[0].upper()}{part[1:]}?" for part in whole)


def _completed(before: str, part: str) -> str | None:
    """A later part as a question of its own; None where what it leaves out is unclear."""
    if is_time(part):
        return at_time(before, part)
    again = _AGAIN.fullmatch(part)
    if again:
        return at_time(before, again["when"])
    bare = re.fullmatch(
        rf"(?P<word>(?:(?:by|in|at|for|from|to|with|on) )?{QUESTION_WORD}(?: \w+)?)", part, re.I
    )
    if bare:
        passive = re.match(
            rf"^(?:{_PREPOSITION} )?{QUESTION_WORD} (?P<rest>(?:was|were|is|are) .+)$", before, re.I
        )
        done = passive and is_past(passive["rest"].split()[-1])
        return f"{bare['word']} {passive['rest']}" if passive and done else None
    if re.fullmatch(_IS_ENOUGH, part, re.IGNORECASE):
        about = _ABOUT.match(f"{before[0].lower()}{before[1:]}")
        things = [about["thing"]] if about else list(names_in(before)[-1:])
        return f"{part} for {things[0]}" if things else None
    elsewhere = _ELSEWHERE.fullmatch(part)
    if elsewhere:
        return of_other(before, elsewhere["thing"])
    return part if len(part.split()) >= 3 else None


def is_time(text: str) -> bool:
    """Whether it is a time alone: "in 2024", "on Sundays", "last year"."""
    return re.fullmatch(_TIME, text, re.IGNORECASE) is not None


def at_time(question: str, when: str) -> str | None:
    """The question at another time; None if it names none."""
    found = list(_AT.finditer(question))
    if not found:
        return None
    return f"{question[: found[-1].start()]}{when}{question[found[-1].end() :]}"


def of_other(question: str, thing: str) -> str | None:
    """The question about another place: "on Route 2" in place of "on Route 1"; None without one."""
    preposition = thing.split()[0]
    found = list(re.finditer(rf"\b{preposition} [^,]+?(?=$| in {_YEAR})", question, re.IGNORECASE))
    if not found:
        return None
    return f"{question[: found[-1].start()]}{thing}{question[found[-1].end() :]}"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a part of a question refers to.

    Attributes:
        words: in the part: "that ferry", "it".
        thing: what they stand for; "" for the answer of the part before.
        noun: of "that ferry".
    """

    words: str
    thing: str = ""
    noun: str = ""


_THAT = re.compile(r"\b(?P<words>(?:that|this|the same|the said) (?P<noun>[a-z][\w-]*))\b")
_PRONOUN = re.compile(r"\b(?P<words>it|its|they|their|them|he|she|him|his|her)\b", re.IGNORECASE)
_ABOUT = re.compile(
    rf"^(?:{QUESTION_WORD}(?: \w+){{0,2}}? (?:is|are|was|were|does|did|do|has|can)|who [a-z]+) "
    r"(?P<thing>(?:the )?(?:(?:[a-z-]+ ){1,3}(?:of|for|at|in|on) (?:the )?)?"
    r"[A-Z\ue000-\uf8ff][\w.'&-]*(?: [A-Z\d][\w.'&-]*)*)(?P<noun> [a-z]+)?\b",
)
_AN_ANSWER = re.compile(rf"(?:which|what) (?!{AUXILIARY}\b)[a-z]+ (?!{AUXILIARY}\b)[a-z]+ ", re.I)


def referred(part: str, before: str) -> Reference | None:
    """What ``part`` refers to in the question before it; None for nothing.

    Raises:
        LookupError: it refers to something, and it is not clear to what.
    """
    that = _THAT.search(part)
    if that and re.search(rf"\b{re.escape(that['noun'])}s?\b", before, re.IGNORECASE):
        return Reference(that["words"], noun=that["noun"])
    pronouns = list(_PRONOUN.finditer(part))
    if not pronouns:
        return None
    words = pronouns[0]["words"]
    if len(pronouns) > 1:
        raise LookupError(part)
    person = words.casefold() in ("he", "she", "him", "his", "her")
    if re.match(r"who (?:is|was|are) |who [a-z]+(?:s|ed) ", before, re.IGNORECASE) and person:
        return Reference(words)
    if _AN_ANSWER.match(before):
        return Reference(words)
    about = _ABOUT.match(f"{before[0].lower()}{before[1:]}")
    subject = re.search(rf"\b{AUXILIARY} {re.escape(words)}\b", part, re.IGNORECASE)
    if about and not person and (subject or words.casefold() in ("its", "their")):
        noun = about["noun"] or ""
        if not about["thing"].startswith("the ") or is_past(noun.strip()) or inverted(noun.strip()):
            noun = ""
        if not re.search(r"[A-Z]", part[1:]):
            return Reference(words, f"{about['thing']}{noun}")
    raise LookupError(part)


_EACH_YEAR = re.compile(
    r"^(?P<head>.+?)(?P<each> (?:per|each|every) year|, year by year)?,? "
    r"(?P<prep>in|for|from|between|during)(?: the years)? "
    rf"(?P<years>{_YEAR}(?:, {_YEAR})*,? (?P<joint>and|to|until|through) {_YEAR})(?P<tail> .*)?$",
    re.IGNORECASE,
)
_CHANGED = re.compile(
    r"^how (?:did|has|have) (?P<what>.+?) (?:changed?|developed?|evolved?|grown?|risen?|rise)$",
    re.IGNORECASE,
)
_AS_ONE = re.compile(
    r"\b(?:altogether|together|in total|combined|total|between|same|both|difference|compare|sum|"
    r"in common|more|than|with each other|which of|one of)\b",
    re.IGNORECASE,
)
_MOST_LISTED = 6


def over_years(question: str) -> tuple[tuple[str, str], ...]:
    """(question, year) for each year that is asked for; () where one answer may be meant."""
    found = _EACH_YEAR.match(question.rstrip("?. "))
    if not found or not _ASKS.match(found["head"]) or _AS_ONE.search(found["head"]):
        return ()
    head, tail = found["head"], found["tail"] or ""
    years = [int(year) for year in re.findall(_YEAR, found["years"])]
    changed = _CHANGED.match(head)
    if found["joint"].casefold() != "and" or found["prep"].casefold() in ("between", "from"):
        if found["each"]:
            years = list(range(min(years), max(years) + 1))
        elif not changed:
            return ()  # "cancelled between 2022 and 2024" is one number
    if not 2 <= len(years) <= _MOST_LISTED:
        return ()
    asks = f"What was {changed['what']}" if changed else head
    return tuple((f"{asks} in {year}{tail}?", str(year)) for year in years)


_CAPITAL = r"[A-Z\d\ue000-\uf8ff][\w.'&-]*"
_NAME = rf"{_CAPITAL}(?: {_CAPITAL})*"
_LISTED = re.compile(
    r"^(?P<head>.+? (?:of|for|on|in|at|to|from|by|with|is|are|was|were|do|does|did|have|has|can)) "
    rf"(?P<each>each of )?(?P<list>{_NAME}(?:, {_NAME})*,? and {_NAME})(?P<tail> [a-z].*)?$"
)
_OF_SEVERAL = re.compile(
    r"^(?P<word>what|who) (?P<be>are|were) the (?P<noun>[\w ]+?) (?P<prep>of|for|on|in|at)$", re.I
)
_ONE = {"are": "is", "were": "was", "do": "does", "have": "has"}


def over_things(question: str) -> tuple[tuple[str, str], ...]:
    """(question, thing) for each named thing of "for A, B and C"; () for one question."""
    text = question.rstrip("?. ")
    found = _LISTED.match(text)
    if not found or not _ASKS.match(text) or _AS_ONE.search(text):
        return ()
    things = listed(found["list"])
    head, _, last = found["head"].rpartition(" ")
    tail = (found["tail"] or "").replace(" respectively", "")
    each = bool(found["each"]) or tail != (found["tail"] or "")
    several = _OF_SEVERAL.match(found["head"])
    if not 2 <= len(things) <= _MOST_LISTED:
        return ()
    if several:
        noun = singular(several["noun"])
        be = _ONE[several["be"].casefold()]
        asks = f"{several['word']} {be} the {noun} {several['prep']}"
    elif last.casefold() in _ONE and (
        len(head.split()) > 1 or head.casefold() in ("when", "where")
    ):  # "How long are A and B?", "When were A and B built?"
        asks = f"{head} {_ONE[last.casefold()]}"
    elif each or (len(things) > 2 and last.casefold() not in _ONE):
        asks = found["head"]
    else:
        return ()
    return tuple((f"{asks} {thing}{tail}?", thing) for thing in things)
